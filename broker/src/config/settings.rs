//! What a broker is started with: files, environment and arguments, and which of them wins.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::address::ListenerError;
use super::broker::{BrokerConfig, BrokerConfigError};
use super::key::Effect;
use super::keys::{broker_key, nearest_broker_key};
use super::layers::Layers;
use super::value::ConfigError;
use super::{environment, properties, tables};

/// Where a setting was said. The later in this list, the stronger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In a file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1, where the format tells it.
        line: Option<usize>,
    },
    /// In a variable of the environment.
    Environment {
        /// The variable.
        variable: String,
    },
    /// As `-X key=value`, or by a program that embeds the broker.
    Argument,
    /// By a flag of its own.
    Flag {
        /// The flag, as in `--listen`.
        flag: &'static str,
    },
}

impl Origin {
    fn strength(&self) -> u8 {
        match self {
            Self::File { .. } => 0,
            Self::Environment { .. } => 1,
            Self::Argument => 2,
            Self::Flag { .. } => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Environment { variable } => f.write_str(variable),
            Self::Argument => f.write_str("-X"),
            Self::Flag { flag } => f.write_str(flag),
        }
    }
}

/// A value, and where it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The value as text.
    pub value: String,
    /// Where it was said.
    pub origin: Origin,
}

/// The forms of a file of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Kafka's `server.properties`.
    Properties,
    /// The same keys in TOML; nested tables are joined by dots.
    Toml,
}

impl Format {
    /// The form that the name of a file promises.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Self::Toml,
            _ => Self::Properties,
        }
    }
}

/// Something that an operator should know about a setting, but that keeps nothing from running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// No such key.
    Unknown {
        /// The key.
        key: String,
        /// Where it was said.
        origin: Origin,
        /// The key that was perhaps meant.
        nearest: Option<&'static str>,
    },
    /// Kafka knows the key, and it does nothing here.
    NoEffect {
        /// The key.
        key: String,
        /// Where it was said.
        origin: Origin,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { key, origin, nearest: Some(nearest) } => {
                write!(f, "{origin}: unknown key {key}; did you mean {nearest}?")
            }
            Self::Unknown { key, origin, nearest: None } => {
                write!(f, "{origin}: unknown key {key}")
            }
            Self::NoEffect { key, origin } => write!(f, "{origin}: {key} has no effect here"),
        }
    }
}

/// Why settings cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The file is not of its form.
    #[error("{}:{line}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// An argument is not of the form `key=value`.
    #[error("-X needs key=value, not `{0}`")]
    Argument(String),
    /// The values cannot be used.
    #[error("{error}{}", said(origin.as_ref()))]
    Config {
        /// What is wrong.
        #[source]
        error: BrokerConfigError,
        /// Where the value at fault was said, if one value is.
        origin: Option<Origin>,
    },
}

fn said(origin: Option<&Origin>) -> String {
    origin.map(|origin| format!(" (said in {origin})")).unwrap_or_default()
}

/// The settings a broker is started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerSettings(BTreeMap<String, Setting>);

