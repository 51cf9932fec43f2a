//! What goes on during a storm: one producer, members of groups that come and go, and copiers with
//! transactions; and afterwards, whether all of it was right.

mod copier;
mod member;
mod producer;
mod verify;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use klamm_client::admin::NewTopic;
use klamm_client::{ClientConfig, Kafka, Versions};
use klamm_consumer::GroupProtocol;
use klamm_utils::clock;
use klamm_utils::random::Random;
use klamm_utils::uuid::Uuid;

pub use copier::copy;
pub use member::be_a_member;
pub use producer::produce;
pub use verify::{verify_copies, verify_records};

/// How long everything may take to catch up once the weather is fair.
const CATCH_UP: Duration = Duration::from_secs(180);
const CONSUMER_GROUP_HEARTBEAT: i16 = 68;

/// What is to be done, and what has been done so far. Record `n` goes to partition
/// `n % partitions`.
pub struct Storm {
    /// Where clients begin.
    pub bootstrap: String,
    /// How many records.
    pub records: u64,
    /// In how many partitions.
    pub partitions: i32,
    /// How long they are produced.
    pub time: Duration,
    /// Where records are produced to, and copied to.
    pub topics: [String; 2],
    /// Tells this storm from others in the same cluster.
    name: String,
    over: AtomicBool,
    /// What went wrong and was put right, by kind.
    pub troubles: Counters,
}

/// What is counted while a storm goes on.
#[derive(Default)]
pub struct Counters {
    /// Records that could not be put into the producer's buffer and were tried again.
    pub blocked: AtomicU64,
    /// Members that came and went.
    pub members: AtomicU64,
    /// Errors that members were told.
    pub told: AtomicU64,
    /// Records that members read.
    pub read: AtomicU64,
    /// Transactions that were committed.
    pub committed: AtomicU64,
    /// Transactions that were not.
    pub aborted: AtomicU64,
    /// Copiers that began anew.
    pub copiers: AtomicU64,
}

impl Counters {
    fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// Which records the members of a group have seen.
pub struct Seen {
    group: String,
    protocol: GroupProtocol,
    records: Mutex<(Vec<bool>, u64)>,
}

impl Seen {
    /// By how many of them are missing.
    pub fn missing(&self, of: u64) -> u64 {
        of - self.records.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// What the group speaks.
    #[must_use]
    pub fn protocol(&self) -> GroupProtocol {
        self.protocol
    }

    fn mark(&self, number: u64) -> Result<()> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, count) = &mut *records;
        let index = usize::try_from(number)?;
        let seen = seen.get_mut(index).with_context(|| format!("nobody sent {number}"))?;
        *count += u64::from(!std::mem::replace(seen, true));
        Ok(())
    }
}

impl Storm {
    /// Makes the topics.
    ///
    /// # Errors
    /// The cluster cannot be reached, or does not make them.
    pub async fn prepare(
        bootstrap: &str,
        records: u64,
        partitions: i32,
        time: Duration,
    ) -> Result<Self> {
        let name = Uuid(Random::new().uuid()).to_string();
        let topics = ["in", "out"].map(|what| format!("storm.{what}.{name}"));
        let kafka = Kafka::connect(ClientConfig::new(bootstrap)).await?;
        let wanted = topics
            .each_ref()
            .map(|topic| NewTopic::new(topic).partitions(partitions).config("retention.ms", "-1"));
        for (topic, made) in kafka.admin().create_topics(&wanted).await? {
            made.with_context(|| format!("{topic} was not made"))?;
        }
        Ok(Self {
            bootstrap: bootstrap.to_owned(),
            records,
            partitions,
            time,
            topics,
            name,
            over: AtomicBool::new(false),
            troubles: Counters::default(),
        })
    }

    /// A group of members for each protocol that the cluster speaks.
    ///
    /// # Errors
    /// The cluster cannot be reached.
    pub async fn groups(&self) -> Result<Vec<Seen>> {
        let kafka = Kafka::connect(self.config()).await?;
        let mut protocols = vec![GroupProtocol::Classic];
        let served = kafka.admin().api_versions().await?;
        let newest = |versions: &Versions| Some(*versions.of(CONSUMER_GROUP_HEARTBEAT)?.end());
        let newest =
            |versions: &klamm_client::Result<Arc<Versions>>| newest(versions.as_ref().ok()?);
        if served.iter().all(|(_, versions)| newest(versions) >= Some(1)) {
            protocols.push(GroupProtocol::Consumer);
        }
        let empty = vec![false; usize::try_from(self.records)?];
        let seen = |protocol| Seen {
            group: format!("storm.{protocol:?}.{}", self.name),
            protocol,
            records: Mutex::new((empty.clone(), 0)),
        };
        Ok(protocols.into_iter().map(seen).collect())
    }

    /// Waits until the groups have seen everything and everything is copied.
    ///
    /// # Errors
    /// That takes too long.
    pub async fn catch_up(&self, groups: &[Seen]) -> Result<()> {
        let kafka = Kafka::connect(self.config()).await?;
        let by_then = clock::now() + CATCH_UP;
        loop {
            let missing: Vec<_> = groups.iter().map(|seen| seen.missing(self.records)).collect();
            let copied = self.copied(&kafka).await?;
            if copied == self.records && missing.iter().all(|missing| *missing == 0) {
                return Ok(());
            }
            if clock::now() > by_then {
                bail!("the groups miss {missing:?} records, and {copied} are copied");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// How many records the copiers have committed.
    async fn copied(&self, kafka: &Kafka) -> Result<u64> {
        let mut sum = 0;
        for (_, offsets) in kafka.admin().group_offsets(&[self.copiers().into()]).await? {
            for (_, committed) in offsets? {
                sum += committed?.map_or(0, |committed| committed.offset);
            }
        }
        Ok(u64::try_from(sum)?)
    }

    /// Has members and copiers end.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn copiers(&self) -> String {
        format!("storm.copiers.{}", self.name)
    }

    /// What every client is made with: it comes back soon.
    fn config(&self) -> ClientConfig {
        ClientConfig::new(&self.bootstrap).set("reconnect.backoff.ms", "20")
    }

    /// A client, however often it takes.
    async fn connect(&self) -> Kafka {
        loop {
            match Kafka::connect(self.config()).await {
                Ok(kafka) => return kafka,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// The number that a record carries.
fn number(value: Option<&[u8]>) -> Result<u64> {
    let digits = value.context("a record without a value")?.get(..8).context("a short value")?;
    Ok(u64::from_be_bytes(digits.try_into()?))
}
