//! `raw-fetch`: what the broker hands out when the client costs nothing.

use anyhow::{Result, ensure};
use clap::Args as ClapArgs;

use super::fetcher::{Appetite, AtEnd, Fetched, Readers};
use crate::args::{Span, Target};
use crate::measure::{Window, on_threads};
use crate::report::Report;
use crate::topic::{self, Spot};

#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
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
    let Args { target, appetite, conns, span, .. } = args;
    topic::prepare(target)?;
    let spot = if args.tail { Spot::End } else { Spot::Start };
    let from = topic::offsets(target, spot)?;
    let at_end = match (args.repeat, args.tail) {
        (true, _) => AtEnd::Repeat,
        (_, true) => AtEnd::Wait,
        _ => AtEnd::Stop,
    };
    let readers = Readers { count: *conns, appetite: *appetite, from: &from, at_end };
    let window = Window::begin(*span)?;
    let (fetched, usage) = on_threads(window, target.broker.pid, *conns, |number| {
        readers.open(target, number)?.run(window)
    })?;
    let fetched = Fetched::sum(&fetched);
    ensure!(fetched.requests > 0, "all was read before the warm-up was over");

    let mut report = Report::new("raw-fetch");
    report.put("partitions", target.topic.partitions);
    report.put("conns", *conns);
    report.put("max_bytes", appetite.max_bytes);
    report.throughput(fetched.records, fetched.bytes, &usage);
    report.figure("requests_per_s", fetched.requests as f64 / usage.seconds);
    report.usage(fetched.records, fetched.bytes, &usage);
    report.errors(fetched.errors, fetched.first_error.map(|code| code.name()));
    Ok(report)
}
