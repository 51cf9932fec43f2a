//! `raw-produce`: what the broker takes in when the client costs nothing.

use anyhow::Result;
use clap::Args as ClapArgs;

use super::producer::{Produced, Producer, Style, touch};
use crate::args::{Span, Target, acks_name};
use crate::measure::{Window, on_threads};
use crate::report::Report;
use crate::topic;

#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    style: Style,
    #[command(flatten)]
    span: Span,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let Args { target, style, span } = args;
    topic::prepare(target)?;
    touch(target, style)?;
    let window = Window::begin(*span)?;
    let (produced, usage) = on_threads(window, target.broker.pid, style.conns, |number| {
        Producer::open(target, style, number)?.run(window)
    })?;
    let produced = Produced::sum(produced);

    let mut report = Report::new("raw-produce");
    report.put("partitions", target.topic.partitions);
    describe(&mut report, style);
    let (records, bytes) = volume(&produced, style);
    report.throughput(records, bytes, &usage);
    report.figure("requests_per_s", produced.requests as f64 / usage.seconds);
    let wire_bytes = produced.requests as f64 * produced.batch_len as f64;
    report.figure("wire_mb_per_s", wire_bytes / usage.seconds / 1e6);
    report.latencies("ack", &produced.latencies);
    report.usage(records, bytes, &usage);
    report.errors(produced.errors, produced.first_error.map(|code| code.name()));
    Ok(report)
}

/// How it was produced.
pub(crate) fn describe(report: &mut Report, style: &Style) {
    report.put("size", style.of.size);
    report.put("batch_records", style.records);
    report.put("conns", style.conns);
    report.put("inflight", style.inflight);
    report.put("acks", acks_name(style.acks));
    report.put("compression", style.compression.name());
    report.put("idempotent", style.idempotent);
}

/// Records, and bytes of their values.
pub(crate) fn volume(produced: &Produced, style: &Style) -> (u64, u64) {
    (produced.requests * style.records as u64, produced.requests * style.shape().value_bytes())
}
