//! Producer, consumer and admin client against one address.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, OwnedMessage};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::sync::{Arc, Mutex};

/// How long anything may take.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// The clients' common settings.
pub struct Clients {
    config: ClientConfig,
}

/// Keeps the first error among the deliveries.
#[derive(Clone, Default)]
struct FirstError(Arc<Mutex<Option<KafkaError>>>);

impl ClientContext for FirstError {}

impl ProducerContext for FirstError {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.0.lock().expect("no delivery panics").get_or_insert(error.clone());
        }
    }
}

impl Clients {
    /// Clients of the broker at `address`.
    pub fn new(address: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", address).set("log_level", "2");
        Self { config }
    }

    pub fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(self.config.create()?)
    }

    /// A consumer for `assign`: its group is never used.
    pub fn consumer(&self) -> Result<BaseConsumer> {
        let mut config = self.config.clone();
        config.set("group.id", "unused").set("enable.auto.commit", "false");
        Ok(config.set("enable.partition.eof", "true").create()?)
    }

    /// Makes a topic; the error is the broker's own.
    pub fn create(&self, topic: &str, partitions: i32) -> Result<()> {
        let wanted = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let admin = self.admin()?;
        let made = block_on(admin.create_topics([&wanted], &options))?;
        for outcome in made {
            outcome.map_err(|(_, code)| KafkaError::AdminOp(code))?;
        }
        Ok(())
    }

    /// Sends all records and waits for every acknowledgement.
    pub fn produce<'a>(
        &self,
        records: impl IntoIterator<Item = BaseRecord<'a, [u8], [u8]>>,
        options: &[(&str, &str)],
    ) -> Result<()> {
        let mut config = self.config.clone();
        for (key, value) in options {
            config.set(*key, *value);
        }
        let errors = FirstError::default();
        let producer: ThreadedProducer<FirstError> = config.create_with_context(errors.clone())?;
        for record in records {
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.flush(TIMEOUT)?;
        match errors.0.lock().expect("no delivery panics").take() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Everything in partition 0 from `start` to its end.
    pub fn consume(&self, topic: &str, start: Offset) -> Result<Vec<OwnedMessage>> {
        let consumer = self.consumer()?;
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, 0, start)?;
        consumer.assign(&assignment)?;
        let deadline = Instant::now() + TIMEOUT;
        let mut messages = Vec::new();
        while Instant::now() < deadline {
            match consumer.poll(Duration::from_secs(1)) {
                None => {}
                Some(Ok(message)) => messages.push(message.detach()),
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(messages),
                Some(Err(error)) => return Err(error.into()),
            }
        }
        bail!("no end of {topic} within {TIMEOUT:?}")
    }
}

/// Drives one future; the admin client answers from threads of its own.
pub fn block_on<F: Future>(future: F) -> F::Output {
    futures_executor::block_on(future)
}

/// Whether `outcome` failed with this code of the broker or the library.
pub fn expect_code<T>(outcome: Result<T>, wanted: RDKafkaErrorCode) -> Result<()> {
    let error = outcome.err().context("no error")?;
    let found = match error.downcast_ref::<KafkaError>() {
        Some(KafkaError::AdminOp(code)) => Some(*code),
        Some(other) => other.rdkafka_error_code(),
        None => None,
    };
    if found == Some(wanted) { Ok(()) } else { Err(error.context(format!("not {wanted:?}"))) }
}
