//! `both`: producers at full speed while consumers read the tail.

use anyhow::Result;
use clap::Args as ClapArgs;

use super::fetcher::{Appetite, AtEnd, Fetched, Readers};
use super::produce;
use super::producer::{Produced, Producer, Style, touch};
use crate::args::{Span, Target};
use crate::measure::{Usage, Window, on_threads};
use crate::report::Report;
use crate::topic::{self, Spot};

#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    style: Style,
    /// Connections that fetch, which share the partitions out
    #[arg(long, default_value_t = 1)]
    fetch_conns: usize,
    #[command(flatten)]
    appetite: Appetite,
    #[command(flatten)]
    span: Span,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let Args { target, style, span, .. } = args;
    topic::prepare(target)?;
    touch(target, style)?;
    let ends = topic::offsets(target, Spot::End)?;
    let window = Window::begin(*span)?;
    let readers = Readers {
        count: args.fetch_conns,
        appetite: args.appetite,
        from: &ends,
        at_end: AtEnd::Wait,
    };
    let beside = together(target, style, &readers, window)?;

    let (produced, fetched, usage) = (&beside.produced, &beside.fetched, &beside.usage);
    let mut report = Report::new("both");
    report.put("partitions", target.topic.partitions);
    produce::describe(&mut report, style);
    report.put("fetch_conns", args.fetch_conns);
    let (records, bytes) = produce::volume(produced, style);
    report.throughput(records, bytes, usage);
    report.latencies("ack", &produced.latencies);
    report.figure("fetched_records_per_s", fetched.records as f64 / usage.seconds);
    report.figure("fetched_wire_mb_per_s", fetched.bytes as f64 / usage.seconds / 1e6);
    report.usage(records, bytes, usage);
    report.errors(produced.errors, produced.first_error.map(|code| code.name()));
    report.errors(fetched.errors, fetched.first_error.map(|code| code.name()));
    Ok(report)
}

/// What producers and readers did beside each other.
pub(super) struct Beside {
    pub(super) produced: Produced,
    pub(super) fetched: Fetched,
    pub(super) usage: Usage,
}

/// What one thread did.
enum Done {
    Produced(Produced),
    Fetched(Fetched),
}

/// Produces and reads at once.
pub(super) fn together(
    target: &Target,
    style: &Style,
    readers: &Readers<'_>,
    window: Window,
) -> Result<Beside> {
    let threads = style.conns + readers.count;
    let (all, usage) = on_threads(window, target.broker.pid, threads, |number| {
        if number < style.conns {
            let producer = Producer::open(target, style, number)?;
            return producer.run(window).map(Done::Produced);
        }
        readers.open(target, number - style.conns)?.run(window).map(Done::Fetched)
    })?;
    let (mut produced, mut fetched) = (Vec::new(), Vec::new());
    for done in all {
        match done {
            Done::Produced(part) => produced.push(part),
            Done::Fetched(part) => fetched.push(part),
        }
    }
    Ok(Beside { produced: Produced::sum(produced), fetched: Fetched::sum(&fetched), usage })
}