impl BrokerSettings {
    /// Nothing but defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what a file says.
    ///
    /// # Errors
    /// The file cannot be read or is not of the form that its name promises.
    pub fn add_file(&mut self, path: &Path) -> Result<(), SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        self.add_text(&text, Format::of(path), path)
    }

    /// Adds what a file of this text and name would say.
    ///
    /// # Errors
    /// The text is not of this form.
    pub fn add_text(
        &mut self,
        text: &str,
        format: Format,
        path: &Path,
    ) -> Result<(), SettingsError> {
        let entries = match format {
            Format::Properties => properties::parse(text),
            Format::Toml => tables::parse(text),
        };
        let entries = entries.map_err(|error| SettingsError::Syntax {
            path: path.to_owned(),
            line: error.line,
            reason: error.reason,
        })?;
        for Entry { key, value, line } in entries {
            self.set(&key, value, Origin::File { path: path.to_owned(), line });
        }
        Ok(())
    }

    /// Adds what the environment says, as in the image `apache/kafka`: `KAFKA_LOG_DIRS` is
    /// `log.dirs`.
    pub fn add_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (variable, value) in variables {
            if let Some(key) = environment::key(&variable) {
                self.set(&key, value, Origin::Environment { variable });
            }
        }
    }

    /// Adds an argument of the form `key=value`.
    ///
    /// # Errors
    /// It is not of that form.
    pub fn add_argument(&mut self, argument: &str) -> Result<(), SettingsError> {
        match argument.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                self.set(key.trim(), value.trim(), Origin::Argument);
                Ok(())
            }
            _ => Err(SettingsError::Argument(argument.to_owned())),
        }
    }

    /// Sets a key, unless a stronger origin has set it. `data.dir` is another name of `log.dirs`.
    pub fn set(&mut self, key: &str, value: impl Into<String>, origin: Origin) {
        let key = if key == "data.dir" { "log.dirs" } else { key };
        let is_weaker = |set: &Setting| origin.strength() < set.origin.strength();
        if !self.0.get(key).is_some_and(is_weaker) {
            self.0.insert(key.to_owned(), Setting { value: value.into(), origin });
        }
    }

    /// Listens at these addresses, each `host:port`: the short form of `listeners`.
    pub fn set_listen(&mut self, addresses: &[impl AsRef<str>], origin: Origin) {
        // Listeners need different names; the protocol of all is the same.
        let names: Vec<_> = (0..addresses.len()).map(listener_name).collect();
        let pairs = names.iter().zip(addresses);
        let listeners: Vec<_> =
            pairs.map(|(name, address)| format!("{name}://{}", address.as_ref())).collect();
        let map: Vec<_> = names.iter().map(|name| format!("{name}:PLAINTEXT")).collect();
        self.set("listeners", listeners.join(","), origin.clone());
        self.set("listener.security.protocol.map", map.join(","), origin);
    }

    /// What was said, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.0.iter().map(|(key, setting)| (key.as_str(), setting))
    }

    /// What an operator should know about the settings.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        self.iter().filter_map(|(key, setting)| warning(key, &setting.origin)).collect()
    }

    /// The settings that hold.
    ///
    /// # Errors
    /// A value cannot be used.
    pub fn config(&self) -> Result<BrokerConfig, SettingsError> {
        let mut fixed: BTreeMap<_, _> =
            self.iter().map(|(key, setting)| (key.to_owned(), setting.value.clone())).collect();
        // Two names of one number: whichever was said is shown for both, as Kafka does.
        for (one, other) in [("node.id", "broker.id"), ("broker.id", "node.id")] {
            if let (Some(value), None) = (fixed.get(one).cloned(), fixed.get(other)) {
                fixed.insert(other.to_owned(), value);
            }
        }
        let refused = match (fixed.get("node.id"), fixed.get("broker.id")) {
            (Some(node), Some(broker)) if node.trim() != broker.trim() => {
                Err(BrokerConfigError::Value(ConfigError::Invalid {
                    key: "broker.id".to_owned(),
                    value: broker.clone(),
                    reason: format!("You must set `node.id` to the same value; it is {node}"),
                }))
            }
            _ => Ok(()),
        };
        let config =
            refused.and_then(|()| BrokerConfig::new(Layers { fixed, ..Layers::default() }));
        config.map_err(|error| {
            let key = match &error {
                BrokerConfigError::Value(
                    ConfigError::Invalid { key, .. } | ConfigError::Beyond { key, .. },
                ) => key.as_str(),
                BrokerConfigError::Address { key, .. } => key,
                BrokerConfigError::Exception(_) => "max.connections.per.ip.overrides",
                BrokerConfigError::Folders(_) => "log.dirs",
                BrokerConfigError::Listener(
                    ListenerError::NotListening(_) | ListenerError::Unreachable(_),
                ) => "advertised.listeners",
                BrokerConfigError::Listener(_) => "listeners",
                BrokerConfigError::Value(_) => "",
            };
            let origin = self.0.get(key).map(|setting| setting.origin.clone());
            SettingsError::Config { error, origin }
        })
    }
}

/// One key and value of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) line: Option<usize>,
}

/// Why a text is not of its form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) line: usize,
    pub(crate) reason: String,
}

fn listener_name(index: usize) -> String {
    if index == 0 { "PLAINTEXT".to_owned() } else { format!("PLAINTEXT{}", index + 1) }
}

fn warning(key: &str, origin: &Origin) -> Option<Warning> {
    let (key, origin) = (key.to_owned(), origin.clone());
    match broker_key(&key) {
        Some(row) if row.effect == Effect::Used => None,
        Some(_) => Some(Warning::NoEffect { key, origin }),
        None if is_foreign(&key) => Some(Warning::NoEffect { key, origin }),
        None => {
            let nearest = nearest_broker_key(&key);
            Some(Warning::Unknown { key, origin, nearest })
        }
    }
}

