//! Producers to be built.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use klamm_client::config::{Acks, Key, Partitioner, Value, keys};
use klamm_client::{ClientConfig, ConfigError, Kafka, Result};
use klamm_protocol::records::{BatchProducer, Compression};
use klamm_utils::clock;

use crate::interceptor::{Interceptors, ProducerInterceptor};
use crate::producer::Producer;
use crate::settings::{Settings, TransactionSettings};
use crate::shared::Shared;
use crate::transaction::{self, Machine, TransactionalProducer, Transactions};

/// Makes producers of a client.
pub trait ProduceExt {
    /// A producer to be built, with the client's settings.
    fn producer(&self) -> ProducerBuilder;
}

impl ProduceExt for Kafka {
    fn producer(&self) -> ProducerBuilder {
        let (kafka, config) = (self.clone(), self.config().clone());
        ProducerBuilder { kafka, config, interceptors: Vec::new() }
    }
}

/// A producer to be built. Setters never fail; what is wrong is told by [`build`](Self::build).
#[derive(Clone)]
#[must_use]
pub struct ProducerBuilder {
    kafka: Kafka,
    config: ClientConfig,
    interceptors: Vec<Arc<dyn ProducerInterceptor>>,
}

impl fmt::Debug for ProducerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let builder = &mut f.debug_struct("ProducerBuilder");
        builder.field("config", &self.config).finish_non_exhaustive()
    }
}

impl ProducerBuilder {
    /// How many replicas must hold a batch before the broker answers. The default is all.
    pub fn acks(self, acks: Acks) -> Self {
        self.with(&keys::ACKS, &acks)
    }

    /// How long a batch waits for more records, in whole milliseconds, rounded up. It does not wait
    /// while callers wait for room. The default is 5 ms.
    pub fn linger(self, linger: Duration) -> Self {
        self.with(&keys::LINGER, &linger)
    }

    /// Bytes at which a batch is sent without waiting. The default is 64 KiB.
    pub fn batch_size(self, bytes: usize) -> Self {
        self.with(&keys::BATCH_SIZE, &bytes)
    }

    /// Bytes of records that wait to be acknowledged. The default is 32 MiB. However long brokers
    /// are silent, the producer holds no more than this, the spare room of one batch for each
    /// partition, and the records of the callers that wait.
    pub fn buffer_memory(self, bytes: usize) -> Self {
        self.with(&keys::BUFFER_MEMORY, &bytes)
    }

    /// How batches are compressed. By default they are not.
    pub fn compression(self, compression: Compression) -> Self {
        self.with(&keys::COMPRESSION_TYPE, &compression)
    }

    /// How hard, as the codec counts it.
    pub fn compression_level(self, level: i32) -> Self {
        self.with(&keys::COMPRESSION_LEVEL, &Some(level))
    }

    /// Whether a retry can neither double nor reorder records. By default it cannot.
    pub fn idempotence(self, idempotent: bool) -> Self {
        self.with(&keys::ENABLE_IDEMPOTENCE, &idempotent)
    }

    /// How the partition of a record is chosen. The default is FNV-1a of its key.
    pub fn partitioner(self, partitioner: Partitioner) -> Self {
        self.with(&keys::PARTITIONER, &partitioner)
    }

    /// How long a record may take from its acceptance to its acknowledgement. One that is on its
    /// way by then is not given up before its request is answered or times out. The default is two
    /// minutes.
    pub fn delivery_timeout(self, timeout: Duration) -> Self {
        self.with(&keys::DELIVERY_TIMEOUT, &timeout)
    }

    /// Whose transactions its are, for [`build_transactional`](Self::build_transactional).
    pub fn transactional_id(self, id: &str) -> Self {
        self.with(&keys::TRANSACTIONAL_ID, &Some(id.to_owned()))
    }

    /// How long a transaction may be open before its coordinator aborts it. The default is one
    /// minute.
    pub fn transaction_timeout(self, timeout: Duration) -> Self {
        self.with(&keys::TRANSACTION_TIMEOUT, &timeout)
    }

    /// The newest protocol of transactions that is spoken where the cluster has it: 1 or 2, which
    /// is the default.
    pub fn transaction_version_max(self, version: usize) -> Self {
        self.with(&keys::TRANSACTION_VERSION_MAX, &version)
    }

