//! `raw-produce`: what the broker takes in when the client costs nothing.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args as ClapArgs;

use super::producer::{Produced, Producer, Style, touch};
use crate::args::{Span, Target, acks_name};
use crate::floor::{Scratch, sync};
use crate::measure::{Window, on_threads};
use crate::report::Report;
use crate::topic;

/// How long the device is measured each time.
const BESIDE: Duration = Duration::from_millis(300);

#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    style: Style,
    /// A folder on the broker's disk: what the device does is measured before and after
    #[arg(long)]
    device_dir: Option<PathBuf>,
    #[command(flatten)]
    span: Span,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let Args { target, style, span, .. } = args;
    topic::prepare(target)?;
    touch(target, style)?;
    let device_before = device(args)?;
    let window = Window::begin(*span)?;
    let (produced, usage) = on_threads(window, target.broker.pid, style.conns, |number| {
        Producer::open(target, style, number)?.run(window)
    })?;
    let device = device_before.zip(device(args)?).map(|(before, after)| (before + after) / 2.0);
    let produced = Produced::sum(produced);

    let mut report = Report::new("raw-produce");
    report.put("partitions", target.topic.partitions);
    describe(&mut report, style);
    let (records, bytes) = volume(&produced, style);
    report.throughput(records, bytes, &usage);
    report.figure("requests_per_s", produced.requests as f64 / usage.seconds);
    let wire_bytes = produced.requests as f64 * produced.batch_len as f64;
    report.figure("wire_mb_per_s", wire_bytes / usage.seconds / 1e6);
    if let Some(device) = device {
        report.figure("device_mb_per_s", device);
    }
    report.latencies("ack", &produced.latencies);
    report.usage(records, bytes, &usage);
    report.errors(produced.errors, produced.first_error.map(|code| code.name()));
    Ok(report)
}

/// MB/s that the device takes when all that may be under way is written and then synced, again and
/// again: there is nothing more for one sync to cover.
fn device(args: &Args) -> Result<Option<f64>> {
    let Some(dir) = &args.device_dir else { return Ok(None) };
    let Style { conns, inflight, .. } = args.style;
    let under_way = args.style.shape().value_bytes() * (conns * inflight) as u64;
    let synced = sync(&Scratch::create(dir)?.file, usize::try_from(under_way)?, BESIDE)?;
    Ok(Some(synced.mb_per_second))
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
