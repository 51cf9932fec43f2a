//! Settings that cannot hold together.
//!
//! What is judged here was set on purpose, on both sides: one file serves all clients, and a
//! default that stands in the way gives way. What a producer or a consumer cannot do without is
//! theirs to judge.

use super::{Acks, ClientConfig, ConfigError, GroupProtocol, Value, keys};

/// The most requests in flight in which an idempotent producer can put records in order again.
const IDEMPOTENT_IN_FLIGHT_MAX: usize = 5;

/// All of them. The rules are those of Kafka's own clients.
pub(super) fn of(config: &ClientConfig) -> impl Iterator<Item = ConfigError> {
    let rules = [
        idempotence(config),
        transactions(config),
        delivery_timeout(config),
        heartbeats(config),
        remote_assignor(config),
    ];
    rules.into_iter().flatten()
}

fn contradicts(name: &'static str, other: &'static str, reason: &'static str) -> ConfigError {
    ConfigError::Contradiction { name, other, reason }
}

/// A setting's value, if it was set.
fn set<T: Value>(config: &ClientConfig, key: &super::Key<T>) -> Option<T> {
    config.is_set(key).then(|| config.get(key))
}

fn idempotence(config: &ClientConfig) -> Option<ConfigError> {
    set(config, &keys::ENABLE_IDEMPOTENCE).filter(|wanted| *wanted)?;
    let name = keys::ENABLE_IDEMPOTENCE.name;
    if set(config, &keys::ACKS).is_some_and(|acks| acks != Acks::All) {
        Some(contradicts(name, keys::ACKS.name, "an idempotent producer needs acks=all"))
    } else if set(config, &keys::RETRIES) == Some(0) {
        let reason = "an idempotent producer must be able to retry";
        Some(contradicts(name, keys::RETRIES.name, reason))
    } else if set(config, &keys::MAX_IN_FLIGHT).is_some_and(|max| max > IDEMPOTENT_IN_FLIGHT_MAX) {
        let reason = "an idempotent producer has at most 5 in flight";
        Some(contradicts(name, keys::MAX_IN_FLIGHT.name, reason))
    } else {
        None
    }
}

fn transactions(config: &ClientConfig) -> Option<ConfigError> {
    set(config, &keys::TRANSACTIONAL_ID)??;
    let name = keys::TRANSACTIONAL_ID.name;
    let reason = "transactions need an idempotent producer";
    if set(config, &keys::ENABLE_IDEMPOTENCE) == Some(false) {
        Some(contradicts(name, keys::ENABLE_IDEMPOTENCE.name, reason))
    } else if set(config, &keys::ACKS).is_some_and(|acks| acks != Acks::All) {
        Some(contradicts(name, keys::ACKS.name, reason))
    } else if set(config, &keys::RETRIES) == Some(0) {
        Some(contradicts(name, keys::RETRIES.name, reason))
    } else {
        None
    }
}

fn delivery_timeout(config: &ClientConfig) -> Option<ConfigError> {
    let timeout = set(config, &keys::DELIVERY_TIMEOUT)?;
    let once = config.get(&keys::LINGER) + config.get(&keys::REQUEST_TIMEOUT);
    let reason = "a record must have the time to linger (`linger.ms`) and be sent once";
    let (name, other) = (keys::DELIVERY_TIMEOUT.name, keys::REQUEST_TIMEOUT.name);
    (timeout < once).then(|| contradicts(name, other, reason))
}

fn heartbeats(config: &ClientConfig) -> Option<ConfigError> {
    let interval = set(config, &keys::HEARTBEAT_INTERVAL)?;
    let session = set(config, &keys::SESSION_TIMEOUT)?;
    let reason = "a member must be heard before its session is over";
    let (name, other) = (keys::HEARTBEAT_INTERVAL.name, keys::SESSION_TIMEOUT.name);
    (interval >= session).then(|| contradicts(name, other, reason))
}

fn remote_assignor(config: &ClientConfig) -> Option<ConfigError> {
    set(config, &keys::GROUP_REMOTE_ASSIGNOR)??;
    let classic = set(config, &keys::GROUP_PROTOCOL)? == GroupProtocol::Classic;
    let reason = "in the classic protocol a member assigns";
    let (name, other) = (keys::GROUP_REMOTE_ASSIGNOR.name, keys::GROUP_PROTOCOL.name);
    classic.then(|| contradicts(name, other, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kafkas_clients_refuse_is_refused() {
        let check = |text: &str, contradictions: &[(&str, &str)]| {
            let config = ClientConfig::from_properties(&text.replace(' ', "\n")).unwrap();
            assert!(config.errors.is_empty(), "{text}: {:?}", config.errors);
            let found = of(&config).map(|error| match error {
                ConfigError::Contradiction { name, other, .. } => (name, other),
                other => panic!("{other}"),
            });
            assert_eq!(found.collect::<Vec<_>>(), contradictions, "{text}");
        };
        let idempotence = |other| ("enable.idempotence", other);
        let in_flight = "max.in.flight.requests.per.connection";
        check("", &[]);
        check("acks=1", &[]);
        check("retries=0", &[]);
        check("enable.idempotence=true", &[]);
        check("enable.idempotence=true acks=1", &[idempotence("acks")]);
        check("enable.idempotence=true acks=-1", &[]);
        check("enable.idempotence=true retries=0", &[idempotence("retries")]);
        check("enable.idempotence=true max.in.flight=6", &[idempotence(in_flight)]);
        check("enable.idempotence=false max.in.flight=6 acks=0 retries=0", &[]);

        let id = |other| ("transactional.id", other);
        check("transactional.id=x enable.idempotence=false", &[id("enable.idempotence")]);
        check("transactional.id=x acks=1", &[id("acks")]);
        check("transactional.id=x retries=0", &[id("retries")]);
        check("transactional.id= acks=1", &[]);

        let delivery = [("delivery.timeout.ms", "request.timeout.ms")];
        check("delivery.timeout.ms=100", &delivery);
        check("delivery.timeout.ms=40000 linger.ms=20000", &delivery);
        check("delivery.timeout.ms=40000 linger.ms=10000", &[]);
        check("request.timeout.ms=200000", &[]);
        check("linger.ms=100000", &[]);

        let heartbeat = [("heartbeat.interval.ms", "session.timeout.ms")];
        check("heartbeat.interval.ms=45000 session.timeout.ms=45000", &heartbeat);
        check("heartbeat.interval.ms=44999 session.timeout.ms=45000", &[]);
        let remote = [("group.remote.assignor", "group.protocol")];
        check("group.remote.assignor=range group.protocol=classic", &remote);
        check("group.remote.assignor=range group.protocol=consumer", &[]);
    }
}
