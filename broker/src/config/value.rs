//! Texts as values: Kafka's types, Kafka's bounds, Kafka's words for what is wrong.

use std::str::FromStr;

use super::key::{Key, Kind, Valid};

/// Why a key cannot have a value. The text is the one that Kafka gives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A topic has no such key.
    #[error("Unknown topic config name: {0}")]
    UnknownTopicKey(String),
    /// The text is not of the key's type, or outside what the key takes.
    #[error("Invalid value {value} for configuration {key}: {reason}")]
    Invalid {
        /// The key.
        key: String,
        /// The text given for it.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two keys contradict each other.
    #[error(
        "conflict topic config setting {lesser} ({lesser_value}) > {greater} ({greater_value})"
    )]
    Conflict {
        /// The key that must not be greater.
        lesser: &'static str,
        /// Its value.
        lesser_value: i64,
        /// The key that must not be less.
        greater: &'static str,
        /// Its value.
        greater_value: i64,
    },
    /// A group has no such key.
    #[error("Unknown group config name: {0}")]
    UnknownGroupKey(String),
    /// A subscription to the metrics of clients has no such key.
    #[error("Unknown client metrics configuration: {0}")]
    UnknownClientMetricsKey(String),
    /// A value lies beyond another.
    #[error("{key} must be {relation} {bound}")]
    Beyond {
        /// The key.
        key: String,
        /// How its value must lie.
        relation: &'static str,
        /// The key that it is compared with.
        bound: String,
    },
    /// Clients cannot be asked for metrics so often, or so seldom.
    #[error("Invalid value {0} for interval.ms, interval must be between 100 and 3600000 (1 hour)")]
    PushInterval(String),
    /// Clients cannot be chosen so.
    #[error("Illegal client matching pattern: {0}")]
    Pattern(String),
    /// A list has an element without text.
    #[error("Configuration '{0}' values must not be empty.")]
    EmptyElement(&'static str),
    /// The topic asks for storage that this broker does not have.
    #[error(
        "Tiered Storage functionality is disabled in the broker. \
         Topic cannot be configured with remote log storage."
    )]
    NoTieredStorage,
}

impl ConfigError {
    fn invalid(key: &str, value: &str, reason: impl Into<String>) -> Self {
        Self::Invalid { key: key.to_owned(), value: value.to_owned(), reason: reason.into() }
    }
}

/// See [`Key::validate`].
pub(super) fn validate(key: &Key, text: &str) -> Result<(), ConfigError> {
    match key.kind {
        Kind::Boolean => boolean(key.name, text).map(drop),
        Kind::Int => number::<i32>(key, text).and_then(|value| bounds(key, text, value.into())),
        Kind::Short => number::<i16>(key, text).and_then(|value| bounds(key, text, value.into())),
        Kind::Long => number::<i64>(key, text).and_then(|value| bounds(key, text, value)),
        Kind::Double => number::<f64>(key, text).and_then(|value| fraction(key, text, value)),
        Kind::List if has_gap(key, text) => Err(ConfigError::EmptyElement(key.name)),
        Kind::List => elements(text).try_for_each(|element| one_of(key, element)).and_then(|()| {
            if key.valid == Valid::ThrottledReplicas { throttled(key, text) } else { Ok(()) }
        }),
        Kind::String if key.valid == Valid::OffsetReset => offset_reset(key, text),
        Kind::String => one_of(key, text),
        Kind::Class | Kind::Password => Ok(()),
    }
}

/// See [`Key::shown`].
pub(super) fn shown(kind: Kind, text: &str) -> String {
    let text_of = |number: Option<i64>| number.map(|number| number.to_string());
    match kind {
        Kind::List => elements(text).collect::<Vec<_>>().join(","),
        Kind::Boolean => text.trim().to_ascii_lowercase(),
        Kind::Int | Kind::Short | Kind::Long => {
            text_of(text.trim().parse().ok()).unwrap_or_else(|| text.to_owned())
        }
        Kind::Double => text.trim().to_owned(),
        Kind::String | Kind::Class | Kind::Password => text.to_owned(),
    }
}

/// The elements of a list; none for an empty text.
pub(super) fn elements(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|element| !element.is_empty())
}

