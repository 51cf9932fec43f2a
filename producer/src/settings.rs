//! The settings of a producer, read once.

use std::time::Duration;

use klamm_client::config::{Acks, Partitioner, keys};
use klamm_client::{ClientConfig, ConfigError};
use klamm_protocol::records::BatchOptions;
use klamm_protocol::wire::Str;
use klamm_utils::backoff::Backoff;

use crate::accumulate::Shape;
use crate::lane::NUMBERED_OUT_MAX;
use crate::transaction::Generation;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) shape: Shape,
    pub(crate) partitioner: Partitioner,
    pub(crate) acks: Acks,
    pub(crate) idempotent: bool,
    pub(crate) retries: usize,
    pub(crate) in_flight: usize,
    pub(crate) request_bytes_max: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) delivery_timeout: Duration,
    pub(crate) max_block: Duration,
    pub(crate) memory: usize,
    pub(crate) metadata_max_age: Duration,
    pub(crate) retry: Retry,
}

/// How long to wait before trying again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    pub(crate) first: Duration,
    longest: Duration,
}

impl Retry {
    fn of(config: &ClientConfig) -> Self {
        let (first, longest) =
            (config.get(&keys::RETRY_BACKOFF), config.get(&keys::RETRY_BACKOFF_MAX));
        Self { first, longest }
    }

    /// Pauses that have not grown yet.
    pub(crate) fn backoff(self) -> Backoff {
        Backoff::new(self.first, self.longest)
    }
}

/// The settings of transactions.
#[derive(Clone, Debug)]
pub(crate) struct TransactionSettings {
    pub(crate) id: Str,
    /// How long one may be open.
    pub(crate) timeout: Duration,
    /// The newest generation that is spoken.
    pub(crate) newest: Generation,
    pub(crate) retry: Retry,
}

impl TransactionSettings {
    pub(crate) fn of(config: &ClientConfig) -> Result<Self, ConfigError> {
        let name = keys::TRANSACTIONAL_ID.name();
        let id = config.get(&keys::TRANSACTIONAL_ID);
        let id = id.ok_or(ConfigError::Missing { name, purpose: "send in transactions" })?;
        if let Some((other, _)) = contradicts_idempotence(config) {
            let reason = "transactions need an idempotent producer";
            return Err(ConfigError::Contradiction { name, other, reason });
        }
        let newest = match config.get(&keys::TRANSACTION_VERSION_MAX) {
            0 | 1 => Generation::First,
            _ => Generation::Second,
        };
        let timeout = config.get(&keys::TRANSACTION_TIMEOUT);
        Ok(Self { id: id.into(), timeout, newest, retry: Retry::of(config) })
    }
}

impl Settings {
    /// The same, as far as the connections of a client with these settings go along: more requests
    /// than one has room for would only wait for it.
    pub(crate) fn within(mut self, client: &ClientConfig) -> Self {
        self.in_flight = self.in_flight.min(client.get(&keys::MAX_IN_FLIGHT).max(1));
        self
    }

    /// The same, for batches that are part of transactions.
    pub(crate) fn in_transactions(mut self) -> Self {
        self.shape.options.transactional = true;
        self
    }

    pub(crate) fn of(config: &ClientConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let compression = config.get(&keys::COMPRESSION_TYPE);
        let level = config.compression_level(compression);
        if level.is_some_and(|level| compression.check_level(level).is_err()) {
            let (name, other) = (keys::COMPRESSION_LEVEL.name(), keys::COMPRESSION_TYPE.name());
            let reason = "the codec has no such level";
            return Err(ConfigError::Contradiction { name, other, reason });
        }
        let idempotent = idempotent(config)?;
        // The sender numbers batches, and sums them then.
        let unsummed = idempotent;
        let shape = Shape {
            options: BatchOptions { compression, level, unsummed, ..BatchOptions::default() },
            batch_size: config.get(&keys::BATCH_SIZE).min(config.get(&keys::MAX_REQUEST_SIZE)),
            linger: config.get(&keys::LINGER),
        };
        Ok(Self {
            shape,
            partitioner: config.get(&keys::PARTITIONER),
            acks: config.get(&keys::ACKS),
            idempotent,
            retries: config.get(&keys::RETRIES),
            in_flight: config.get(&keys::MAX_IN_FLIGHT).max(1),
            request_bytes_max: config.get(&keys::MAX_REQUEST_SIZE),
            request_timeout: config.get(&keys::REQUEST_TIMEOUT),
            delivery_timeout: delivery_timeout(config),
            max_block: config.get(&keys::MAX_BLOCK),
            memory: config.get(&keys::BUFFER_MEMORY),
            metadata_max_age: config.get(&keys::METADATA_MAX_AGE),
            retry: Retry::of(config),
        })
    }
}

