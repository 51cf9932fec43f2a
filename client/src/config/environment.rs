//! Settings in the environment, as containers have them.

use klamm_utils::spelling::edits;

use super::{ClientConfig, ConfigError, foreign};

/// A variable whose name is no further than this from a setting's is a slip of the pen.
const SLIP: usize = 2;

impl ClientConfig {
    /// The settings of the environment's variables whose names begin with `prefix`, usually
    /// `KAFKA_`. The rest of the name, in small letters, is the setting's: `_` stands for `.`, `__`
    /// for `_`, and `___` for `-`, as in Kafka's own containers.
    ///
    /// Such environments hold more than settings of clients, such as `KAFKA_HEAP_OPTS`. What is no
    /// setting is told in the log along with what has no effect; only what is almost the name of
    /// one is an error.
    #[must_use]
    pub fn from_env(prefix: &str) -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            // What is not UTF-8 was not meant for this.
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::from_variables(prefix, variables)
    }

    fn from_variables(prefix: &str, variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut config = Self::default();
        for (variable, value) in variables {
            let Some(name) = variable.strip_prefix(prefix).map(setting) else { continue };
            let nearest = foreign::nearest(&name);
            if foreign::is_known(&name) {
                config = config.set(&name, &value);
            } else if nearest.is_some_and(|nearest| edits(nearest, &name) <= SLIP) {
                config.errors.push(ConfigError::UnknownKey { name: variable, nearest });
            } else {
                config.without_effect.insert(variable);
            }
        }
        config
    }
}

/// The name that is meant by a variable's.
fn setting(variable: &str) -> String {
    let name = variable.to_ascii_lowercase();
    name.replace("___", "-").replace("__", "\0").replace('_', ".").replace('\0', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys;

    #[test]
    fn names_are_mapped_as_in_kafkas_containers() {
        for (variable, name) in [
            ("BOOTSTRAP_SERVERS", "bootstrap.servers"),
            ("A__B_C___D", "a_b.c-d"),
            ("LINGER_MS", "linger.ms"),
        ] {
            assert_eq!(setting(variable), name);
        }
    }

    #[test]
    fn settings_are_taken_and_the_rest_is_told() {
        let read = |variables: &[(&str, &str)]| {
            let owned = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            ClientConfig::from_variables("KAFKA_", owned)
        };
        let config = read(&[
            ("KAFKA_BOOTSTRAP_SERVERS", "a:1"),
            ("KAFKA_LINGER_MS", "7"),
            ("KAFKA_HEAP_OPTS", "-Xmx1G"),
            ("KAFKA_STATISTICS_INTERVAL_MS", "1"),
            ("BOOTSTRAP_SERVERS", "b:1"),
        ]);
        config.check().unwrap();
        assert_eq!(config.get(&keys::BOOTSTRAP_SERVERS), ["a:1"]);
        assert_eq!(config.get(&keys::LINGER), std::time::Duration::from_millis(7));
        let without: Vec<_> = config.without_effect().collect();
        assert_eq!(without, ["KAFKA_HEAP_OPTS", "statistics.interval.ms"]);

        let slip = read(&[("KAFKA_BOOTSTRAP_SERVER", "a:1")]).check().unwrap_err();
        let text = "there is no setting `KAFKA_BOOTSTRAP_SERVER`; \
                    did you mean `bootstrap.servers`?";
        assert_eq!(slip.to_string(), text);
        assert!(read(&[("KAFKA_ACKS", "x")]).check().is_err());
    }
}
