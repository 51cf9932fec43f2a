//! `consume`: what an application gets out of the broker.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args as ClapArgs;
use rdkafka::topic_partition_list::Offset;

use super::Settings;
use super::consumer::{Consumer, Polled};
use crate::args::Target;
use crate::measure::{Window, on_threads};
use crate::report::Report;
use crate::topic::{self, Spot};

const POLL: Duration = Duration::from_millis(10);

#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// Consumers, each with a thread of its own and its share of the partitions
    #[arg(long, default_value_t = 1)]
    consumers: usize,
    /// How long at most; the connections are made in this time, too
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// End after so many records; without it after as many as there are, with `--tail` never
    #[arg(long)]
    count: Option<u64>,
    /// Begin at the end and wait for what is produced
    #[arg(long)]
    tail: bool,
    #[command(flatten)]
    settings: Settings,
}

/// What one consumer got, and when.
#[derive(Default)]
struct Consumed {
    got: Polled,
    /// When the first came, and how many bytes: what came before there was anything to time.
    first: Option<(Instant, u64)>,
    last: Option<Instant>,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let Args { target, consumers, .. } = args;
    topic::prepare(target)?;
    let wanted = wanted(args)?;
    let window = Window::at_once(args.seconds)?;
    let total = AtomicU64::new(0);
    let (consumed, usage) = on_threads(window, target.broker.pid, *consumers, |number| {
        let partitions = (0..target.topic.partitions).skip(number).step_by(*consumers);
        let from = if args.tail { Offset::End } else { Offset::Beginning };
        let consumer = Consumer::open(target, &args.settings, partitions, from)?;
        let consumed = consume(&consumer, window, wanted, &total);
        // The consumer goes along, for closing it takes its time.
        Ok((consumed, consumer))
    })?;
    let consumed: Vec<Consumed> = consumed.into_iter().map(|(consumed, _)| consumed).collect();

    let sum = |figure: fn(&Consumed) -> u64| consumed.iter().map(figure).sum::<u64>();
    let (records, bytes) = (sum(|one| one.got.records), sum(|one| one.got.bytes));
    let mut report = Report::new("consume");
    report.put("partitions", target.topic.partitions);
    report.put("consumers", *consumers);
    report.put("complete", args.tail || records >= wanted);
    report.throughput(records, bytes, &usage);
    let (first, last) = (first(&consumed), consumed.iter().filter_map(|one| one.last).max());
    let (Some(first), Some(last)) = (first, last) else { bail!("not one record came") };
    report.figure("first_ms", (first - window.from).as_secs_f64() * 1e3);
    let timed_bytes = bytes - sum(|one| one.first.map_or(0, |(_, bytes)| bytes));
    let timed_seconds = (last - first).as_secs_f64();
    report.figure("steady_mb_per_s", timed_bytes as f64 / timed_seconds / 1e6);
    report.usage(records, bytes, &usage);
    report.errors(sum(|one| one.got.errors), None);
    Ok(report)
}

fn wanted(args: &Args) -> Result<u64> {
    if args.tail {
        return Ok(args.count.unwrap_or(u64::MAX));
    }
    let of = |spot| -> Result<i64> { Ok(topic::offsets(&args.target, spot)?.iter().sum()) };
    let there = u64::try_from(of(Spot::End)? - of(Spot::Start)?)?;
    Ok(args.count.map_or(there, |count| count.min(there)))
}

fn first(consumed: &[Consumed]) -> Option<Instant> {
    consumed.iter().filter_map(|one| one.first).map(|(at, _)| at).min()
}

fn consume(consumer: &Consumer, window: Window, wanted: u64, total: &AtomicU64) -> Consumed {
    let mut consumed = Consumed::default();
    while total.load(Ordering::Relaxed) < wanted && !window.is_over(Instant::now()) {
        let polled = consumer.poll(POLL, |_| {});
        if polled.records > 0 {
            let now = Instant::now();
            consumed.first.get_or_insert((now, polled.bytes));
            consumed.last = Some(now);
        }
        consumed.got.add(polled);
        total.fetch_add(polled.records, Ordering::Relaxed);
    }
    consumed
}
