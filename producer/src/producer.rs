//! The producer as its users see it.

use std::sync::Arc;
use std::time::Duration;

use klamm_client::config::{Acks, Key, Partitioner, Value, keys};
use klamm_client::{ClientConfig, ConfigError, Error, Kafka, Result, Subject};
use klamm_protocol::records::{BatchProducer, Compression};
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;

use crate::receipt::{Delivery, RecordMetadata};
use crate::record::Record;
use crate::sender::Sender;
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
        ProducerBuilder { kafka: self.clone(), config: self.config().clone() }
    }
}

/// A producer to be built. Setters never fail; what is wrong is told by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use]
pub struct ProducerBuilder {
    kafka: Kafka,
    config: ClientConfig,
}

impl ProducerBuilder {
    /// How many replicas must hold a batch before the broker answers. The default is all.
    pub fn acks(self, acks: Acks) -> Self {
        self.with(&keys::ACKS, &acks)
    }

    /// How long a batch waits for more records. The default is 5 ms.
    pub fn linger(self, linger: Duration) -> Self {
        self.with(&keys::LINGER, &linger)
    }

    /// Bytes at which a batch is sent without waiting. The default is 64 KiB.
    pub fn batch_size(self, bytes: usize) -> Self {
        self.with(&keys::BATCH_SIZE, &bytes)
    }

    /// Bytes of records that wait to be acknowledged. The default is 32 MiB.
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

    /// How long a record may take from its acceptance to its acknowledgement. The default is two
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
        let settings = Settings::of(&self.config)?;
        Ok(Producer::start(Shared::new(self.kafka, settings, None)))
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
        let settings = Settings::of(&self.config)?.in_transactions();
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
        let shared = Shared::new(self.kafka, settings, Some(Arc::clone(&transactions)));
        Ok(TransactionalProducer::new(Producer::start(shared), transactions))
    }
}

/// Sends records. Cloning shares it.
///
/// Dropping the last clone does not wait: what was accepted is sent in the background, as long as
/// the runtime lives. [`close`](Self::close) waits.
#[derive(Clone, Debug)]
pub struct Producer {
    handle: Arc<Handle>,
}

/// Tells the sender when the last clone has gone.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    tasks: TaskGroup,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.shared.is_closed() {
            self.shared.close();
            let batches = self.shared.ledger.unsettled();
            if batches > 0 {
                tracing::warn!(batches, "dropped before it was closed; sending in the background");
            }
        }
    }
}

/// A record that was not accepted, and why.
#[derive(Debug, thiserror::Error)]
pub enum TryEnqueueError {
    /// There is no room now.
    #[error("the producer's memory is full")]
    Full(Box<Record>),
    /// Nobody has asked yet which partitions the topic has: [`Producer::enqueue`] does.
    #[error("the topic is not known yet")]
    UnknownTopic(Box<Record>),
    /// It can never be accepted.
    #[error(transparent)]
    Refused(Box<Refused>),
}

/// A record that can never be accepted, and why.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    /// The record.
    pub record: Record,
    /// Why.
    pub error: Error,
}

impl TryEnqueueError {
    /// The record.
    #[must_use]
    pub fn into_record(self) -> Record {
        match self {
            Self::Full(record) | Self::UnknownTopic(record) => *record,
            Self::Refused(refused) => refused.record,
        }
    }
}

impl Producer {
    fn start(shared: Shared) -> Self {
        let shared = Arc::new(shared);
        let tasks = TaskGroup::new("producer");
        tasks.spawn("send", Sender::new(Arc::clone(&shared), tasks.clone()).run());
        Self { handle: Arc::new(Handle { shared, tasks }) }
    }

    /// What it shares with its sender.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    /// The group of its tasks.
    pub(crate) fn tasks(&self) -> &TaskGroup {
        &self.handle.tasks
    }

    /// Sends a record and waits until it is stored.
    ///
    /// # Errors
    /// Why it is not, or may not be: see [`Error::possibly_written`].
    ///
    /// # Cancel safety
    /// Dropped while it waits for room, the record is not sent. Dropped later, it is, and only the
    /// news is lost.
    pub async fn send(&self, record: Record) -> Result<RecordMetadata> {
        self.enqueue(record).await?.await
    }

    /// Accepts a record, waiting only while the producer's memory is full or its topic unknown;
    /// the acknowledgement is waited for on what it returns.
    ///
    /// # Errors
    /// There was no room for `max.block.ms`, or the record can never be sent.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the record is not sent.
    pub async fn enqueue(&self, record: Record) -> Result<Delivery> {
        self.enqueue_in(0, record).await
    }

