//! `raw-fetch`: what the broker hands out when the client costs nothing.

use anyhow::{Result, ensure};
use clap::Args as ClapArgs;

use super::fetcher::{Appetite, AtEnd, Fetched, Fetcher, Place};
use super::producer::share;
use crate::args::{Broker, Span, Topic};
use crate::measure::{Window, on_threads};
use crate::report::Report;
use crate::topic;

#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    broker: Broker,
    #[command(flatten)]
    topic: Topic,
    #[command(flatten)]
    appetite: Appetite,
    /// Connections, each with a thread of its own
    #[arg(long, default_value_t = 1)]
    conns: usize,
    #[command(flatten)]
    span: Span,
    /// Begin a partition anew at its end, instead of stopping when all are read
    #[arg(long, conflicts_with = "tail")]
    repeat: bool,
    /// Begin at the end and wait for what is produced
    #[arg(long)]
    tail: bool,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let Args { broker, topic, appetite, conns, span, .. } = args;
    topic::prepare(broker, topic)?;
    let ends = topic::ends(broker, topic)?;
    let window = Window::begin(*span)?;
    let at_end = match (args.repeat, args.tail) {
        (true, _) => AtEnd::Repeat,
        (_, true) => AtEnd::Wait,
        _ => AtEnd::Stop,
    };
    let (fetched, usage) = on_threads(window, broker.pid, *conns, |number| {
        let places = share(topic.partitions, *conns, number)
            .map(|partition| {
                let end = ends.get(partition as usize).copied().unwrap_or(0);
                Place { partition, offset: if args.tail { end } else { 0 } }
            })
            .collect();
        Fetcher::open(&broker.address, &topic.name, places, *appetite, at_end)?.run(window)
    })?;
    let fetched = Fetched::sum(&fetched);
    ensure!(fetched.requests > 0, "all was read before the warm-up was over");

    let mut report = Report::new("raw-fetch");
    report.put("partitions", topic.partitions);
    report.put("conns", *conns);
    report.put("max_bytes", appetite.max_bytes);
    report.throughput(fetched.records, fetched.bytes, &usage);
    report.figure("requests_per_s", fetched.requests as f64 / usage.seconds);
    report.usage(fetched.records, fetched.bytes, &usage);
    report.errors(fetched.errors, fetched.first_error.map(|code| code.name()));
    Ok(report)
}