/// How long a record may take: as long as it may linger and take to be sent once, unless less was
/// asked for, which is an error.
fn delivery_timeout(config: &ClientConfig) -> Duration {
    let once = config.get(&keys::LINGER) + config.get(&keys::REQUEST_TIMEOUT);
    config.get(&keys::DELIVERY_TIMEOUT).max(once)
}

/// Whether the producer is idempotent: unless that was asked for, it yields to what contradicts
/// it.
fn idempotent(config: &ClientConfig) -> Result<bool, ConfigError> {
    let idempotence = keys::ENABLE_IDEMPOTENCE.name();
    match contradicts_idempotence(config) {
        None => Ok(true),
        // Kafka's own producer does not yield to more in flight either: order would be lost unasked.
        Some((other, reason))
            if other == keys::MAX_IN_FLIGHT.name()
                || other != idempotence && config.is_set(&keys::ENABLE_IDEMPOTENCE) =>
        {
            Err(ConfigError::Contradiction { name: idempotence, other, reason })
        }
        Some(_) => Ok(false),
    }
}

/// The setting without which the producer would be idempotent, and why.
fn contradicts_idempotence(config: &ClientConfig) -> Option<(&'static str, &'static str)> {
    if !config.get(&keys::ENABLE_IDEMPOTENCE) {
        Some((keys::ENABLE_IDEMPOTENCE.name(), "it says so"))
    } else if config.get(&keys::ACKS) != Acks::All {
        Some((keys::ACKS.name(), "an idempotent producer needs acks=all"))
    } else if config.get(&keys::MAX_IN_FLIGHT) > NUMBERED_OUT_MAX {
        Some((keys::MAX_IN_FLIGHT.name(), "an idempotent producer has at most 5 in flight"))
    } else if config.get(&keys::RETRIES) == 0 {
        Some((keys::RETRIES.name(), "an idempotent producer must be able to retry"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idempotence_yields_unless_it_was_asked_for() {
        let check = |settings: &[(&str, &str)]| {
            let config = ClientConfig::new("a:1");
            let config =
                settings.iter().fold(config, |config, (name, text)| config.set(name, text));
            Settings::of(&config).map(|settings| settings.idempotent)
        };
        assert_eq!(check(&[]), Ok(true));
        assert_eq!(check(&[("acks", "1")]), Ok(false));
        assert_eq!(check(&[("max.in.flight", "6"), ("acks", "1")]), Ok(false));
        assert!(check(&[("max.in.flight", "6")]).is_err());
        assert_eq!(check(&[("enable.idempotence", "false")]), Ok(false));
        for contradiction in [("acks", "0"), ("max.in.flight", "6"), ("retries", "0")] {
            let asked = [("enable.idempotence", "true"), contradiction];
            assert!(matches!(check(&asked), Err(ConfigError::Contradiction { .. })));
        }
    }

    #[test]
    fn no_more_is_in_flight_than_the_client_allows() {
        let check = |client: &str, own: &str, expected| {
            let name = keys::MAX_IN_FLIGHT.name();
            let client = ClientConfig::new("a:1").set(name, client);
            let settings = Settings::of(&client.clone().set(name, own)).unwrap();
            assert_eq!(settings.within(&client).in_flight, expected);
        };
        check("5", "2", 2);
        check("2", "5", 2);
    }

    #[test]
    fn a_level_must_be_one_of_the_codecs() {
        let check = |codec, level| {
            let config = ClientConfig::new("a:1").set("compression.type", codec);
            Settings::of(&config.set("compression.level", level)).is_ok()
        };
        assert!(check("gzip", "9") && !check("gzip", "10"));
    }

    #[test]
    fn transactions_need_an_id_and_idempotence() {
        let check = |name, value| {
            let config = ClientConfig::new("a:1").set("transactional.id", "orders-1");
            TransactionSettings::of(&config.set(name, value)).map(|settings| settings.newest)
        };
        assert_eq!(check("acks", "all"), Ok(Generation::Second));
        assert_eq!(check("transaction.version.max", "1"), Ok(Generation::First));
        assert!(matches!(check("transactional.id", ""), Err(ConfigError::Missing { .. })));
        for (name, value) in [("acks", "1"), ("enable.idempotence", "false")] {
            assert!(matches!(check(name, value), Err(ConfigError::Contradiction { .. })));
        }
    }
}
