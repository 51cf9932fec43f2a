//! The settings of clients: typed setters, and the names that every Kafka user knows.

pub mod keys;
mod secret;
mod security;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::sasl::{SharedProvider, TokenProvider};

pub use keys::Key;
pub use secret::Secret;
pub use security::{HostNameCheck, SaslMechanism, StoreType, TlsVersion};
pub use value::{
    Acks, Assignor, GroupProtocol, IsolationLevel, MetadataRecovery, OffsetReset, Partitioner,
    SecurityProtocol, TimeLimit, Value,
};

/// What is wrong with settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No setting has this name.
    #[error("there is no setting `{name}`; did you mean `{nearest}`?")]
    UnknownKey {
        /// The name that was given.
        name: String,
        /// The name that exists and is most like it.
        nearest: &'static str,
    },
    /// The setting has no such value.
    #[error("`{name}` cannot be {value:?}: expected {expected}")]
    BadValue {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A line of a properties file is not `name=value`.
    #[error("line {line} of the properties is not `name=value`")]
    BadLine {
        /// Counted from 1.
        line: usize,
    },
    /// Nobody to connect to.
    #[error("`bootstrap.servers` names no broker")]
    NoBootstrap,
    /// The setting asks for something that this version cannot do.
    #[error("`{name}` = {value:?} is not built yet")]
    NotBuilt {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: String,
    },
    /// The setting asks for something that the cluster does not serve.
    #[error("the cluster does not serve `{name}` = {value:?}: {reason}")]
    NotServed {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it would take.
        reason: &'static str,
    },
    /// A setting is needed and not set.
    #[error("`{name}` is needed to {purpose}")]
    Missing {
        /// The setting.
        name: &'static str,
        /// What for.
        purpose: &'static str,
    },
    /// The setting leads to something that cannot be used.
    #[error("`{name}`: {reason}")]
    Unusable {
        /// The setting.
        name: &'static str,
        /// Why not, and what to do. Nothing secret.
        reason: String,
    },
    /// A pattern is no regular expression.
    #[error("{pattern:?} is no pattern: {reason}")]
    BadPattern {
        /// What was given.
        pattern: String,
        /// Why not.
        reason: String,
    },
    /// Two settings contradict each other.
    #[error("`{name}` contradicts `{other}`: {reason}")]
    Contradiction {
        /// The one.
        name: &'static str,
        /// The other.
        other: &'static str,
        /// Why.
        reason: &'static str,
    },
}

/// The settings of a client, by Kafka's names.
///
/// Setters never fail; what is wrong is kept and told by [`Kafka::connect`](crate::Kafka::connect)
/// and by whatever else is built from the settings.
#[derive(Clone, Default)]
pub struct ClientConfig {
    values: BTreeMap<&'static str, String>,
    without_effect: BTreeSet<String>,
    errors: Vec<ConfigError>,
    allow_unknown: bool,
    tokens: Option<SharedProvider>,
}

impl ClientConfig {
    /// The defaults, and where to connect: `host:port`, several separated by commas.
    #[must_use]
    pub fn new(bootstrap_servers: &str) -> Self {
        Self::default().set(keys::BOOTSTRAP_SERVERS.name, bootstrap_servers)
    }

    /// The settings of a properties file, such as a Java client has: `name=value` on each line,
    /// `#` or `!` before a comment.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn from_properties(text: &str) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            let bad_line = ConfigError::BadLine { line: index + 1 };
            let (name, value) = line.split_once(['=', ':']).ok_or(bad_line)?;
            config = config.set(name.trim(), value.trim());
        }
        config.check()?;
        Ok(config)
    }

    /// Sets by name: Kafka's, or librdkafka's where that differs.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        match keys::find(name) {
            Some(row) if row.accepts(value) => {
                self.values.insert(row.name, value.to_owned());
            }
            Some(row) => {
                let (name, expected) = (row.name, row.expected());
                self.errors.push(ConfigError::BadValue { name, value: value.to_owned(), expected });
            }
            None if is_without_effect(name) => {
                self.without_effect.insert(name.to_owned());
            }
            None => {
                let nearest = keys::nearest(name);
                self.errors.push(ConfigError::UnknownKey { name: name.to_owned(), nearest });
            }
        }
        self
    }

    /// Sets by key, so that the compiler checks the value.
    #[must_use]
    pub fn with<T: Value>(self, key: &Key<T>, value: &T) -> Self {
        self.set(key.name, &value.print())
    }

    /// What the client calls itself.
    #[must_use]
    pub fn client_id(self, id: &str) -> Self {
        self.set(keys::CLIENT_ID.name, id)
    }

    /// How long a broker may take to answer.
    #[must_use]
    pub fn request_timeout(self, timeout: Duration) -> Self {
        self.with(&keys::REQUEST_TIMEOUT, &timeout)
    }

    /// When cluster metadata is asked for again though nothing went wrong.
    #[must_use]
    pub fn metadata_max_age(self, age: Duration) -> Self {
        self.with(&keys::METADATA_MAX_AGE, &age)
    }

    /// Whether names that no client knows are let pass.
    #[must_use]
    pub fn allow_unknown_keys(mut self, allow: bool) -> Self {
        self.allow_unknown = allow;
        self
    }

    /// Where the tokens for OAUTHBEARER come from.
    #[must_use]
    pub fn token_provider(mut self, provider: impl TokenProvider) -> Self {
        self.tokens = Some(SharedProvider::new(provider));
        self
    }

    pub(crate) fn provider(&self) -> Option<&SharedProvider> {
        self.tokens.as_ref()
    }

    /// The value of a setting: what was set, or its default.
    #[must_use]
    pub fn get<T: Value>(&self, key: &Key<T>) -> T {
        let text = self.values.get(key.name).map_or(key.default, String::as_str);
        T::parse(text).expect("values are checked when they are set, defaults by a test")
    }

    /// Whether a setting was set, if only to its default.
    #[must_use]
    pub fn is_set<T>(&self, key: &Key<T>) -> bool {
        self.values.contains_key(key.name)
    }

    /// The first thing that is wrong with the settings.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let unknown = |error: &&ConfigError| matches!(error, ConfigError::UnknownKey { .. });
        match self.errors.iter().find(|error| !(self.allow_unknown && unknown(error))) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// The names that were set and change nothing here.
    pub fn without_effect(&self) -> impl Iterator<Item = &str> {
        self.without_effect.iter().map(String::as_str)
    }

    /// Every setting with the value in force, one a line. Nothing secret is shown.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for row in keys::ROWS {
            let value = self.values.get(row.name).map_or(row.default, String::as_str);
            let origin = if self.values.contains_key(row.name) { "" } else { "  # default" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}={}{origin}", row.name, row.shown(value));
        }
        for name in &self.without_effect {
            let _ = writeln!(text, "# {name} has no effect");
        }
        text
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in &self.values {
            map.entry(name, &keys::find(name).map_or("", |row| row.shown(value)));
        }
        map.finish()
    }
}