/// Keys that files for Kafka have had, and that name nothing of this broker.
fn is_foreign(key: &str) -> bool {
    const PREFIXES: [&str; 6] =
        ["zookeeper.", "listener.name.", "confluent.", "rsm.config.", "rlmm.config.", "jmx."];
    const NAMES: [&str; 6] = [
        "inter.broker.protocol.version",
        "log.message.format.version",
        "log.message.timestamp.difference.max.ms",
        "log.message.downconversion.enable",
        "broker.id.generation.enable",
        "reserved.broker.max.id",
    ];
    NAMES.contains(&key) || PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings of the file that Kafka ships as `config/server.properties`.
    const SHIPPED: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
offsets.topic.replication.factor=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
";

    fn settings(text: &str) -> BrokerSettings {
        let mut settings = BrokerSettings::new();
        settings.add_text(text, Format::Properties, Path::new("server.properties")).unwrap();
        settings
    }

    /// The broker was node 1, and said that its `broker.id` was 2.
    #[test]
    fn two_names_of_one_number_have_one_value() {
        let mut settings = settings("node.id=1\nbroker.id=1\n");
        assert!(settings.config().is_ok());
        settings.add_argument("broker.id=2").unwrap();
        let refused = settings.config().unwrap_err().to_string();
        assert!(refused.contains("Invalid value 2 for configuration broker.id"), "{refused}");
        assert!(refused.contains("`node.id` to the same value; it is 1"), "{refused}");
    }

    #[test]
    fn the_file_that_kafka_ships_is_taken_once_its_openness_is_meant() {
        let mut settings = settings(SHIPPED);
        let refused = settings.config().unwrap_err().to_string();
        assert!(refused.contains("allow.insecure.listeners=true"), "{refused}");
        assert!(refused.ends_with("(said in server.properties:4)"), "{refused}");
        settings.add_argument("allow.insecure.listeners=true").unwrap();
        let config = settings.config().unwrap();
        assert_eq!(config.listeners.len(), 1);
        assert_eq!(config.data_dir, PathBuf::from("/tmp/kraft-combined-logs"));
        assert_eq!(config.layers.get("broker.id"), Some("1"));
        let no_effect = |warning: &Warning| matches!(warning, Warning::NoEffect { .. });
        assert!(settings.warnings().iter().all(no_effect));
    }

    #[test]
    fn what_is_advertised_wrongly_is_said_where_it_was_said() {
        let mut settings = settings("node.id=1\nadvertised.listeners=B://a:1");
        settings.set_listen(&["localhost:0"], Origin::Flag { flag: "--listen" });
        assert_eq!(
            settings.config().unwrap_err().to_string(),
            "advertised.listeners names B, which is not in listeners (said in server.properties:2)"
        );
    }

    #[test]
    fn the_stronger_origin_wins_in_whatever_order() {
        let file = Origin::File { path: "f".into(), line: Some(1) };
        let environment = Origin::Environment { variable: "KAFKA_NODE_ID".into() };
        let flag = Origin::Flag { flag: "--node" };
        let rising = [file, environment, Origin::Argument, flag];
        for (stronger, weaker) in
            (1..rising.len()).flat_map(|one| (0..one).map(move |it| (one, it)))
        {
            for order in [[stronger, weaker], [weaker, stronger]] {
                let mut settings = BrokerSettings::new();
                for index in order {
                    settings.set("node.id", index.to_string(), rising[index].clone());
                }
                assert_eq!(settings.0["node.id"].value, stronger.to_string());
            }
        }
    }

    #[test]
    fn warnings_name_the_place_and_the_likely_key() {
        let warnings =
            settings("num.partition=1\nzookeeper.connect=a\nnum.io.threads=2\n").warnings();
        let texts: Vec<_> = warnings.iter().map(Warning::to_string).collect();
        assert_eq!(
            texts,
            [
                "server.properties:3: num.io.threads has no effect here",
                "server.properties:1: unknown key num.partition; did you mean num.partitions?",
                "server.properties:2: zookeeper.connect has no effect here",
            ]
        );
    }

    #[test]
    fn the_environment_speaks_as_in_kafkas_image() {
        let variables = [("KAFKA_LOG_DIRS", "/d"), ("KAFKA_HEAP_OPTS", "-Xmx1g"), ("HOME", "/")];
        let mut settings = BrokerSettings::new();
        settings.add_environment(variables.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(settings.config().unwrap().data_dir, PathBuf::from("/d"));
        assert_eq!(settings.iter().count(), 1);
    }

    #[test]
    fn short_forms() {
        let mut settings = BrokerSettings::new();
        settings.set("data.dir", "/d", Origin::Flag { flag: "--data-dir" });
        settings.set_listen(&["localhost:0", "127.0.0.1:1"], Origin::Flag { flag: "--listen" });
        let config = settings.config().unwrap();
        assert_eq!(config.data_dir, PathBuf::from("/d"));
        let ports: Vec<_> = config.listeners.iter().map(|listener| listener.port).collect();
        assert_eq!(ports, [0, 1]);
        assert!(settings.add_argument("novalue").is_err());
    }

    #[test]
    fn a_bad_value_is_told_with_its_place() {
        let error = settings("\nnum.partitions=0\n").config().unwrap_err();
        assert_eq!(
            error.to_string(),
            "Invalid value 0 for configuration num.partitions: Value must be at least 1 \
             (said in server.properties:2)"
        );
    }
}
