//! A producer of librdkafka, at full speed or at a fixed rate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};

use super::Settings;
use crate::args::{self, Target, acks_name};
use crate::latency::Latencies;
use crate::measure::{Window, sleep_until};
use crate::payload::Payloads;
use crate::report::Report;

/// Different values, so that no two neighbours are alike.
const VALUES: usize = 64;
/// At full speed so many records go to a partition before it is the next one's turn.
const RUN: u64 = 16;
/// How long a full queue is left alone.
const PAUSE: Duration = Duration::from_micros(200);
const FLUSH: Duration = Duration::from_secs(60);
/// Bytes of a value that a time stamp takes.
pub(super) const STAMP: usize = 8;

/// How to produce.
#[derive(Args, Clone, Debug)]
pub(crate) struct Style {
    #[command(flatten)]
    pub(crate) of: args::Records,
    /// What to wait for: 1 or all
    #[arg(long, default_value = "1", value_parser = args::acks)]
    acks: i16,
    /// How long a batch waits for more records
    #[arg(long, default_value_t = 5.0)]
    linger_ms: f64,
    /// How batches are compressed: none, gzip, snappy, lz4 or zstd
    #[arg(long, default_value = "none")]
    compression: String,
    /// Produce idempotently
    #[arg(long)]
    idempotent: bool,
    #[command(flatten)]
    pub(super) settings: Settings,
}

impl Style {
    /// How it was produced.
    pub(crate) fn describe(&self, report: &mut Report) {
        report.put("size", self.of.size);
        report.put("acks", acks_name(self.acks));
        report.figure("linger_ms", self.linger_ms);
        report.put("compression", self.compression.as_str());
        report.put("idempotent", self.idempotent);
    }
}

/// What is known of the records that were sent, told by librdkafka's own thread.
pub(crate) struct Deliveries {
    /// Times are told relative to it.
    epoch: Instant,
    window: Window,
    delivered: AtomicU64,
    failed: AtomicU64,
    latencies: Mutex<Latencies>,
}

impl Deliveries {
    fn new(epoch: Instant, window: Window) -> Self {
        Self {
            epoch,
            window,
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            latencies: Mutex::new(Latencies::new()),
        }
    }

    /// Records that were acknowledged within the window.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// From the call that sent a record to its acknowledgement.
    pub(crate) fn latencies(&self) -> Latencies {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How librdkafka tells of a record's fate. Shared with the thread that sends.
#[derive(Clone)]
struct Context(Arc<Deliveries>);

impl ClientContext for Context {}

impl ProducerContext for Context {
    /// When the record was sent, in nanoseconds since the epoch of the deliveries.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: usize) {
        let deliveries = &self.0;
        if result.is_err() {
            deliveries.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let now = Instant::now();
        if !deliveries.window.holds(now) {
            return;
        }
        deliveries.delivered.fetch_add(1, Ordering::Relaxed);
        let took = (now - deliveries.epoch).saturating_sub(Duration::from_nanos(sent as u64));
        // Nobody else takes the lock before the end.
        deliveries.latencies.lock().unwrap_or_else(PoisonError::into_inner).record(took);
    }
}

/// A producer of one topic.
pub(crate) struct Producer {
    inner: ThreadedProducer<Context>,
    topic: String,
    partitions: u64,
    values: Vec<Vec<u8>>,
    epoch: Instant,
    window: Window,
    deliveries: Arc<Deliveries>,
}

impl Producer {
    /// `epoch` is what time stamps are relative to.
    pub(crate) fn open(
        target: &Target,
        style: &Style,
        epoch: Instant,
        window: Window,
    ) -> Result<Self> {
        let mut config = style.settings.client(&target.broker);
        config
            .set("acks", acks_name(style.acks))
            .set("linger.ms", style.linger_ms.to_string())
            .set("compression.type", &style.compression)
            .set("enable.idempotence", style.idempotent.to_string());
        style.settings.finish(&mut config);
        let topic = &target.topic;
        let deliveries = Arc::new(Deliveries::new(epoch, window));
        let mut payloads = Payloads::new(style.of.payload);
        Ok(Self {
            inner: config.create_with_context(Context(Arc::clone(&deliveries)))?,
            topic: topic.name.clone(),
            partitions: u64::try_from(topic.partitions)?.max(1),
            values: (0..VALUES).map(|_| payloads.next(style.of.size)).collect(),
            epoch,
            window,
            deliveries,
        })
    }

    pub(crate) fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    /// Sends as fast as the queue takes it, until the window is over.
    pub(crate) fn at_full_speed(&mut self) -> Result<()> {
        for number in 0.. {
            let now = Instant::now();
            if self.window.is_over(now) {
                break;
            }
            self.send(number, (number / RUN) % self.partitions, now)?;
        }
        self.inner.flush(FLUSH)?;
        Ok(())
    }

    /// Sends so many records a second, each stamped with the time at which it was due: whoever is
    /// late makes the wait longer and not the load smaller. Returns how many were due in the
    /// window.
    pub(crate) fn at_rate(&mut self, per_second: f64) -> Result<u64> {
        ensure!(per_second > 0.0, "the rate must be above 0");
        let begin = Instant::now();
        let mut counted = 0;
        for number in 0.. {
            let due = begin + Duration::from_secs_f64(number as f64 / per_second);
            if self.window.is_over(due) {
                break;
            }
            sleep_until(due);
            counted += u64::from(self.window.holds(due));
            let stamp = (due - self.epoch).as_nanos() as u64;
            let at = number as usize % VALUES;
            if let Some(head) = self.values[at].first_chunk_mut::<STAMP>() {
                *head = stamp.to_le_bytes();
            }
            self.send(number, number % self.partitions, due)?;
        }
        self.inner.flush(FLUSH)?;
        Ok(counted)
    }

    fn send(&self, number: u64, partition: u64, at: Instant) -> Result<()> {
        let sent = (at - self.epoch).as_nanos() as usize;
        let value = &self.values[number as usize % VALUES];
        let mut record = BaseRecord::<(), [u8], usize>::with_opaque_to(&self.topic, sent)
            .partition(partition as i32)
            .payload(value);
        while let Err((error, refused)) = self.inner.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            record = refused;
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}
