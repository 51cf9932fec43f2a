//! Writing updates, and reading them meanwhile.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use klamm_client::Kafka;
use klamm_client::admin::OffsetSpec;
use klamm_consumer::{ConsumeExt as _, Consumer, Start};
use klamm_producer::{ProduceExt as _, Record};
use klamm_utils::clock;
use klamm_utils::random::Random;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Partitions of a topic.
pub(crate) const PARTITIONS: i32 = 4;
/// Bytes of an update's number.
const NUMBER: usize = 8;
/// Updates whose fate is not known yet.
const UNDER_WAY_MAX: usize = 100_000;
/// A reader that gets nothing for so long looks whether it is at the end.
const QUIET: Duration = Duration::from_millis(100);

/// Of each key, by its number, that of its newest update; zero for none. The first update is one.
pub(crate) type Newest = Vec<u64>;

/// What is written: keys by chance, each value begins with the number of its update.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Updates {
    pub(crate) count: u64,
    pub(crate) keys: usize,
    pub(crate) size: usize,
    pub(crate) seed: u64,
}

/// How writing and reading went.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) newest: Newest,
    /// From the first update until all are acknowledged.
    pub(crate) written: Duration,
    /// From the first update until a reader has come to the end.
    pub(crate) followed: Duration,
    /// Records that the reader got: fewer than were written, if compaction overtook it.
    pub(crate) read: u64,
}

/// Writes all updates while somebody reads them.
pub(crate) async fn run(kafka: &Kafka, topic: &'static str, updates: Updates) -> Result<Traffic> {
    let started = clock::now();
    let (done, all_written) = oneshot::channel();
    let writing = async {
        let newest = write(kafka, topic, updates).await?;
        let written = started.elapsed();
        // Nobody listens if the reader has failed, which is told.
        let _ = done.send(());
        anyhow::Ok((newest, written))
    };
    let following = async {
        let mut reader = Reader::new(kafka, topic, updates.keys).await?;
        reader.follow(all_written).await?;
        reader.finish(kafka).await
    };
    let ((newest, written), (seen, read)) = tokio::try_join!(writing, following)?;
    ensure!(seen == newest, "a reader of {topic} misses the newest update of a key");
    Ok(Traffic { newest, written, followed: started.elapsed(), read })
}

/// Reads a topic from its start to its end. Gives the newest update of each key that is there, and
/// how many records there are.
pub(crate) async fn read(kafka: &Kafka, topic: &'static str, keys: usize) -> Result<(Newest, u64)> {
    Reader::new(kafka, topic, keys).await?.finish(kafka).await
}

async fn write(kafka: &Kafka, topic: &str, updates: Updates) -> Result<Newest> {
    let producer = kafka.producer().build().await?;
    let (sent, mut under_way) = mpsc::channel(UNDER_WAY_MAX);
    let sending = async {
        let mut random = Random::seeded(updates.seed);
        let mut newest = vec![0; updates.keys];
        for number in 1..=updates.count {
            let key = random.below(updates.keys as u64);
            let mut value = vec![b'.'; updates.size];
            value[..NUMBER].copy_from_slice(&number.to_be_bytes());
            let record = Record::to(topic).key(key.to_be_bytes().to_vec()).value(value);
            sent.send(producer.enqueue(record).await?).await?;
            newest[usize::try_from(key)?] = number;
        }
        drop(sent);
        anyhow::Ok(newest)
    };
    let acknowledged = async {
        while let Some(delivery) = under_way.recv().await {
            delivery.await?;
        }
        anyhow::Ok(())
    };
    let (newest, ()) = tokio::try_join!(sending, acknowledged)?;
    producer.close(Duration::from_secs(60)).await?;
    Ok(newest)
}

/// Reads a topic and notes the newest update of each key.
struct Reader {
    topic: &'static str,
    consumer: Consumer,
    newest: Newest,
    records: u64,
}

impl Reader {
    async fn new(kafka: &Kafka, topic: &'static str, keys: usize) -> Result<Self> {
        let consumer = kafka.consumer().assign_topic(topic, Start::Earliest).build().await?;
        Ok(Self { topic, consumer, newest: vec![0; keys], records: 0 })
    }

    /// Reads until all is written.
    async fn follow(&mut self, mut all_written: oneshot::Receiver<()>) -> Result<()> {
        while all_written.try_recv().is_err() {
            self.step().await?;
        }
        Ok(())
    }

    /// Reads what is left, up to the end as it is now.
    async fn finish(mut self, kafka: &Kafka) -> Result<(Newest, u64)> {
        let places = (0..PARTITIONS).map(|index| (self.topic.into(), index, OffsetSpec::Latest));
        let mut ends = Vec::new();
        for ((topic, index), found) in
            kafka.admin().list_offsets(&places.collect::<Vec<_>>()).await?
        {
            ends.push((topic, index, found?.offset.context("a log has an end")?));
        }
        let is_read = |consumer: &Consumer| {
            ends.iter().all(|(topic, index, end)| consumer.position(topic, *index) >= Some(*end))
        };
        while !is_read(&self.consumer) {
            self.step().await?;
        }
        self.consumer.close(Duration::from_secs(60)).await?;
        Ok((self.newest, self.records))
    }

    /// Reads one batch, if there soon is one.
    async fn step(&mut self) -> Result<()> {
        let Ok(batch) = timeout(QUIET, self.consumer.next_batch()).await else { return Ok(()) };
        for record in batch?.records() {
            let (key, value) =
                record.key.as_deref().zip(record.value.as_deref()).context("a null")?;
            let key = usize::try_from(u64::from_be_bytes(key.try_into()?))?;
            let number = value.first_chunk::<NUMBER>().context("a value is short")?;
            let number = u64::from_be_bytes(*number);
            ensure!(number > self.newest[key], "update {number} of key {key} comes late");
            self.newest[key] = number;
            self.records += 1;
        }
        Ok(())
    }
}
