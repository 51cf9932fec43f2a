//! Settings by methods, so that the compiler checks names and values.
//!
//! Here are those of every client and of all clients alike. The builders of producers and
//! consumers have those that only they have.

use std::time::Duration;

use super::{ClientConfig, MetadataRecovery, TimeLimit, keys};

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($value:ident: $type:ty), $key:ident;)*) => {
        impl ClientConfig {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(self, $value: $type) -> Self {
                    self.with(&keys::$key, &$value.into())
                }
            )*
        }
    };
}

setters! {
    /// What the client calls itself.
    client_id(id: &str), CLIENT_ID;
    /// How long a broker may take to answer.
    request_timeout(timeout: Duration), REQUEST_TIMEOUT;
    /// How long an admin call may take with all its retries.
    api_timeout(timeout: Duration), API_TIMEOUT;
    /// How long connecting to one address may take at first.
    connect_timeout(timeout: Duration), CONNECT_TIMEOUT;
    /// How long connecting to one address may take when it has failed several times.
    connect_timeout_max(timeout: Duration), CONNECT_TIMEOUT_MAX;
    /// When a connection that nobody uses is closed; none for never.
    connections_max_idle(limit: Option<Duration>), CONNECTIONS_MAX_IDLE;
    /// Requests that wait for an answer on one connection.
    max_in_flight(requests: usize), MAX_IN_FLIGHT;
    /// When cluster metadata is asked for again though nothing went wrong.
    metadata_max_age(age: Duration), METADATA_MAX_AGE;
    /// What the client does when it cannot reach any broker that it knows of.
    metadata_recovery(strategy: MetadataRecovery), METADATA_RECOVERY_STRATEGY;
    /// How long metadata are asked for in vain before the known brokers are forgotten.
    metadata_recovery_trigger(patience: Duration), METADATA_RECOVERY_TRIGGER;
    /// Whether asking for an unknown topic may create it, if the broker allows that.
    allow_auto_create_topics(allow: bool), ALLOW_AUTO_CREATE;
    /// The first pause before connecting again to a broker that failed.
    reconnect_backoff(pause: Duration), RECONNECT_BACKOFF;
    /// The longest pause before connecting again to a broker that failed.
    reconnect_backoff_max(pause: Duration), RECONNECT_BACKOFF_MAX;
    /// The first pause before trying again what failed.
    retry_backoff(pause: Duration), RETRY_BACKOFF;
    /// The longest pause before trying again what failed.
    retry_backoff_max(pause: Duration), RETRY_BACKOFF_MAX;
    /// The largest answer that is believed.
    receive_message_max_bytes(bytes: usize), RECEIVE_MAX;
    /// Where the client stands, so that a consumer can be given what lies near.
    client_rack(rack: Option<String>), CLIENT_RACK;
}

impl From<Option<Duration>> for TimeLimit {
    fn from(limit: Option<Duration>) -> Self {
        Self(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_what_is_got() {
        let config = ClientConfig::new("a:1")
            .client_id("orders")
            .connections_max_idle(None)
            .metadata_recovery(MetadataRecovery::None)
            .client_rack(Some("north".to_owned()))
            .receive_message_max_bytes(1 << 20);
        config.check().unwrap();
        assert_eq!(config.get(&keys::CLIENT_ID), "orders");
        assert_eq!(config.get(&keys::CONNECTIONS_MAX_IDLE), TimeLimit(None));
        assert_eq!(config.get(&keys::METADATA_RECOVERY_STRATEGY), MetadataRecovery::None);
        assert_eq!(config.get(&keys::CLIENT_RACK).as_deref(), Some("north"));
        assert_eq!(config.get(&keys::RECEIVE_MAX), 1 << 20);
    }
}
