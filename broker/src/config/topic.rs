//! The settings of one topic: what was set on it, and what therefore holds.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::records::{Compression, TimestampType};
use klamm_storage::{Durability, LogOptions};

use super::broker::BrokerConfig;
use super::keys::topic_key;
use super::layers::{Layers, Values};
use super::value::{ConfigError, boolean, elements};

/// What happens to the old records of a topic. Neither keeps them for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleanup {
    /// Whole segments go, by age and size.
    pub delete: bool,
    /// Of each key, only the last record stays.
    pub compact: bool,
}

/// How the records of a topic are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredCompression {
    /// As the producer sent them.
    Producer,
    /// In this codec, whatever the producer sent.
    Codec(Compression),
}

/// Levels for batches that the broker compresses itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressionLevels {
    /// 1 to 9; -1 is the codec's own default.
    pub gzip: i32,
    /// 1 to 17.
    pub lz4: i32,
    /// -131,072 to 22.
    pub zstd: i32,
}

impl CompressionLevels {
    /// The level for a codec; `None` is the codec's own default.
    #[must_use]
    pub fn of(self, codec: Compression) -> Option<i32> {
        match codec {
            Compression::Gzip => Some(self.gzip).filter(|level| *level != -1),
            Compression::Lz4 => Some(self.lz4),
            Compression::Zstd => Some(self.zstd),
            Compression::None | Compression::Snappy => None,
        }
    }
}

/// Which timestamps a topic takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampRules {
    /// Whose time it is.
    pub kind: TimestampType,
    /// How far it may lie behind the broker's clock, in milliseconds.
    pub before_max_ms: i64,
    /// How far it may lie ahead of the broker's clock, in milliseconds.
    pub after_max_ms: i64,
}

/// When a topic is compacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compaction {
    /// The share of uncompacted bytes at which it starts.
    pub dirty_ratio_min: f64,
    /// How long a record stays uncompacted at least.
    pub lag_min: Duration,
    /// How long it may stay so at most.
    pub lag_max: Duration,
    /// How long tombstones are kept.
    pub tombstone_retention: Duration,
}

/// The settings that hold for one topic; parsed once, shared by reference.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// `cleanup.policy`.
    pub cleanup: Cleanup,
    /// `compression.type`.
    pub compression: StoredCompression,
    /// `compression.*.level`.
    pub levels: CompressionLevels,
    /// `message.timestamp.*`.
    pub timestamps: TimestampRules,
    /// `max.message.bytes`.
    pub message_bytes_max: usize,
    /// `min.insync.replicas`.
    pub insync_replicas_min: i32,
    /// Compaction, where `cleanup` has it.
    pub compaction: Compaction,
    /// Segments, retention by age and size, and durability. Retention is off where `cleanup` does
    /// not delete.
    pub log: LogOptions,
}

/// What was set on one topic, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicOverrides(Values);

impl TopicOverrides {
    /// The value set for a key.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets a key. Not checked: see [`validate`](Self::validate).
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// Takes a key back to its default.
    pub fn unset(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is set.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.0
    }

    /// What is set, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Says why a topic cannot have these settings, in Kafka's words.
    ///
    /// # Errors
    /// A key is unknown, a value is not one that its key takes, or two contradict each other.
    pub fn validate(&self, layers: &Layers) -> Result<(), ConfigError> {
        self.iter().try_for_each(|(name, value)| validate(name, value))?;
        let held = Held { overrides: self, layers };
        let (lag_min, lag_max) =
            (held.number("min.compaction.lag.ms"), held.number("max.compaction.lag.ms"));
        if lag_min > lag_max {
            return Err(ConfigError::Conflict {
                lesser: "min.compaction.lag.ms",
                lesser_value: lag_min,
                greater: "max.compaction.lag.ms",
                greater_value: lag_max,
            });
        }
        if held.boolean("remote.storage.enable") {
            return Err(ConfigError::NoTieredStorage);
        }
        Ok(())
    }