/// Reads a boolean as Kafka does: blanks and case do not matter.
pub(super) fn boolean(key: &str, text: &str) -> Result<bool, ConfigError> {
    match text.trim() {
        word if word.eq_ignore_ascii_case("true") => Ok(true),
        word if word.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(ConfigError::invalid(key, text, "Expected value to be either true or false")),
    }
}

fn number<T: FromStr>(key: &Key, text: &str) -> Result<T, ConfigError> {
    let reason = || format!("Not a number of type {}", key.kind.name());
    text.trim().parse().map_err(|_| ConfigError::invalid(key.name, text, reason()))
}

fn bounds(key: &Key, text: &str, value: i64) -> Result<(), ConfigError> {
    let reason = match key.valid {
        Valid::AtLeast(min) | Valid::Between(min, _) if value < min => {
            format!("Value must be at least {min}")
        }
        Valid::Between(_, max) if value > max => format!("Value must be no more than {max}"),
        Valid::NotZero if value == 0 => {
            "Value must be unlimited (-1) or greater than or equal to 1".to_owned()
        }
        Valid::BetweenOr(min, max, other) if !(min..=max).contains(&value) && value != other => {
            format!("Value must be between {min} and {max} or equal to {other}")
        }
        _ => return Ok(()),
    };
    Err(ConfigError::invalid(key.name, text.trim(), reason))
}

fn fraction(key: &Key, text: &str, value: f64) -> Result<(), ConfigError> {
    let Valid::Between(min, max) = key.valid else { return Ok(()) };
    let reason = if value > max as f64 {
        format!("Value must be no more than {max}")
    } else if value >= min as f64 {
        return Ok(());
    } else {
        format!("Value must be at least {min}")
    };
    Err(ConfigError::invalid(key.name, text.trim(), reason))
}

/// Whether a list that is chosen from names nothing between two commas.
fn has_gap(key: &Key, text: &str) -> bool {
    let is_chosen = matches!(key.valid, Valid::OneOf(_));
    is_chosen && !text.trim().is_empty() && text.split(',').any(|it| it.trim().is_empty())
}

fn one_of(key: &Key, text: &str) -> Result<(), ConfigError> {
    match key.valid {
        Valid::OneOf(texts) if !texts.contains(&text) => {
            let reason = format!("String must be one of: {}", texts.join(", "));
            Err(ConfigError::invalid(key.name, text, reason))
        }
        Valid::OneOfInAnyCase(texts) if !texts.iter().any(|it| it.eq_ignore_ascii_case(text)) => {
            let texts = texts.join(", ");
            let reason = format!("String must be one of (case insensitive): {texts}");
            Err(ConfigError::invalid(key.name, text, reason))
        }
        _ => Ok(()),
    }
}

fn offset_reset(key: &Key, text: &str) -> Result<(), ConfigError> {
    let back = text.strip_prefix("by_duration:");
    if matches!(text, "earliest" | "latest") || back.is_some_and(is_duration) {
        return Ok(());
    }
    let name = key.name;
    let reason = format!(
        "Invalid value `{text}` for configuration {name}. The value must be either 'earliest', \
         'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
    );
    Err(ConfigError::invalid(name, text, reason))
}

/// Whether a text is a duration as ISO 8601 writes it, of days and less: `P2DT3H4M5.6S`.
fn is_duration(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    let Some(text) = text.strip_prefix('P') else { return false };
    match text.split_once('T') {
        Some((days, time)) => is_amounts(days, "D") && !time.is_empty() && is_amounts(time, "HMS"),
        None => !text.is_empty() && is_amounts(text, "D"),
    }
}

/// Whether a text is made of numbers, each with one of these units, each unit at most once and in
/// this order.
fn is_amounts(mut text: &str, units: &str) -> bool {
    for unit in units.chars() {
        let Some((amount, rest)) = text.split_once(unit) else { continue };
        let is_digit = |byte: u8| byte.is_ascii_digit() || (byte == b'.' && unit == 'S');
        if !amount.bytes().all(is_digit) || amount.parse::<f64>().is_err() {
            return false;
        }
        text = rest;
    }
    text.is_empty()
}

