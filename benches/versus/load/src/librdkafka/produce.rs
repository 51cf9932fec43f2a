//! `produce`: what an application gets into the broker.

use std::time::Instant;

use anyhow::Result;
use clap::Args as ClapArgs;

use super::producer::{Producer, Style};
use crate::args::{Span, Target};
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
    let window = Window::begin(*span)?;
    let (producers, usage) = on_threads(window, target.broker.pid, 1, |_| {
        let mut producer = Producer::open(target, style, Instant::now(), window)?;
        producer.at_full_speed()?;
        Ok(producer)
    })?;
    let mut report = Report::new("produce");
    report.put("partitions", target.topic.partitions);
    style.describe(&mut report);
    for producer in producers {
        let deliveries = producer.deliveries();
        let records = deliveries.delivered();
        let bytes = records * style.of.size as u64;
        report.throughput(records, bytes, &usage);
        // At full speed this is the time in the client's own queue.
        report.latencies("ack", &deliveries.latencies());
        report.usage(records, bytes, &usage);
        report.errors(deliveries.failed(), None);
    }
    Ok(report)
}
