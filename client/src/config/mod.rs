//! The settings of clients: typed setters, and the names that every Kafka user knows.

mod contradictions;
mod environment;
mod error;
mod foreign;
pub mod keys;
mod offset_reset;
mod properties;
mod secret;
mod security;
mod setters;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::path::Path;

use klamm_protocol::records::Compression;

use crate::sasl::{SharedProvider, TokenProvider};

pub use error::ConfigError;
pub use keys::Key;
pub use offset_reset::OffsetReset;
pub use secret::Secret;
pub use security::{HostNameCheck, SaslMechanism, StoreType, TlsVersion};
pub use value::{
    Acks, Assignor, GroupProtocol, IsolationLevel, MetadataRecovery, Partitioner, SecurityProtocol,
    TimeLimit, Value,
};

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

    /// The settings of a properties file, such as a Java client has, read as Java does. What is
    /// wrong with them is told when it is asked for.
    ///
    /// # Errors
    /// Only what makes the text no properties: an escape that means nothing.
    pub fn from_properties(text: &str) -> Result<Self, ConfigError> {
        let pairs = properties::parse(text).map_err(|line| ConfigError::BadEscape { line })?;
        let set = |config: Self, (name, value): &(String, String)| config.set(name, value);
        Ok(pairs.iter().fold(Self::default(), set))
    }

    /// The settings of the properties file at this path, as [`from_properties`] reads them.
    ///
    /// # Errors
    /// It cannot be read, or is no properties file.
    ///
    /// [`from_properties`]: Self::from_properties
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let reason = error.to_string();
            ConfigError::Unreadable { path: path.to_owned(), reason }
        })?;
        Self::from_properties(&text)
    }

    /// These settings with others laid over them: where both set something, the others' stands.
    ///
    /// ```
    /// use klamm_client::ClientConfig;
    /// use klamm_client::config::keys;
    ///
    /// # fn main() -> Result<(), klamm_client::ConfigError> {
    /// let file = ClientConfig::from_properties("bootstrap.servers=a:9092\nacks=1")?;
    /// let environment = ClientConfig::from_env("EXAMPLE_");
    /// let arguments = ClientConfig::default().set("bootstrap.servers", "b:9092");
    /// let config = file.overlaid(environment).overlaid(arguments);
    /// assert_eq!(config.get(&keys::BOOTSTRAP_SERVERS), ["b:9092"]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn overlaid(mut self, over: Self) -> Self {
        self.values.extend(over.values);
        self.without_effect.extend(over.without_effect);
        self.errors.extend(over.errors);
        self.allow_unknown |= over.allow_unknown;
        self.tokens = over.tokens.or(self.tokens);
        self
    }

    /// Sets by name: Kafka's, or librdkafka's where that differs. White space around the value is
    /// dropped, as Kafka's clients do.
    #[must_use]
    pub fn set(self, name: &str, value: &str) -> Self {
        self.put(name, value.trim())
    }

    fn put(mut self, name: &str, value: &str) -> Self {
        if let Some(row) = keys::find(name) {
            if row.accepts(value) {
                self.values.insert(row.name, value.to_owned());
            } else {
                let (name, expected) = (row.name, row.expected());
                self.errors.push(ConfigError::BadValue { name, value: value.to_owned(), expected });
            }
        } else if let Some(refused) = foreign::refused(name) {
            if !refused.is_harmless(value) {
                let (name, reason) = (name.to_owned(), refused.reason);
                self.errors.push(ConfigError::Refused { name, reason });
            }
        } else if foreign::is_without_effect(name) {
            self.without_effect.insert(name.to_owned());
        } else {
            let nearest = foreign::nearest(name);
            self.errors.push(ConfigError::UnknownKey { name: name.to_owned(), nearest });
        }
        self
    }

    /// Sets by key, so that the compiler checks the value. It is taken as it is, white space and all.
    #[must_use]
    pub fn with<T: Value>(self, key: &Key<T>, value: &T) -> Self {
        self.put(key.name, &value.print())
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

    /// All that is wrong with the settings: each of them, and those that contradict each other.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let unknown = |error: &&ConfigError| matches!(error, ConfigError::UnknownKey { .. });
        let errors = self.errors.iter().filter(|error| !(self.allow_unknown && unknown(error)));
        ConfigError::of(errors.cloned().chain(contradictions::of(self)).collect())
    }

    /// The level that is meant for a compression: of `compression.level` and the codec's own
    /// setting, the first that says something.
    #[must_use]
    pub fn compression_level(&self, compression: Compression) -> Option<i32> {
        let of_codec = match compression {
            Compression::None | Compression::Snappy => return None,
            Compression::Gzip => self.get(&keys::COMPRESSION_GZIP_LEVEL),
            Compression::Lz4 => self.get(&keys::COMPRESSION_LZ4_LEVEL),
            Compression::Zstd => self.get(&keys::COMPRESSION_ZSTD_LEVEL),
        };
        let general = self.get(&keys::COMPRESSION_LEVEL).filter(|level| *level != -1);
        Some(general.unwrap_or(of_codec))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
        let check = |text: &str| {
            ClientConfig::from_properties(text).unwrap().check().unwrap_err().to_string()
        };
        for (text, error) in [
            ("linger=5", "there is no setting `linger`; did you mean `linger.ms`?"),
            ("acks=2", "`acks` cannot be \"2\": expected all, 1 or 0"),
            (
                "acks=1\nfetch.min.byte=1\nlinger.ms=x\nenable.idempotence=true",
                "there is no setting `fetch.min.byte`; did you mean `fetch.min.bytes`?; \
                 `linger.ms` cannot be \"x\": expected milliseconds, from 0 to 2147483647; \
                 `enable.idempotence` contradicts `acks`: an idempotent producer needs acks=all",
            ),
            (
                "topic.blacklist=a",
                "`topic.blacklist` cannot be set: topics are chosen by what is subscribed to",
            ),
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
        let typed = |age| ClientConfig::new("a:1").metadata_max_age(age);
        assert!(matches!(typed(Duration::ZERO).check(), Err(ConfigError::BadValue { .. })));
        // Part of a millisecond is a whole one.
        let least = typed(Duration::from_micros(999));
        assert_eq!(least.get(&keys::METADATA_MAX_AGE), Duration::from_millis(1));
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
    fn what_is_typed_keeps_its_white_space() {
        use crate::config::SaslMechanism;

        let typed = ClientConfig::new("a:1").sasl(SaslMechanism::Plain, "ann ", " secret ");
        assert_eq!(typed.get(&keys::SASL_USERNAME).as_deref(), Some("ann "));
        assert_eq!(typed.get(&keys::SASL_PASSWORD).unwrap().expose(), " secret ");
        let text = typed.set("sasl.password", " secret ");
        assert_eq!(text.get(&keys::SASL_PASSWORD).unwrap().expose(), "secret");
    }

    #[test]
    fn later_layers_win() {
        let lower = ClientConfig::new("a:1").set("acks", "1").set("no.such", "1");
        let upper = ClientConfig::new("b:1").set("key.serializer", "x").allow_unknown_keys(true);
        let config = lower.overlaid(upper);
        config.check().unwrap();
        assert_eq!(config.get(&keys::BOOTSTRAP_SERVERS), ["b:1"]);
        assert_eq!(config.get(&keys::ACKS), Acks::Leader);
        assert!(config.without_effect().eq(["key.serializer"]));
    }

    #[test]
    fn files_are_settings() {
        let missing = ClientConfig::from_file("/no/such/file").unwrap_err().to_string();
        assert!(missing.starts_with("cannot read /no/such/file: "), "{missing}");
        let escape = ClientConfig::from_properties("a=1\nb=\\u1").unwrap_err();
        assert_eq!(escape, ConfigError::BadEscape { line: 2 });
    }

    #[test]
    fn what_asks_for_nothing_is_not_refused() {
        let settings = "config.providers=\nenable.auto.offset.store=true\nopaque=";
        assert_eq!(ClientConfig::from_properties(settings).unwrap().check(), Ok(()));
        for refused in ["enable.auto.offset.store=false", "dr_cb=1", "ssl.crl.location=x"] {
            let error = ClientConfig::from_properties(refused).unwrap().check().unwrap_err();
            assert!(matches!(error, ConfigError::Refused { .. }), "{error}");
        }
    }

    #[test]
    fn a_level_is_that_of_the_codec_or_of_all() {
        let check = |text: &str, codec, level| {
            let config = ClientConfig::from_properties(text).unwrap();
            assert_eq!(config.compression_level(codec), level, "{text}");
        };
        check("", Compression::Zstd, Some(3));
        check("", Compression::Gzip, Some(-1));
        check("compression.zstd.level=9", Compression::Zstd, Some(9));
        check("compression.zstd.level=9", Compression::Gzip, Some(-1));
        check("compression.zstd.level=9\ncompression.level=2", Compression::Zstd, Some(2));
        check("compression.level=-1", Compression::Lz4, Some(9));
        check("compression.level=5", Compression::Snappy, None);
    }

    #[test]
    fn every_choice_prints_what_it_reads() {
        for (row, texts) in [
            ("acks", &["all", "1", "0"][..]),
            ("partitioner", &["fnv1a_random", "murmur2_random", "consistent_random"]),
            ("auto.offset.reset", &["earliest", "latest", "none", "by_duration:PT1H"]),
            ("compression.type", &["none", "gzip", "snappy", "lz4", "zstd"]),
        ] {
            let row = keys::find(row).unwrap();
            assert!(texts.iter().all(|text| row.accepts(text)), "{}", row.name);
        }
        assert_eq!(Acks::parse("-1"), Some(Acks::All));
        assert_eq!(Acks::All.print(), "all");
    }
}