fn throttled(key: &Key, text: &str) -> Result<(), ConfigError> {
    let is_pair = |element: &str| {
        let pair = element.split_once(':');
        pair.is_some_and(|(partition, broker)| {
            partition.parse::<u32>().is_ok() && broker.parse::<u32>().is_ok()
        })
    };
    if text.trim() == "*" || elements(text).all(is_pair) {
        return Ok(());
    }
    let name = key.name;
    let value = format!("[{}]", elements(text).collect::<Vec<_>>().join(", "));
    let reason = format!(
        "{name} must be the literal '*' or a list of replicas in the following format: \
         [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    );
    Err(ConfigError::invalid(name, &value, reason))
}

#[cfg(test)]
mod tests {
    use crate::config::keys::{group_key, topic_key};

    /// What Kafka 4.3 answered to a topic made with this setting; empty where it made the topic.
    fn check(name: &str, text: &str, answer: &str) {
        let key = topic_key(name).unwrap();
        let said = key.validate(text).err().map(|error| error.to_string()).unwrap_or_default();
        let prefix = format!("Invalid value {text} for configuration {name}: ");
        assert_eq!(said.strip_prefix(&prefix).unwrap_or(&said), answer, "{name}={text}");
    }

    #[test]
    fn values_are_refused_in_the_words_of_kafka() {
        check("segment.bytes", "-5", "Value must be at least 1048576");
        check("segment.bytes", "x", "Not a number of type INT");
        check("segment.bytes", "99999999999", "Not a number of type INT");
        check("cleanup.policy", "bad", "String must be one of: compact, delete");
        check(
            "cleanup.policy",
            "compact,",
            "Configuration 'cleanup.policy' values must not be empty.",
        );
        check("retention.ms", "-2", "Value must be at least -1");
        check("retention.ms", "", "Not a number of type LONG");
        check("min.cleanable.dirty.ratio", "1.5", "Value must be no more than 1");
        check("min.cleanable.dirty.ratio", "z", "Not a number of type DOUBLE");
        check("preallocate", "yes", "Expected value to be either true or false");
        check("compression.gzip.level", "0", "Value must be between 1 and 9 or equal to -1");
        check("compression.lz4.level", "18", "Value must be no more than 17");
        check("message.timestamp.type", "x", "String must be one of: CreateTime, LogAppendTime");
        check("flush.messages", "0", "Value must be at least 1");
        check(
            "compression.type",
            "bad",
            "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer",
        );
    }

    #[test]
    fn values_are_taken_that_kafka_takes() {
        for (name, text) in [
            ("cleanup.policy", ""),
            ("cleanup.policy", "compact, delete"),
            ("cleanup.policy", "delete,delete"),
            ("preallocate", "TRUE"),
            ("retention.bytes", "-7"),
            ("segment.ms", " 1000 "),
            ("follower.replication.throttled.replicas", "*"),
            ("follower.replication.throttled.replicas", "0:1,1:1"),
            ("local.retention.ms", "700000000000"),
        ] {
            check(name, text, "");
        }
    }

    #[test]
    fn an_offset_is_reset_to_an_end_or_by_a_duration() {
        let key = group_key("share.auto.offset.reset").unwrap();
        for text in ["earliest", "latest", "by_duration:P1D", "by_duration:pt1.5s"] {
            assert_eq!(key.validate(text), Ok(()), "{text}");
        }
        let durations = ["", "P", "PT", "1H", "PT-1H", "P1DT", "PT1S1H", "PTS", "P1.5D", "PT1"];
        for text in durations.map(|it| format!("by_duration:{it}")) {
            assert!(key.validate(&text).is_err(), "{text}");
        }
        assert_eq!(
            key.validate("none").unwrap_err().to_string(),
            "Invalid value none for configuration share.auto.offset.reset: Invalid value `none` \
             for configuration share.auto.offset.reset. The value must be either 'earliest', \
             'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
        );
    }

    #[test]
    fn values_are_shown_as_they_are_read() {
        let check = |name: &str, text: &str, shown: &str| {
            assert_eq!(topic_key(name).unwrap().shown(text), shown);
        };
        check("retention.ms", " 0055 ", "55");
        check("cleanup.policy", " delete , compact", "delete,compact");
        check("preallocate", " TRUE ", "true");
        check("min.cleanable.dirty.ratio", " 0.5", "0.5");
    }

    #[test]
    fn throttled_replicas_are_pairs() {
        let name = "follower.replication.throttled.replicas";
        let error = topic_key(name).unwrap().validate("x").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Invalid value [x] for configuration follower.replication.throttled.replicas: \
             follower.replication.throttled.replicas must be the literal '*' or a list of replicas \
             in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
        );
    }
}
