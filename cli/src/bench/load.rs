//! What is sent, how much of it, and when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use klamm_client::admin::NewTopic;
use klamm_client::config::{Acks, Value as _, keys};
use klamm_client::{ClientConfig, Kafka, Topic};
use klamm_producer::{Compression, Record};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::clock;
use klamm_utils::random::Random;
use serde::Serialize;

use crate::connect::{ConnectArgs, find_topic};
use crate::failure::ErrorStyle;
use crate::outcome::note;
use crate::output::{Progress, counted};
use crate::produce::{acks, codec};

/// Values are slices of so many bytes that no two nearby ones are equal.
const POOL: usize = 1 << 20;
/// Records between two looks at the progress.
const PROGRESS_EVERY: u64 = 256;

#[derive(Debug, clap::Args)]
pub(super) struct LoadArgs {
    /// The topic; made if it is not there
    #[arg(default_value = "klamm-bench")]
    pub(super) topic: String,
    /// Partitions of the topic, if it has to be made [default: 1]
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Bytes of each value, from 16 to 1048575
    #[arg(short, long, default_value_t = 1024)]
    #[arg(value_parser = clap::value_parser!(u32).range(16..1 << 20))]
    pub(super) size: u32,
    /// Records each second; latency then counts from when a record was due [default: as many as
    /// are taken; 1000 for e2e]
    #[arg(short, long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) rate: Option<u32>,
    /// How many replicas must hold a batch: all, 1, 0 [default: all]
    #[arg(long, value_parser = acks)]
    acks: Option<Acks>,
    /// How batches are compressed: none, gzip, snappy, lz4, zstd [default: none]
    #[arg(short = 'z', long, value_name = "CODEC", value_parser = codec)]
    compression: Option<Compression>,
    #[command(flatten)]
    connection: ConnectArgs,
}

/// How long a measurement lasts: a count, a time, or whichever is over first.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct LimitArgs {
    /// End after so many records [default, without --seconds: 1000000; 10000 for e2e; all for consume]
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
    /// End after so many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u32>,
}

impl LimitArgs {
    /// How many records at most; `default` if nothing was said.
    pub(super) fn count(&self, default: u64) -> u64 {
        self.count.unwrap_or(if self.seconds.is_some() { u64::MAX } else { default })
    }

    /// When it is over.
    pub(super) fn until(&self, started: Instant) -> Option<Instant> {
        self.seconds.map(|seconds| started + Duration::from_secs(seconds.into()))
    }
}

impl LoadArgs {
    /// A client with connections of its own.
    pub(super) async fn connect(&self) -> anyhow::Result<Kafka> {
        Ok(Kafka::connect(self.config()?).await?)
    }

    /// A client, and the topic.
    pub(super) async fn prepare(&self) -> anyhow::Result<(Kafka, Arc<Topic>)> {
        let kafka = self.connect().await?;
        let topic = NewTopic::new(&self.topic).partitions(self.partitions.unwrap_or(1));
        for (_, outcome) in kafka.admin().create_topics(&[topic]).await? {
            match outcome {
                Err(error) if error.code() != Some(ErrorCode::TOPIC_ALREADY_EXISTS) => {
                    return Err(error.into());
                }
                Ok(_) | Err(_) => {}
            }
        }
        let topic = find_topic(&kafka, &self.topic).await?;
        let partitions = topic.partitions.len();
        if self.partitions.is_some_and(|asked| usize::try_from(asked) != Ok(partitions)) {
            let has = counted(partitions, "partition");
            let text = format!("{} was there already, with {has}; -p changes nothing", topic.name);
            note(ErrorStyle::Text, &text);
        }
        Ok((kafka, topic))
    }

    fn config(&self) -> anyhow::Result<ClientConfig> {
        let mut config = self.connection.config()?;
        if let Some(acks) = &self.acks {
            config = config.with(&keys::ACKS, acks);
        }
        if let Some(codec) = &self.compression {
            config = config.with(&keys::COMPRESSION_TYPE, codec);
        }
        Ok(config)
    }

