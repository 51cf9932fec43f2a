//! What the settings of one group may be, beside each other and beside those of the broker.

use super::keys::{group_key, group_keys};
use super::layers::{Layers, Values};
use super::value::ConfigError;

/// The protocols whose groups have settings.
const PROTOCOLS: [&str; 3] = ["consumer", "share", "streams"];

/// Says why a group cannot have these settings, in Kafka's words.
///
/// # Errors
/// A key is unknown, or a value is not one that its key takes or beyond what the broker allows.
pub(crate) fn validate_group(own: &Values, layers: &Layers) -> Result<(), ConfigError> {
    for (name, value) in own {
        let key = group_key(name).ok_or_else(|| ConfigError::UnknownGroupKey(name.clone()))?;
        key.validate(value)?;
    }
    for (name, value) in own {
        check_bounds(name, name, value, layers)?;
    }
    PROTOCOLS.iter().try_for_each(|protocol| {
        let session = format!("{protocol}.session.timeout.ms");
        let heartbeat = format!("{protocol}.heartbeat.interval.ms");
        let held = |name: &str| own.get(name).cloned().or_else(|| inherited(name, layers));
        if number(held(&session)) > number(held(&heartbeat)) {
            return Ok(());
        }
        Err(ConfigError::Beyond { key: session, relation: "greater than", bound: heartbeat })
    })
}

/// Says why groups that set nothing themselves cannot have what the broker gives them.
///
/// # Errors
/// A value lies beyond the bounds that the broker sets.
pub(super) fn validate_group_defaults(layers: &Layers) -> Result<(), ConfigError> {
    group_keys().iter().try_for_each(|key| {
        let source = key.sources.first();
        let held = source.and_then(|(source, _)| Some((source, layers.get(source)?)));
        held.map_or(Ok(()), |(source, value)| check_bounds(source, key.name, value, layers))
    })?;
    PROTOCOLS.iter().try_for_each(|protocol| {
        let session = format!("group.{protocol}.session.timeout.ms");
        let heartbeat = format!("group.{protocol}.heartbeat.interval.ms");
        if number(layers.get(&session)) > number(layers.get(&heartbeat)) {
            return Ok(());
        }
        Err(ConfigError::Beyond { key: session, relation: "greater than", bound: heartbeat })
    })
}

/// A setting `consumer.x` lies between `group.consumer.min.x` and `group.consumer.max.x` of the
/// broker, where there are such keys. Errors call it `told_as`.
fn check_bounds(
    told_as: &str,
    name: &str,
    value: &str,
    layers: &Layers,
) -> Result<(), ConfigError> {
    let (Some((protocol, rest)), Some(value)) = (name.split_once('.'), number(Some(value))) else {
        return Ok(());
    };
    let rest = rest.strip_prefix("num.").unwrap_or(rest);
    let beyond = |bound: String, relation| {
        Err(ConfigError::Beyond { key: told_as.to_owned(), relation, bound })
    };
    let min = format!("group.{protocol}.min.{rest}");
    if number(layers.get(&min)).is_some_and(|min| value < min) {
        return beyond(min, "greater than or equal to");
    }
    let max = format!("group.{protocol}.max.{rest}");
    if number(layers.get(&max)).is_some_and(|max| value > max) {
        return beyond(max, "less than or equal to");
    }
    Ok(())
}

fn inherited(name: &str, layers: &Layers) -> Option<String> {
    group_key(name).and_then(|key| layers.inherited(key))
}

fn number(text: Option<impl AsRef<str>>) -> Option<i64> {
    text.and_then(|text| text.as_ref().trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect()
    }

    /// What Kafka 4.3 answers to a group that is given this setting; empty where it takes it.
    fn check(broker: &[(&str, &str)], own: &[(&str, &str)], answer: &str) {
        let layers = Layers { fixed: values(broker), ..Layers::default() };
        let said = validate_group(&values(own), &layers).err().map(|error| error.to_string());
        assert_eq!(said.unwrap_or_default(), answer, "{own:?}");
    }

    #[test]
    fn settings_keep_within_the_bounds_of_the_broker() {
        check(&[], &[("consumer.session.timeout.ms", "50000")], "");
        check(&[], &[("no.such", "1")], "Unknown group config name: no.such");
        check(
            &[],
            &[("consumer.session.timeout.ms", "1000")],
            "consumer.session.timeout.ms must be greater than or equal to \
             group.consumer.min.session.timeout.ms",
        );
        check(
            &[],
            &[("share.partition.max.record.locks", "20000")],
            "share.partition.max.record.locks must be less than or equal to \
             group.share.max.partition.max.record.locks",
        );
        check(
            &[],
            &[("streams.num.standby.replicas", "100")],
            "streams.num.standby.replicas must be less than or equal to \
             group.streams.max.standby.replicas",
        );
        check(
            &[],
            &[("share.delivery.count.limit", "1")],
            "Invalid value 1 for configuration share.delivery.count.limit: Value must be at least \
             2",
        );
    }

    #[test]
    fn a_session_outlasts_a_heartbeat() {
        let broker = [("group.consumer.max.heartbeat.interval.ms", "60000")];
        check(
            &broker,
            &[("consumer.heartbeat.interval.ms", "45000")],
            "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms",
        );
        let both =
            [("consumer.heartbeat.interval.ms", "45000"), ("consumer.session.timeout.ms", "46000")];
        check(&broker, &both, "");
    }

    #[test]
    fn what_the_broker_gives_to_groups_keeps_within_them_too() {
        let fixed = values(&[("group.share.assignment.interval.ms", "99999")]);
        let error = validate_group_defaults(&Layers { fixed, ..Layers::default() }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "group.share.assignment.interval.ms must be less than or equal to \
             group.share.max.assignment.interval.ms"
        );
        assert_eq!(validate_group_defaults(&Layers::default()), Ok(()));
    }

    #[test]
    fn what_the_broker_gives_to_groups_lets_a_session_outlast_a_heartbeat() {
        let fixed = values(&[
            ("group.consumer.min.session.timeout.ms", "5000"),
            ("group.consumer.session.timeout.ms", "5000"),
        ]);
        let error = validate_group_defaults(&Layers { fixed, ..Layers::default() }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "group.consumer.session.timeout.ms must be greater than \
             group.consumer.heartbeat.interval.ms"
        );
    }
}
