//! librdkafka by the crate rdkafka, in its fastest way: callbacks for what is stored, and messages
//! that are looked at where they lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::arrivals::Arrivals;
use super::cell::{Cell, Cpu, Measured, consumer_settings, producer_settings};

/// How long a full queue is left alone.
const PAUSE: Duration = Duration::from_micros(200);
const FLUSH: Duration = Duration::from_secs(60);
/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it takes to find the end of a partition.
const SETTLE: Duration = Duration::from_millis(1500);

/// Counts what became of records.
#[derive(Debug, Default)]
struct Fates {
    stored: AtomicU64,
    failed: AtomicU64,
}

#[derive(Clone)]
struct Context(Arc<Fates>);

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = if result.is_ok() { &self.0.stored } else { &self.0.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

struct Producer {
    inner: ThreadedProducer<Context>,
    fates: Arc<Fates>,
}

impl Producer {
    fn open(cell: &Cell) -> Result<Self> {
        let mut config = of(producer_settings(cell));
        // What `buffer.memory` is to us; not limited by a number of messages, as we are not.
        config.set("queue.buffering.max.kbytes", "32768");
        config.set("queue.buffering.max.messages", "10000000");
        config.set("batch.num.messages", "1000000");
        let fates = Arc::<Fates>::default();
        let inner = config.create_with_context(Context(Arc::clone(&fates)))?;
        Ok(Self { inner, fates })
    }

    fn send(&self, topic: &str, partition: i32, value: &[u8]) -> Result<()> {
        let mut record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(value);
        while let Err((error, refused)) = self.inner.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            record = refused;
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Waits for the fate of all records.
    fn finish(&self, records: u64) -> Result<()> {
        self.inner.flush(FLUSH)?;
        let failed = self.fates.failed.load(Ordering::Relaxed);
        ensure!(failed == 0, "librdkafka: {failed} records failed");
        let until = Instant::now() + FLUSH;
        while self.fates.stored.load(Ordering::Relaxed) < records {
            ensure!(Instant::now() < until, "librdkafka: not all records were told of");
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

pub(super) fn produce(cell: &Cell) -> Result<Measured> {
    let producer = Producer::open(cell)?;
    let values = cell.values();
    let topic = &cell.target.topic.name;
    let partitions = u64::try_from(cell.target.topic.partitions)?;
    let (cpu, began) = (Cpu::start(), Instant::now());
    for number in 0..cell.records {
        let value = &values[number as usize % values.len()];
        producer.send(topic, super::partition(number, partitions), value)?;
    }
    producer.finish(cell.records)?;
    let (seconds, cpu_seconds) = (began.elapsed().as_secs_f64(), cpu.seconds());
    Ok(Measured { records: cell.records, seconds, cpu_seconds, latencies: None })
}

pub(super) fn consume(cell: &Cell) -> Result<Measured> {
    let cpu = Cpu::start();
    let consumer = consumer(cell, Offset::Beginning)?;
    let (mut records, mut bytes, mut first) = (0, 0, None);
    while records < cell.records {
        let message =
            consumer.poll(PATIENCE).ok_or_else(|| anyhow!("librdkafka: nothing came"))??;
        first.get_or_insert_with(Instant::now);
        bytes += message.payload().map_or(0, <[u8]>::len);
        records += 1;
    }
    let seconds = first.map_or(f64::NAN, |first| first.elapsed().as_secs_f64());
    let cpu_seconds = cpu.seconds();
    ensure!(bytes as u64 == records * cell.size as u64, "values of other sizes came");
    Ok(Measured { records, seconds, cpu_seconds, latencies: None })
}

pub(super) fn end_to_end(cell: &Cell) -> Result<Measured> {
    let consumer = consumer(cell, Offset::End)?;
    let settled = Instant::now() + SETTLE;
    while Instant::now() < settled {
        consumer.poll(PAUSE).transpose()?;
    }
    let producer = Producer::open(cell)?;
    let arrivals = Arrivals::new(cell);
    let topic = &cell.target.topic.name;
    let measured = thread::scope(|scope| {
        let reading = scope.spawn(|| {
            while !arrivals.are_complete() {
                let message = consumer.poll(PATIENCE);
                let message = message.ok_or_else(|| anyhow!("librdkafka: nothing came"))??;
                arrivals.note(message.payload().unwrap_or_default());
            }
            Ok::<_, anyhow::Error>(())
        });
        let measured = arrivals.send_at_rate(|value| producer.send(topic, 0, &value));
        reading.join().map_err(|_| anyhow!("the reader panicked"))??;
        measured
    })?;
    producer.finish(arrivals.expected())?;
    Ok(Measured { latencies: Some(arrivals.latencies()), ..measured })
}

fn of<const N: usize>(settings: [(&'static str, String); N]) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in settings {
        config.set(name, value);
    }
    config
}

fn consumer(cell: &Cell, from: Offset) -> Result<BaseConsumer> {
    let mut config = of(consumer_settings(cell));
    config.set("group.id", "clients").set("enable.auto.commit", "false");
    // Its queue is bounded by bytes, as ours is, and not by a number of records that 100 B reach after
    // 10 MB; and when there is room again it asks at once, not after a second.
    config.set("queued.min.messages", "10000000").set("fetch.queue.backoff.ms", "0");
    let consumer: BaseConsumer = config.create()?;
    let mut assigned = TopicPartitionList::new();
    for partition in 0..cell.target.topic.partitions {
        assigned.add_partition_offset(&cell.target.topic.name, partition, from)?;
    }
    consumer.assign(&assigned)?;
    Ok(consumer)
}