    /// How often a batch is sent again, within the delivery timeout. The default is as often as
    /// needed.
    pub fn retries(self, retries: usize) -> Self {
        self.with(&keys::RETRIES, &retries)
    }

    /// The first and the longest pause before something is tried again. The default is 100 ms and
    /// one second.
    pub fn retry_backoff(self, first: Duration, longest: Duration) -> Self {
        self.with(&keys::RETRY_BACKOFF, &first).with(&keys::RETRY_BACKOFF_MAX, &longest)
    }

    /// Requests that wait for an answer on one connection: no more than the client's own setting
    /// allows. The default is 5, which is the most for an idempotent producer.
    pub fn max_in_flight(self, requests: usize) -> Self {
        self.with(&keys::MAX_IN_FLIGHT, &requests)
    }

    /// Bytes of the largest request, and so of the largest record. The default is 1 MiB.
    pub fn max_request_size(self, bytes: usize) -> Self {
        self.with(&keys::MAX_REQUEST_SIZE, &bytes)
    }

    /// How long the broker may wait for its replicas. The default is 30 seconds. Where it is longer
    /// than the client's own request timeout, answers are waited for as much longer.
    pub fn request_timeout(self, timeout: Duration) -> Self {
        self.with(&keys::REQUEST_TIMEOUT, &timeout)
    }

    /// How long a caller waits for room, for a topic, or for the coordinator of transactions. The
    /// default is one minute.
    pub fn max_block(self, longest: Duration) -> Self {
        self.with(&keys::MAX_BLOCK, &longest)
    }

    /// After how long a topic that is in use is asked for again, to see new partitions; until that
    /// is answered, records go on as before. The default is five minutes.
    pub fn metadata_max_age(self, age: Duration) -> Self {
        self.with(&keys::METADATA_MAX_AGE, &age)
    }

    /// One more that sees every record, after those that were given before.
    pub fn interceptor(mut self, interceptor: impl ProducerInterceptor + 'static) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Sets by name, as [`ClientConfig::set`] does.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.config = self.config.set(name, value);
        self
    }

    fn with<T: Value>(mut self, key: &Key<T>, value: &T) -> Self {
        self.config = self.config.with(key, value);
        self
    }

    /// The producer. It connects when it has something to send.
    ///
    /// # Errors
    /// The settings are wrong or contradict each other.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it leaves nothing behind.
    pub async fn build(self) -> Result<Producer> {
        if self.config.get(&keys::TRANSACTIONAL_ID).is_some() {
            let (name, other) = (keys::TRANSACTIONAL_ID.name(), "build");
            let reason = "a producer of transactions is made by build_transactional";
            return Err(ConfigError::Contradiction { name, other, reason }.into());
        }
        let settings = Settings::of(&self.config)?.within(self.kafka.config());
        let interceptors = Interceptors::new(&self.interceptors);
        Ok(Producer::start(Shared::new(self.kafka, settings, interceptors, None)))
    }

    /// The producer of this transactional id. From now on one that was made before with the same
    /// id can do nothing any more, and what it has left open is aborted.
    ///
    /// # Errors
    /// The settings are wrong or contradict each other, the id may not be used, or no coordinator
    /// has answered within `max.block.ms`.
    ///
    /// # Cancel safety
    /// Dropped before it returns, an older producer with the same id may be fenced off already.
    pub async fn build_transactional(self) -> Result<TransactionalProducer> {
        let settings = Settings::of(&self.config)?.within(self.kafka.config()).in_transactions();
        self.build_transactional_as(settings).await
    }

    /// The same, under settings that were read already.
    pub(crate) async fn build_transactional_as(
        self,
        settings: Settings,
    ) -> Result<TransactionalProducer> {
        let of_transactions = TransactionSettings::of(&self.config)?;
        let deadline = Some(clock::now() + settings.max_block);
        let none = BatchProducer::NONE;
        let inited = transaction::init(&self.kafka, &of_transactions, none, deadline).await;
        let (producer, generation) = inited?;
        let machine = Machine::new(of_transactions.id.clone(), producer, generation);
        let transactions = Arc::new(Transactions::new(of_transactions, machine));
        let interceptors = Interceptors::new(&self.interceptors);
        let of_these = Some(Arc::clone(&transactions));
        let shared = Shared::new(self.kafka, settings, interceptors, of_these);
        Ok(TransactionalProducer::new(Producer::start(shared), transactions))
    }
}