fn is_without_effect(name: &str) -> bool {
    keys::WITHOUT_EFFECT.contains(&name) || name.ends_with(".class")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_model_for_types_and_text() {
        let typed = ClientConfig::new("a:1,b:2").request_timeout(Duration::from_secs(3));
        let text = ClientConfig::from_properties(
            "# comment\nmetadata.broker.list = a:1, b:2\n\n! another\nsocket.timeout.ms: 3000\n",
        )
        .unwrap();
        for config in [typed, text] {
            assert_eq!(config.get(&keys::BOOTSTRAP_SERVERS), ["a:1", "b:2"]);
            assert_eq!(config.get(&keys::REQUEST_TIMEOUT), Duration::from_secs(3));
            assert_eq!(config.get(&keys::LINGER), Duration::from_millis(5));
        }
    }

    #[test]
    fn mistakes_are_named() {
        let check = |text: &str| ClientConfig::from_properties(text).unwrap_err().to_string();
        for (text, error) in [
            ("linger=5", "there is no setting `linger`; did you mean `linger.ms`?"),
            ("acks=2", "`acks` cannot be \"2\": expected all, 1 or 0"),
            ("acks=1\nnonsense", "line 2 of the properties is not `name=value`"),
            (
                "linger.ms=-1",
                "`linger.ms` cannot be \"-1\": expected milliseconds, from 0 to 2147483647",
            ),
            (
                "auto.commit.interval.ms=0",
                "`auto.commit.interval.ms` cannot be \"0\": \
                 expected milliseconds, from 1 to 2147483647",
            ),
        ] {
            assert_eq!(check(text), error);
        }
        let relaxed = ClientConfig::new("a:1").set("foo.bar", "1").allow_unknown_keys(true);
        assert_eq!(relaxed.check(), Ok(()));
        assert!(relaxed.set("acks", "x").check().is_err());
    }

    #[test]
    fn a_time_is_zero_only_where_that_means_something() {
        let check = |name: &str, accepts| {
            assert_eq!(ClientConfig::default().set(name, "0").check().is_ok(), accepts, "{name}");
        };
        for name in ["linger.ms", "fetch.max.wait.ms", "max.block.ms", "reconnect.backoff.ms"] {
            check(name, true);
        }
        for name in [
            "auto.commit.interval.ms",
            "heartbeat.interval.ms",
            "max.poll.interval.ms",
            "metadata.max.age.ms",
            "retry.backoff.ms",
            "retry.backoff.max.ms",
        ] {
            check(name, false);
        }
        let typed = ClientConfig::new("a:1").metadata_max_age(Duration::from_micros(999));
        assert!(matches!(typed.check(), Err(ConfigError::BadValue { .. })));
    }

    #[test]
    fn foreign_names_are_let_pass_and_secrets_are_not_shown() {
        let text = "bootstrap.servers=a:1\nkey.serializer=org.Foo\nsasl.password=hunter2\n\
                    ssl.keystore.password=hunter3";
        let config = ClientConfig::from_properties(text).unwrap();
        let names: Vec<_> = config.without_effect().collect();
        assert_eq!(names, ["key.serializer", "ssl.keystore.password"]);
        let told = format!("{config:?}{}", config.describe());
        assert!(
            told.contains("bootstrap.servers=a:1\n") && told.contains("linger.ms=5  # default")
        );
        assert!(!told.contains("hunter") && told.contains("sasl.password=[redacted]"));
        assert!(told.contains("ssl.key.password=  # default"));
        assert_eq!(config.get(&keys::SASL_PASSWORD).unwrap().expose(), "hunter2");
    }

    #[test]
    fn every_choice_prints_what_it_reads() {
        for (row, texts) in [
            ("acks", &["all", "1", "0"][..]),
            ("partitioner", &["fnv1a_random", "murmur2_random", "consistent_random"]),
            ("auto.offset.reset", &["earliest", "latest", "none"]),
            ("compression.type", &["none", "gzip", "snappy", "lz4", "zstd"]),
        ] {
            let row = keys::find(row).unwrap();
            assert!(texts.iter().all(|text| row.accepts(text)), "{}", row.name);
        }
        assert_eq!(Acks::parse("-1"), Some(Acks::All));
        assert_eq!(Acks::All.print(), "all");
    }
}
