//! Many producers and consumers in one process.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use klamm_client::admin::NewTopic;
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{ConsumeExt as _, OffsetReset};
use klamm_producer::{Delivery, ProduceExt as _, Producer, Record, TryEnqueueError};
use klamm_utils::random::Random;
use klamm_utils::task::TaskGroup;
use klamm_utils::uuid::Uuid;

use crate::process::Usage;

/// So many consumers are a group, and share a topic of as many partitions.
const GROUP: usize = 10;
const PATIENCE: Duration = Duration::from_secs(120);
const KIB: usize = 1024;

/// Who takes part.
pub struct Crowd<'a> {
    /// Where clients begin.
    pub bootstrap: &'a str,
    /// How many producers, and how many consumers.
    pub each: usize,
    /// Whether all share one client, and with it its connections.
    pub shared: bool,
    /// Is told what has been reached.
    pub tell: &'a dyn Fn(&str),
}

/// What producers took whose broker stood still.
#[derive(Clone, Copy, Debug)]
pub struct Stalled {
    /// Resident bytes once all were connected and had sent a record.
    pub idle: u64,
    /// Resident bytes when no buffer had room any more.
    pub full: u64,
}

impl Crowd<'_> {
    /// Topics of [`GROUP`] partitions each.
    async fn topics(&self) -> Result<Vec<String>> {
        let name = Uuid(Random::new().uuid());
        let count = self.each.div_ceil(GROUP);
        let topics: Vec<_> = (0..count).map(|topic| format!("crowd.{topic}.{name}")).collect();
        let kafka = Kafka::connect(ClientConfig::new(self.bootstrap)).await?;
        let partitions = i32::try_from(GROUP)?;
        let wanted: Vec<_> =
            topics.iter().map(|topic| NewTopic::new(topic).partitions(partitions)).collect();
        for (topic, made) in kafka.admin().create_topics(&wanted).await? {
            made.with_context(|| format!("{topic} was not made"))?;
        }
        Ok(topics)
    }

    /// A client for each who takes part, or the same for all.
    async fn clients(&self, count: usize) -> Result<Vec<Kafka>> {
        let mut clients = Vec::with_capacity(count);
        for client in 0..count {
            if client > 0 && self.shared {
                clients.push(Kafka::clone(&clients[0]));
            } else {
                clients.push(Kafka::connect(ClientConfig::new(self.bootstrap)).await?);
            }
        }
        Ok(clients)
    }
}

/// Has every producer send so many records, and groups of consumers read all of them.
///
/// # Errors
/// Not everything is sent and read in time.
pub async fn gather(crowd: &Crowd<'_>, records: usize) -> Result<()> {
    let topics = crowd.topics().await?;
    let tasks = TaskGroup::new("crowd");
    let read: Arc<[AtomicUsize]> = (0..crowd.each).map(|_| AtomicUsize::new(0)).collect();
    for (index, kafka) in crowd.clients(crowd.each).await?.into_iter().enumerate() {
        let topic = topics[index / GROUP].clone();
        let group = kafka.consumer().group(&topic).subscribe([topic.as_str()]);
        let mut consumer = group.auto_offset_reset(OffsetReset::Earliest).build().await?;
        let (read, first) = (Arc::clone(&read), index / GROUP * GROUP);
        tasks.spawn("consume", async move {
            while let Ok(batch) = consumer.next_batch().await {
                let partition = usize::try_from(batch.partition()).unwrap_or(usize::MAX);
                let end = usize::try_from(batch.end_offset()).unwrap_or(usize::MAX);
                if let Some(read) = read.get(first + partition) {
                    read.fetch_max(end, Ordering::Relaxed);
                }
            }
        });
    }
    (crowd.tell)("consumers are there");
    let mut producers = Vec::new();
    for kafka in crowd.clients(crowd.each).await? {
        producers.push(kafka.producer().build().await?);
    }
    (crowd.tell)("producers are there");
    let mut deliveries = Vec::new();
    for number in 0..records {
        for (index, producer) in producers.iter().enumerate() {
            let partition = i32::try_from(index % GROUP)?;
            let record = Record::to(topics[index / GROUP].as_str()).partition(partition);
            deliveries.push(producer.enqueue(record.value(number.to_string())).await?);
        }
    }
    settle(deliveries).await?;
    (crowd.tell)("all is sent");
    let all_read = async {
        while !read.iter().all(|read| read.load(Ordering::Relaxed) >= records) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, all_read).await;
    let missing = read.iter().filter(|read| read.load(Ordering::Relaxed) < records).count();
    ensure!(in_time.is_ok(), "{missing} partitions are not read to their end");
    (crowd.tell)("all is read");
    tasks.stop();
    Ok(())
}

/// Halts the broker with this process id, fills the buffer of every producer, and has it go on.
///
/// # Errors
/// Something that was accepted is not delivered afterwards.
pub async fn stall(crowd: &Crowd<'_>, broker: u32, buffer: usize) -> Result<Stalled> {
    let topics = crowd.topics().await?;
    let mut producers = Vec::new();
    for kafka in crowd.clients(crowd.each).await? {
        producers.push(kafka.producer().buffer_memory(buffer).build().await?);
    }
    let record = |index: usize| {
        let partition = i32::try_from(index % GROUP).unwrap_or(0);
        Record::to(topics[index / GROUP].as_str()).partition(partition).value(vec![b'.'; KIB])
    };
    let mut deliveries = Vec::new();
    for (index, producer) in producers.iter().enumerate() {
        deliveries.push(producer.enqueue(record(index)).await?);
    }
    settle(deliveries).await?;
    (crowd.tell)("producers are there");
    let idle = Usage::now().resident;
    signal(broker, "-STOP")?;
    let filled = fill(&producers, record);
    let full = Usage::now().resident;
    (crowd.tell)("every buffer is full");
    signal(broker, "-CONT")?;
    settle(filled?).await?;
    (crowd.tell)("all is sent");
    Ok(Stalled { idle, full })
}

/// Enqueues until nobody has room.
fn fill(producers: &[Producer], record: impl Fn(usize) -> Record) -> Result<Vec<Delivery>> {
    let mut deliveries = Vec::new();
    for (index, producer) in producers.iter().enumerate() {
        loop {
            match producer.try_enqueue(record(index)) {
                Ok(delivery) => deliveries.push(delivery),
                Err(TryEnqueueError::Full(_)) => break,
                Err(_) => anyhow::bail!("producer {index} takes no more records"),
            }
        }
    }
    Ok(deliveries)
}

async fn settle(deliveries: Vec<Delivery>) -> Result<()> {
    let all = async {
        for (number, delivery) in deliveries.into_iter().enumerate() {
            delivery.await.with_context(|| format!("record {number}"))?;
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, all).await.context("not all was sent in time")?
}

fn signal(process: u32, signal: &str) -> Result<()> {
    let sent = Command::new("kill").args([signal, &process.to_string()]).status()?;
    ensure!(sent.success(), "process {process} was not reached");
    Ok(())
}