    pub(super) fn records(&self) -> Records {
        Records::new(&self.topic, self.size as usize)
    }

    /// How it was measured, for the report.
    pub(super) fn settings(&self, kafka: &Kafka, topic: &Topic, producers: u32) -> Settings {
        let config = kafka.config();
        Settings {
            partitions: topic.partitions.len(),
            size: self.size,
            rate: self.rate,
            producers,
            acks: config.get(&keys::ACKS).print(),
            compression: config.get(&keys::COMPRESSION_TYPE).print(),
            linger_ms: config.get(&keys::LINGER).as_millis(),
            batch_size: config.get(&keys::BATCH_SIZE),
        }
    }
}

/// How producers are measured. The names of the fields are a promise to scripts.
#[derive(Debug, Serialize)]
pub(super) struct Settings {
    pub(super) partitions: usize,
    pub(super) size: u32,
    pub(super) rate: Option<u32>,
    pub(super) producers: u32,
    pub(super) acks: String,
    pub(super) compression: String,
    pub(super) linger_ms: u128,
    pub(super) batch_size: usize,
}

/// The records of a measurement: hexadecimal digits, of which a good codec saves half.
#[derive(Debug)]
pub(super) struct Records {
    topic: Str,
    pool: Bytes,
    size: usize,
    random: Random,
}

impl Records {
    fn new(topic: &str, size: usize) -> Self {
        let mut random = Random::new();
        let mut pool = Vec::with_capacity(POOL + size);
        while pool.len() < POOL + size {
            pool.extend_from_slice(format!("{:016x}", random.bits()).as_bytes());
        }
        Self { topic: topic.into(), pool: pool.into(), size, random }
    }

    /// The next record.
    pub(super) fn next(&mut self) -> Record {
        let at = usize::try_from(self.random.below(POOL as u64)).unwrap_or(0);
        Record::to(self.topic.clone()).value(self.pool.slice(at..at + self.size))
    }

    /// The next record, whose value begins with these bytes.
    pub(super) fn next_with(&mut self, head: &[u8; 16]) -> Record {
        let at = usize::try_from(self.random.below(POOL as u64)).unwrap_or(0);
        let rest = self.pool.slice(at..at + self.size.saturating_sub(head.len()));
        Record::to(self.topic.clone()).value([&head[..], &rest].concat())
    }
}

/// When records are due.
#[derive(Debug)]
pub(super) struct Pace {
    started: Instant,
    rate: Option<u32>,
    sent: u64,
    count: u64,
    until: Option<Instant>,
    progress: Progress,
}

impl Pace {
    /// Begins now.
    pub(super) fn start(rate: Option<u32>, limit: &LimitArgs, count_default: u64) -> Self {
        let started = clock::now();
        let (count, until) = (limit.count(count_default), limit.until(started));
        let progress = Progress::of((count != u64::MAX).then_some(count), "records");
        Self { started, rate, sent: 0, count, until, progress }
    }

    /// Waits until the next record is due, and tells when that was; none when there are enough.
    pub(super) async fn next(&mut self) -> Option<Instant> {
        if self.sent >= self.count {
            return None;
        }
        let due = match self.rate {
            None => clock::now(),
            Some(rate) => {
                let after = Duration::from_secs_f64(self.sent as f64 / f64::from(rate));
                let due = self.started + after;
                if due > clock::now() {
                    tokio::time::sleep_until(due.into()).await;
                    // The timer wakes up to a millisecond late. Nobody was waited for in that time.
                    clock::now()
                } else {
                    due
                }
            }
        };
        if self.until.is_some_and(|until| due >= until) {
            return None;
        }
        self.sent += 1;
        if self.sent.is_multiple_of(PROGRESS_EVERY) {
            self.progress.reach(self.sent);
        }
        Some(due)
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }
}
