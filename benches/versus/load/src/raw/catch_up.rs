//! `catch-up`: what it costs the producers at the tail that somebody reads from the start.
//!
//! In turns, so that what the machine does otherwise falls on both alike: first the producers
//! alone, then the same with the reader, whose data are dropped from the page cache before. At
//! full speed they share the CPUs with whoever else is there; so each turn goes on with producers
//! at a share of what they reached alone, and it is these that the reader must not slow down.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args as ClapArgs;
use rustix::fs::{Advice, fadvise};

use super::both::{Beside, together};
use super::fetcher::{Appetite, AtEnd, Readers};
use super::produce;
use super::producer::{Producer, Style};
use crate::args::{Span, Target};
use crate::measure::{Window, on_threads};
use crate::report::{Report, median};
use crate::topic::{self, Spot};

/// Ample time to produce what is read later.
const FILL_SECONDS: f64 = 600.0;
const MIB: u64 = 1 << 20;

#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    style: Style,
    /// MiB of values that are produced before, for the reader to begin with
    #[arg(long, default_value_t = 2048)]
    fill_mib: u64,
    /// How often each half is measured
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// How fast the producers are that must not be slowed down, of their full speed alone
    #[arg(long, default_value_t = 0.5)]
    share: f64,
    /// A folder whose *.log files are dropped from the page cache before each half
    #[arg(long)]
    drop_cache: Option<PathBuf>,
    #[command(flatten)]
    appetite: Appetite,
    /// How long each half is
    #[command(flatten)]
    span: Span,
}

/// What is done at full speed and at a share of it.
struct Turn {
    full: Halves,
    paced: Halves,
}

/// The same without and with the reader.
struct Halves {
    alone: Beside,
    beside: Beside,
}

impl Halves {
    fn ratio(&self) -> f64 {
        speed(&self.beside) / speed(&self.alone)
    }

    fn both(&self) -> [&Beside; 2] {
        [&self.alone, &self.beside]
    }
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let Args { target, style, .. } = args;
    ensure!(args.turns > 0, "it takes one turn");
    topic::prepare(target)?;
    fill(args)?;
    let turns: Vec<Turn> = (0..args.turns).map(|_| turn(args)).collect::<Result<_>>()?;

    let mut report = Report::new("catch-up");
    report.put("partitions", target.topic.partitions);
    produce::describe(&mut report, style);
    report.put("turns", args.turns);
    report.put("cache_dropped", args.drop_cache.is_some());
    let halves = |of: fn(&Turn) -> &Halves| turns.iter().map(of).collect::<Vec<_>>();
    tell(&mut report, "full_", style, &halves(|turn| &turn.full));
    tell(&mut report, "", style, &halves(|turn| &turn.paced));
    for half in turns.iter().flat_map(|turn| [turn.full.both(), turn.paced.both()]).flatten() {
        let (produced, fetched) = (&half.produced, &half.fetched);
        report.errors(produced.errors, produced.first_error.map(|code| code.name()));
        report.errors(fetched.errors, fetched.first_error.map(|code| code.name()));
    }
    if let Some(last) = turns.last() {
        let beside = &last.paced.beside;
        let (records, bytes) = produce::volume(&beside.produced, style);
        report.usage(records, bytes, &beside.usage);
    }
    Ok(report)
}

/// Says how the producers fared, medians of all turns.
fn tell(report: &mut Report, prefix: &str, style: &Style, turns: &[&Halves]) {
    let value_bytes = style.shape().value_bytes() as f64;
    let of = |figure: fn(&Halves) -> f64| median(turns.iter().map(|halves| figure(halves)));
    let mut figure = |name: &str, value| report.figure(format!("{prefix}{name}"), value);
    figure("alone_mb_per_s", of(|turn| speed(&turn.alone)) * value_bytes / 1e6);
    figure("beside_mb_per_s", of(|turn| speed(&turn.beside)) * value_bytes / 1e6);
    figure("beside_per_alone", of(Halves::ratio));
    figure("alone_ack_p99_us", of(|turn| p99_us(&turn.alone)));
    figure("beside_ack_p99_us", of(|turn| p99_us(&turn.beside)));
    figure("reader_wire_mb_per_s", of(|turn| reader_mb_per_s(&turn.beside)));
    let caught_up = turns.iter().any(|turn| turn.beside.fetched.ended);
    report.put(format!("{prefix}reader_caught_up"), caught_up);
}

/// Requests a second.
fn speed(half: &Beside) -> f64 {
    half.produced.requests as f64 / half.usage.seconds
}

fn p99_us(half: &Beside) -> f64 {
    half.produced.latencies.quantile_us(0.99)
}

fn reader_mb_per_s(half: &Beside) -> f64 {
    half.fetched.bytes as f64 / half.usage.seconds / 1e6
}

/// Produces what is read later.
fn fill(args: &Args) -> Result<()> {
    let Args { target, style, .. } = args;
    let requests = args.fill_mib * MIB / style.shape().value_bytes().max(1);
    let each = requests.div_ceil(style.conns.max(1) as u64);
    let window = Window::at_once(FILL_SECONDS)?;
    on_threads(window, target.broker.pid, style.conns, |number| {
        let producer = Producer::open(target, style, number)?;
        producer.limited_to(each).run(window)
    })?;
    Ok(())
}

fn turn(args: &Args) -> Result<Turn> {
    let full = halves(args, &args.style)?;
    let rate = speed(&full.alone) * args.share;
    let paced = halves(args, &Style { rate: Some(rate), ..args.style })?;
    Ok(Turn { full, paced })
}

fn halves(args: &Args, style: &Style) -> Result<Halves> {
    let from = topic::offsets(&args.target, Spot::Start)?;
    let half = |count| {
        if let Some(dir) = &args.drop_cache {
            drop_from_cache(dir)?;
        }
        let readers = Readers { count, appetite: args.appetite, from: &from, at_end: AtEnd::Stop };
        together(&args.target, style, &readers, Window::begin(args.span)?)
    };
    Ok(Halves { alone: half(0)?, beside: half(1)? })
}

/// Lets the page cache forget all logs in a folder. Only what is on disk can be forgotten: it is
/// synced before.
fn drop_from_cache(dir: &Path) -> Result<()> {
    let entries = fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            drop_from_cache(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "log") {
            let file = File::open(&path)?;
            file.sync_data()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
