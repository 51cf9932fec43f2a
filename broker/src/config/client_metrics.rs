//! What a subscription to the metrics of clients may say.

use super::keys::client_metrics_key;
use super::layers::Values;
use super::value::ConfigError;
use crate::telemetry::Pattern;

/// How often clients may be asked to push, in milliseconds.
const INTERVALS_MS: std::ops::RangeInclusive<i64> = 100..=3_600_000;

/// Says why a subscription cannot have these settings, in Kafka's words.
///
/// # Errors
/// A key is unknown, or a value is not one that its key takes.
pub(crate) fn validate_client_metrics(own: &Values) -> Result<(), ConfigError> {
    for (name, value) in own {
        let key = client_metrics_key(name);
        let key = key.ok_or_else(|| ConfigError::UnknownClientMetricsKey(name.clone()))?;
        key.validate(value)?;
        match name.as_str() {
            "interval.ms" if !value.trim().parse().is_ok_and(|it| INTERVALS_MS.contains(&it)) => {
                return Err(ConfigError::PushInterval(value.trim().to_owned()));
            }
            "match" if !value.trim().is_empty() => check_patterns(value)?,
            _ => {}
        }
    }
    Ok(())
}

/// Patterns are `what=expression`, between commas.
fn check_patterns(text: &str) -> Result<(), ConfigError> {
    for pattern in text.split(',').map(str::trim) {
        if pattern.is_empty() {
            return Err(ConfigError::EmptyElement("match"));
        }
        if Pattern::parse(pattern).is_none() {
            return Err(ConfigError::Pattern(pattern.to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Kafka 4.3 answers to a subscription with this setting; empty where it takes it.
    fn check(name: &str, value: &str, answer: &str) {
        let own = Values::from([(name.to_owned(), value.to_owned())]);
        let said = validate_client_metrics(&own).err().map(|error| error.to_string());
        assert_eq!(said.unwrap_or_default(), answer, "{name}={value}");
    }

    #[test]
    fn settings_are_judged_as_by_kafka() {
        check("interval.ms", "100", "");
        check(
            "interval.ms",
            "1",
            "Invalid value 1 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
        );
        check(
            "interval.ms",
            "x",
            "Invalid value x for configuration interval.ms: Not a number of type INT",
        );
        check("metrics", "org.apache.kafka.,*", "");
        check("no.such", "1", "Unknown client metrics configuration: no.such");
        check("match", "", "");
        check("match", "client_id=a, client_software_name=apache.*", "");
        for pattern in ["foo=bar", "client_id", "client_id=", "client_id=a=b", "*", "client_id=("] {
            check("match", pattern, &format!("Illegal client matching pattern: {pattern}"));
        }
        check("match", "client_id=a, ", "Configuration 'match' values must not be empty.");
    }
}