    /// The settings that hold for a topic of this broker.
    #[must_use]
    pub fn effective(&self, broker: &BrokerConfig) -> Arc<TopicConfig> {
        if self.is_empty() {
            return Arc::clone(&broker.topic_defaults);
        }
        Arc::new(TopicConfig::of(self, &broker.layers))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for TopicOverrides {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Says why a topic cannot have this value for this key, in Kafka's words.
///
/// # Errors
/// No topic has such a key, or the key takes no such value.
pub fn validate(name: &str, value: &str) -> Result<(), ConfigError> {
    let key = topic_key(name).ok_or_else(|| ConfigError::UnknownTopicKey(name.to_owned()))?;
    key.validate(value)
}

impl TopicConfig {
    /// The settings that hold for a topic with these overrides on a broker with these values.
    pub(super) fn of(overrides: &TopicOverrides, layers: &Layers) -> Self {
        let held = Held { overrides, layers };
        let cleanup = held.cleanup();
        Self {
            cleanup,
            compression: held.compression(),
            levels: CompressionLevels {
                gzip: held.number("compression.gzip.level"),
                lz4: held.number("compression.lz4.level"),
                zstd: held.number("compression.zstd.level"),
            },
            timestamps: TimestampRules {
                kind: match held.text("message.timestamp.type").as_str() {
                    "LogAppendTime" => TimestampType::LogAppend,
                    _ => TimestampType::Create,
                },
                before_max_ms: held.number("message.timestamp.before.max.ms"),
                after_max_ms: held.number("message.timestamp.after.max.ms"),
            },
            message_bytes_max: held.number("max.message.bytes"),
            insync_replicas_min: held.number("min.insync.replicas"),
            compaction: Compaction {
                dirty_ratio_min: held.number("min.cleanable.dirty.ratio"),
                lag_min: held.millis("min.compaction.lag.ms"),
                lag_max: held.millis("max.compaction.lag.ms"),
                tombstone_retention: held.millis("delete.retention.ms"),
            },
            log: held.log_options(cleanup),
        }
    }
}

/// The values that hold for one topic.
struct Held<'a> {
    overrides: &'a TopicOverrides,
    layers: &'a Layers,
}

impl Held<'_> {
    /// The text that holds. One that its key does not take (an older version may have stored it)
    /// counts as not set.
    fn text(&self, name: &str) -> String {
        let Some(key) = topic_key(name) else { return String::new() };
        let is_taken = |text: &String| key.validate(text).is_ok();
        let own = self.overrides.get(name).map(|text| text.trim().to_owned()).filter(is_taken);
        let inherited = || self.layers.inherited(key).filter(is_taken);
        own.or_else(inherited).or_else(|| key.default.map(str::to_owned)).unwrap_or_default()
    }

    /// A number; zero only if the key is no number, which the tests of the table exclude.
    fn number<T: FromStr + Default>(&self, name: &str) -> T {
        self.text(name).parse().unwrap_or_default()
    }

    fn boolean(&self, name: &str) -> bool {
        boolean(name, &self.text(name)).unwrap_or_default()
    }

    fn millis(&self, name: &str) -> Duration {
        Duration::from_millis(self.number(name))
    }

    fn cleanup(&self) -> Cleanup {
        let text = self.text("cleanup.policy");
        let has = |word| elements(&text).any(|element| element == word);
        Cleanup { delete: has("delete"), compact: has("compact") }
    }

    fn compression(&self) -> StoredCompression {
        StoredCompression::Codec(match self.text("compression.type").as_str() {
            "uncompressed" => Compression::None,
            "gzip" => Compression::Gzip,
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4,
            "zstd" => Compression::Zstd,
            _ => return StoredCompression::Producer,
        })
    }

    fn log_options(&self, cleanup: Cleanup) -> LogOptions {
        let limit = |name| Some(self.number::<i64>(name)).filter(|limit| *limit >= 0);
        let retention = |name| limit(name).filter(|_| cleanup.delete);
        let (durability, window) = self.durability();
        LogOptions {
            segment_bytes: self.number("segment.bytes"),
            segment_ms: self.number("segment.ms"),
            segment_jitter_ms: self.number("segment.jitter.ms"),
            index_interval_bytes: self.number("index.interval.bytes"),
            index_bytes_max: self.number("segment.index.bytes"),
            retention_ms: retention("retention.ms"),
            retention_bytes: retention("retention.bytes").map(i64::unsigned_abs),
            file_delete_delay: self.millis("file.delete.delay.ms"),
            durability,
            window,
            window_bytes: self.number("durability.window.bytes"),
            ..LogOptions::default()
        }
    }

    /// What an acknowledgement promises, and the window of `interval`.
    ///
    /// Kafka's flush settings are understood where nothing nearer to the topic, or as near, sets
    /// `durability` itself.
    fn durability(&self) -> (Durability, Duration) {
        let window = self.millis("durability.window.ms");
        let is_own = |name| self.overrides.get(name).is_some();
        let has_own_flush = is_own("flush.messages") || is_own("flush.ms");
        if is_own("durability") || (!has_own_flush && self.layers.is_set("durability")) {
            let durability = match self.text("durability").as_str() {
                "interval" => Durability::Interval,
                "os-cached" => Durability::OsCached,
                _ => Durability::Synced,
            };
            return (durability, window);
        }
        match (self.number::<u64>("flush.messages"), self.number::<u64>("flush.ms")) {
            (1, _) | (NEVER, NEVER) => (Durability::Synced, window),
            (_, NEVER) => (Durability::Interval, window),
            (_, flush_ms) => (Durability::Interval, Duration::from_millis(flush_ms)),
        }
    }
}

/// What Kafka's flush settings are when nobody sets them.
const NEVER: u64 = i64::MAX.unsigned_abs();

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(pairs: &[(&str, &str)]) -> TopicOverrides {
        pairs.iter().copied().collect()
    }

