//! `e2e`: how long records take from the producer's call to the consumer's hands, at a fixed rate.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use clap::Args as ClapArgs;
use rdkafka::topic_partition_list::Offset;
use rustix::thread::set_current_timer_slack;

use super::consumer::Consumer;
use super::producer::{Producer, STAMP, Style};
use crate::args::{Span, Target};
use crate::latency::Latencies;
use crate::measure::{Meter, Usage, Window, sleep_until};
use crate::report::Report;
use crate::topic;

const POLL: Duration = Duration::from_millis(100);
/// How long the consumer has to find the end before the first record.
const SETTLE: Duration = Duration::from_millis(1500);
/// How long the last records may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    style: Style,
    /// Records a second
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    #[command(flatten)]
    span: Span,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let Args { target, style, rate, span } = args;
    ensure!(style.of.size >= STAMP, "a record needs {STAMP} bytes for its time stamp");
    topic::prepare(target)?;
    let all = 0..target.topic.partitions;
    let consumer = Consumer::open(target, &style.settings, all, Offset::End)?;
    let settled = Instant::now() + SETTLE;
    while Instant::now() < settled {
        consumer.poll(POLL, |_| {});
    }

    let epoch = Instant::now();
    let window = Window::begin(*span)?;
    let mut producer = Producer::open(target, style, epoch, window)?;
    let reader = Reader::new(epoch, window);
    let (sent, latencies, usage) = thread::scope(|scope| {
        let reading = scope.spawn(|| reader.run(&consumer));
        let metering = scope.spawn(|| meter(target.broker.pid, window));
        let sent = send(&mut producer, *rate, &reader);
        let latencies = reading.join().map_err(|_| anyhow!("the reader panicked"))?;
        let usage = metering.join().map_err(|_| anyhow!("the meter panicked"))??;
        Ok::<_, anyhow::Error>((sent?, latencies, usage))
    })?;

    let received = reader.received.load(Ordering::Relaxed);
    let deliveries = producer.deliveries();
    let mut report = Report::new("e2e");
    report.put("partitions", target.topic.partitions);
    style.describe(&mut report);
    report.figure("rate_per_s", *rate);
    report.put("sent", sent);
    report.put("received", received);
    report.latencies("e2e", &latencies);
    report.latencies("ack", &deliveries.latencies());
    report.usage(received, received * style.of.size as u64, &usage);
    report.errors(deliveries.failed() + sent.saturating_sub(received), None);
    Ok(report)
}

/// Sends, then gives the reader time to see the last of it.
fn send(producer: &mut Producer, rate: f64, reader: &Reader) -> Result<u64> {
    // Else the kernel may wake us fifty microseconds late, which would count as the broker's.
    set_current_timer_slack(std::num::NonZeroU64::new(1))?;
    let sent = producer.at_rate(rate);
    let deadline = Instant::now() + PATIENCE;
    while let Ok(sent) = sent
        && reader.received.load(Ordering::Relaxed) < sent
        && Instant::now() < deadline
    {
        thread::sleep(POLL);
    }
    reader.over.store(true, Ordering::Relaxed);
    sent
}

fn meter(pid: Option<u32>, window: Window) -> Result<Usage> {
    sleep_until(window.from);
    let meter = Meter::begin(pid)?;
    sleep_until(window.to);
    meter.end()
}

/// Times what comes.
struct Reader {
    epoch: Instant,
    window: Window,
    /// Of the records that were due in the window.
    received: AtomicU64,
    over: AtomicBool,
}

impl Reader {
    fn new(epoch: Instant, window: Window) -> Self {
        Self { epoch, window, received: AtomicU64::new(0), over: AtomicBool::new(false) }
    }

    fn run(&self, consumer: &Consumer) -> Latencies {
        let mut latencies = Latencies::new();
        while !self.over.load(Ordering::Relaxed) {
            consumer.poll(POLL, |value| {
                let Some(stamp) = value.first_chunk::<STAMP>() else { return };
                let due = self.epoch + Duration::from_nanos(u64::from_le_bytes(*stamp));
                if self.window.holds(due) {
                    latencies.record(Instant::now().saturating_duration_since(due));
                    self.received.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        latencies
    }
}
