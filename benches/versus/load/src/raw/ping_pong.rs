//! `ping-pong`: clients that send one record, wait until it is acknowledged, and send the next.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args as ClapArgs;
use klamm_protocol::records::Compression;

use super::producer::{Produced, Producer, Style, touch};
use crate::args::{Records, Span, Target, acks, acks_name};
use crate::floor::{PAGE, Scratch, round_trips, sync};
use crate::measure::{Usage, Window, on_threads};
use crate::report::{Report, median};
use crate::topic;

/// How long what stands beside is measured each time.
const BESIDE: Duration = Duration::from_millis(300);

#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// Clients, each with a connection of its own
    #[arg(long, default_value_t = 1)]
    clients: usize,
    #[command(flatten)]
    of: Records,
    /// What to wait for: 1 or all
    #[arg(long, default_value = "all", value_parser = acks)]
    acks: i16,
    /// A folder on the broker's disk, where syncs are timed between the turns
    #[arg(long)]
    device_dir: Option<PathBuf>,
    /// How often it is measured: between the turns the machine itself is
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// How long each turn is
    #[command(flatten)]
    span: Span,
}

/// One turn, and what no broker can be faster than, measured right before and after it.
struct Turn {
    produced: Produced,
    usage: Usage,
    round_trip_us: f64,
    /// The mean counts: a rate is made of all syncs, the slow ones too.
    sync_us: Option<f64>,
}

impl Turn {
    fn acks_per_second(&self) -> f64 {
        self.produced.requests as f64 / self.usage.seconds
    }

    /// The rate against the device's, which takes a round trip besides each sync.
    fn acks_per_device_sync(&self) -> Option<f64> {
        Some(self.acks_per_second() * (self.sync_us? + self.round_trip_us) / 1e6)
    }
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    ensure!(args.turns > 0, "it takes one turn");
    let style = Style {
        records: 1,
        of: args.of,
        conns: args.clients,
        inflight: 1,
        rate: None,
        acks: args.acks,
        compression: Compression::None,
        idempotent: false,
    };
    topic::prepare(&args.target)?;
    touch(&args.target, &style)?;
    let mut before = Beside::measure(args)?;
    let mut turns = Vec::new();
    for _ in 0..args.turns {
        let (produced, usage) = turn(args, &style)?;
        let after = Beside::measure(args)?;
        turns.push(Turn {
            produced,
            usage,
            round_trip_us: (before.round_trip_us + after.round_trip_us) / 2.0,
            sync_us: before.sync_us.zip(after.sync_us).map(|(one, two)| (one + two) / 2.0),
        });
        before = after;
    }
    Ok(report(args, turns))
}

fn turn(args: &Args, style: &Style) -> Result<(Produced, Usage)> {
    let window = Window::begin(args.span)?;
    let (produced, usage) = on_threads(window, args.target.broker.pid, style.conns, |number| {
        Producer::open(&args.target, style, number)?.run(window)
    })?;
    Ok((Produced::sum(produced), usage))
}

fn report(args: &Args, turns: Vec<Turn>) -> Report {
    let mut report = Report::new("ping-pong");
    report.put("partitions", args.target.topic.partitions);
    report.put("clients", args.clients);
    report.put("size", args.of.size);
    report.put("acks", acks_name(args.acks));
    report.put("turns", args.turns);
    report.figure("acks_per_s", median(turns.iter().map(Turn::acks_per_second)));
    report.figure("loopback_p50_us", median(turns.iter().map(|turn| turn.round_trip_us)));
    if args.device_dir.is_some() {
        let rates = turns.iter().filter_map(|turn| Some(1e6 / turn.sync_us?));
        report.figure("device_syncs_per_s", median(rates));
        let ratios: Vec<f64> = turns.iter().filter_map(Turn::acks_per_device_sync).collect();
        report.figure("acks_per_device_sync", median(ratios.iter().copied()));
        report.put("acks_per_device_sync_each", ratios);
    }
    let usage = turns.iter().map(|turn| turn.usage.clone()).reduce(Usage::and);
    let produced = Produced::sum(turns.into_iter().map(|turn| turn.produced).collect());
    report.latencies("ack", &produced.latencies);
    if let Some(usage) = usage {
        let bytes = produced.requests * args.of.size as u64;
        report.usage(produced.requests, bytes, &usage);
    }
    report.errors(produced.errors, produced.first_error.map(|code| code.name()));
    report
}

/// The machine between two turns.
struct Beside {
    round_trip_us: f64,
    sync_us: Option<f64>,
}

impl Beside {
    fn measure(args: &Args) -> Result<Self> {
        let sync_us = match &args.device_dir {
            Some(dir) => Some(sync(&Scratch::create(dir)?.file, PAGE, BESIDE)?.latencies.mean_us()),
            None => None,
        };
        Ok(Self { round_trip_us: round_trips(BESIDE)?.quantile_us(0.5), sync_us })
    }
}
