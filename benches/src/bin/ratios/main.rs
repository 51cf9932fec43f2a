//! Runs the criterion benches and tells how far above its floor each is:
//! `cargo run --release -p klamm-benches --bin ratios`
//!
//! Times differ between machines and between hours; the ratio of two times of one run does so far
//! less. Still this only tells: nothing fails on a ratio.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "telling is what this program does")]

mod estimates;

use std::env;
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::Parser;
use klamm_benches::committed::{Committed, Figures};

use crate::estimates::{Measured, ratios};

const HEADING: &str = "\
Times as multiples of the floor that was measured beside them. They tell, they judge nothing.
Written by
    cargo run --release -p klamm-benches --bin ratios -- --save";

/// Runs the benches and prints their times beside their floors.
#[derive(Debug, Parser)]
struct Args {
    /// Only benches whose names match this, such as `log append`
    filter: Option<String>,
    /// Only this program of benches: codec, records, log, lookup, group, loopback
    #[arg(long, value_name = "NAME")]
    bench: Vec<String>,
    /// Measure as long as criterion likes to, not as short as it can
    #[arg(long)]
    full: bool,
    /// Write the ratios to the file that is committed
    #[arg(long)]
    save: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let committed = Committed::new("ratios.toml", HEADING);
    let mut figures: Figures<f64> = committed.read()?;
    let home = tempfile::tempdir()?;
    run(&args, home.path())?;
    let measured = ratios(estimates::read(home.path())?);
    println!("\n{:>10} {:>10} {:>7} {:>9}  bench", "time", "floor", "ratio", "committed");
    for one in &measured {
        tell(one, figures.get(&one.name).copied());
    }
    if args.save {
        if args.filter.is_none() && args.bench.is_empty() {
            figures.clear();
        }
        let rounded = |ratio: f64| (ratio * 100.0).round() / 100.0;
        let with_ratio = measured.into_iter().filter_map(|one| Some((one.name, one.ratio?)));
        figures.extend(with_ratio.map(|(name, ratio)| (name, rounded(ratio))));
        committed.write(&figures)?;
    }
    Ok(())
}

/// Runs the benches; what they find lies in `home` afterwards.
fn run(args: &Args, home: &std::path::Path) -> anyhow::Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["bench", "--locked", "-p", "klamm-benches"]).env("CRITERION_HOME", home);
    for bench in &args.bench {
        command.args(["--bench", bench]);
    }
    command.arg("--").arg("--noplot");
    if !args.full {
        command.arg("--quick");
    }
    command.args(&args.filter);
    let status = command.status().context("cargo cannot be run")?;
    ensure!(status.success(), "the benches failed: {status}");
    Ok(())
}

fn tell(one: &Measured, committed: Option<f64>) {
    let dash = || "-".to_owned();
    let floor = one.floor_ns.map_or_else(dash, time);
    let ratio = one.ratio.map_or_else(dash, |ratio| format!("{ratio:.2}"));
    let committed = committed.map_or_else(dash, |ratio| format!("{ratio:.2}"));
    println!("{:>10} {floor:>10} {ratio:>7} {committed:>9}  {}", time(one.ns), one.name);
}

/// A time as people read it.
fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.1} ns"),
        ns if ns < 1e6 => format!("{:.2} us", ns / 1e3),
        ns => format!("{:.2} ms", ns / 1e6),
    }
}