    fn of(pairs: &[(&str, &str)]) -> TopicConfig {
        TopicConfig::of(&overrides(pairs), &Layers::default())
    }

    #[test]
    fn nothing_set_is_kafkas_defaults_but_synced() {
        let config = of(&[]);
        assert_eq!(config.log, LogOptions::default());
        assert_eq!(config.cleanup, Cleanup { delete: true, compact: false });
        assert_eq!(config.compression, StoredCompression::Producer);
        assert_eq!(config.message_bytes_max, 1_048_588);
        assert_eq!(config.insync_replicas_min, 1);
        assert_eq!(config.timestamps.after_max_ms, 3_600_000);
        assert_eq!(config.compaction.dirty_ratio_min, 0.5);
    }

    #[test]
    fn every_setting_arrives() {
        let config = of(&[
            ("cleanup.policy", "compact, delete"),
            ("compression.type", "zstd"),
            ("compression.zstd.level", "-7"),
            ("message.timestamp.type", "LogAppendTime"),
            ("max.message.bytes", "10"),
            ("segment.bytes", "1048576"),
            ("segment.ms", " 5 "),
            ("retention.ms", "-1"),
            ("retention.bytes", "7"),
            ("min.cleanable.dirty.ratio", "0.25"),
        ]);
        assert_eq!(config.cleanup, Cleanup { delete: true, compact: true });
        assert_eq!(config.compression, StoredCompression::Codec(Compression::Zstd));
        assert_eq!(config.levels.zstd, -7);
        assert_eq!(config.timestamps.kind, TimestampType::LogAppend);
        assert_eq!(config.message_bytes_max, 10);
        assert_eq!((config.log.segment_bytes, config.log.segment_ms), (1_048_576, 5));
        assert_eq!((config.log.retention_ms, config.log.retention_bytes), (None, Some(7)));
        assert_eq!(config.compaction.dirty_ratio_min, 0.25);
    }

    #[test]
    fn a_topic_that_is_only_compacted_has_no_retention() {
        let log = of(&[("cleanup.policy", "compact"), ("retention.bytes", "7")]).log;
        assert_eq!((log.retention_ms, log.retention_bytes), (None, None));
    }

    #[test]
    fn a_stored_value_that_is_not_taken_counts_as_not_set() {
        assert_eq!(of(&[("segment.bytes", "-5"), ("no.such.key", "1")]), of(&[]));
    }

    #[test]
    fn durability_is_said_in_our_words_or_in_kafkas() {
        let check = |broker: &[(&str, &str)], topic: &[(&str, &str)], durability, window_ms| {
            let fixed = broker.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            let layers = Layers { fixed: fixed.collect(), ..Layers::default() };
            let log = TopicConfig::of(&overrides(topic), &layers).log;
            let window = Duration::from_millis(window_ms);
            assert_eq!((log.durability, log.window), (durability, window), "{broker:?} {topic:?}");
        };
        use Durability::{Interval, OsCached, Synced};
        check(&[], &[], Synced, 1000);
        check(&[], &[("durability", "os-cached")], OsCached, 1000);
        check(&[], &[("durability", "interval"), ("durability.window.ms", "5")], Interval, 5);
        check(&[], &[("flush.messages", "1")], Synced, 1000);
        check(&[], &[("flush.messages", "9")], Interval, 1000);
        check(&[], &[("flush.ms", "7")], Interval, 7);
        check(&[("log.flush.interval.ms", "7")], &[], Interval, 7);
        check(&[("log.flush.interval.ms", "7"), ("durability", "synced")], &[], Synced, 1000);
        check(&[("durability", "os-cached")], &[], OsCached, 1000);
        check(&[("durability", "os-cached")], &[("flush.messages", "1")], Synced, 1000);
        check(&[("log.flush.interval.ms", "7")], &[("durability", "synced")], Synced, 1000);
    }

    #[test]
    fn settings_are_refused_in_the_words_of_kafka() {
        let check = |pairs: &[(&str, &str)], answer: &str| {
            let error = overrides(pairs).validate(&Layers::default()).unwrap_err();
            assert_eq!(error.to_string(), answer);
        };
        check(&[("foo", "1")], "Unknown topic config name: foo");
        check(
            &[("min.compaction.lag.ms", "100"), ("max.compaction.lag.ms", "50")],
            "conflict topic config setting min.compaction.lag.ms (100) > \
             max.compaction.lag.ms (50)",
        );
        check(
            &[("remote.storage.enable", "true")],
            "Tiered Storage functionality is disabled in the broker. \
             Topic cannot be configured with remote log storage.",
        );
    }
}