    /// Accepts a record as part of this transaction.
    pub(crate) async fn enqueue_in(&self, transaction: u64, record: Record) -> Result<Delivery> {
        match self.try_enqueue_in(transaction, record) {
            Ok(delivery) => Ok(delivery),
            Err(TryEnqueueError::Refused(refused)) => Err(refused.error),
            Err(refused) => self.enqueue_slowly(transaction, refused.into_record()).await,
        }
    }

    async fn enqueue_slowly(&self, transaction: u64, record: Record) -> Result<Delivery> {
        let shared = &self.handle.shared;
        let after = shared.settings.max_block;
        let admitted = async {
            let queues = match shared.known(&record.topic) {
                Some(queues) => queues,
                None => self.find(&record).await?,
            };
            Ok::<_, Error>((queues, shared.ledger.reserve(record.size_max()).await))
        };
        let subject = Subject::Name(record.topic.clone());
        let admitted = tokio::time::timeout(after, admitted).await;
        let (queues, room) = admitted.map_err(|_| Error::Blocked { subject, after })??;
        // Much may have happened while it waited.
        shared.check(transaction)?;
        shared.append(&queues, &record, room, transaction)
    }

    /// Asks for a topic until there is an answer that will not change by asking again.
    async fn find(&self, record: &Record) -> Result<Arc<crate::shared::TopicQueues>> {
        let shared = &self.handle.shared;
        let mut backoff = shared.settings.retry.backoff();
        loop {
            match shared.kafka.topic(&record.topic).await {
                Ok(topic) if !topic.partitions.is_empty() => return Ok(shared.learn(&topic)),
                Err(error) if !error.is_retriable() => return Err(error),
                Ok(_) | Err(_) => tokio::time::sleep(backoff.next_pause()).await,
            }
        }
    }

    /// Accepts a record if that needs no waiting.
    ///
    /// # Errors
    /// The record comes back with the reason.
    pub fn try_enqueue(&self, record: Record) -> std::result::Result<Delivery, TryEnqueueError> {
        self.try_enqueue_in(0, record)
    }

    /// Accepts a record as part of this transaction, if that needs no waiting.
    pub(crate) fn try_enqueue_in(
        &self,
        transaction: u64,
        record: Record,
    ) -> std::result::Result<Delivery, TryEnqueueError> {
        let shared = &self.handle.shared;
        let refuse =
            |record, error| Err(TryEnqueueError::Refused(Box::new(Refused { record, error })));
        if let Err(error) = shared.check(transaction) {
            return refuse(record, error);
        }
        let Some(queues) = shared.known(&record.topic) else {
            return Err(TryEnqueueError::UnknownTopic(Box::new(record)));
        };
        let Some(room) = shared.ledger.try_reserve(record.size_max()) else {
            return Err(TryEnqueueError::Full(Box::new(record)));
        };
        match shared.append(&queues, &record, room, transaction) {
            Ok(delivery) => Ok(delivery),
            Err(error) => refuse(record, error),
        }
    }

    /// Sends records and waits for all of them. Those of one partition keep their order.
    ///
    /// # Cancel safety
    /// Dropped before it returns, some records are sent and others not.
    pub async fn send_all(
        &self,
        records: impl IntoIterator<Item = Record>,
    ) -> Vec<Result<RecordMetadata>> {
        self.send_all_in(0, records).await
    }

    /// Sends records as part of this transaction.
    pub(crate) async fn send_all_in(
        &self,
        transaction: u64,
        records: impl IntoIterator<Item = Record>,
    ) -> Vec<Result<RecordMetadata>> {
        let mut accepted = Vec::new();
        for record in records {
            accepted.push(self.enqueue_in(transaction, record).await);
        }
        let mut results = Vec::with_capacity(accepted.len());
        for delivery in accepted {
            results.push(match delivery {
                Ok(delivery) => delivery.await,
                Err(error) => Err(error),
            });
        }
        results
    }

    /// Sends without lingering what was accepted, and waits until its fate is known; each record's
    /// is told by its own [`Delivery`].
    ///
    /// # Cancel safety
    /// Dropped before it returns, what was accepted is sent nevertheless.
    pub async fn flush(&self) {
        self.handle.shared.seal_all();
        self.handle.shared.ledger.flushed().await;
    }

    /// Accepts no more records, sends those it has, and ends. What is not acknowledged when the
    /// deadline is over is given up.
    ///
    /// # Errors
    /// Something had to be given up.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the producer is closed and sends what it has in the background.
    pub async fn close(&self, deadline: Duration) -> Result<()> {
        let Handle { shared, tasks } = &*self.handle;
        shared.close();
        let flushed = tokio::time::timeout(deadline, shared.ledger.flushed()).await;
        tasks.stop();
        match flushed {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::Abandoned { subject: Subject::Cluster }),
        }
    }
}
