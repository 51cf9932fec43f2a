//! Counts the instructions of the produce path and the fetch path, and compares them with the
//! figures that are committed: `cargo run --release -p klamm-benches --bin instructions`
//!
//! A broker whose disk is memory and its one client run on one thread under valgrind, which counts
//! what the program executes, and nothing of the kernel. So the figures hold on any machine, as
//! long as compiler and C library are the same.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "telling is what this program does")]

mod count;
mod group;
mod paths;

use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Parser;
use klamm_benches::committed::{Committed, Figures};

use crate::paths::{PATHS, Path};

/// How far a count may lie from what is committed, in either direction.
const TOLERANCE: f64 = 0.10;

const HEADING: &str = "\
Instructions of one request, from its frame to the frame of its answer. A change beyond 10 % fails
the check, for better or worse. Written by
    cargo run --release -p klamm-benches --bin instructions -- --save
Say in the commit why they have changed.";

/// Counts instructions and compares them with what is committed.
#[derive(Debug, Parser)]
struct Args {
    /// Commit to what is counted now: write it to the file
    #[arg(long)]
    save: bool,
    /// Only paths whose names contain this
    filter: Option<String>,
    /// Walk this path without counting; what valgrind runs
    #[arg(long, value_name = "PATH", hide = true)]
    walk: Option<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(name) = args.walk {
        let path = PATHS.iter().find(|path| path.name == name).context("no such path")?;
        paths::walk(path)?;
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(count::is_possible(), "valgrind is missing: apt-get install valgrind");
    let filter = args.filter.as_deref().unwrap_or_default();
    let committed = Committed::new("instructions.toml", HEADING);
    let before: Figures<u64> = committed.read()?;
    let mut now = before.clone();
    now.retain(|name, _| PATHS.iter().any(|path| path.name == name));
    let mut off = 0;
    println!("{:>10} {:>10} {:>8}  path", "now", "committed", "change");
    for path in PATHS.iter().filter(|path| path.name.contains(filter)) {
        let each = count::count(&["--walk", path.name])? / path.requests as u64;
        now.insert(path.name.into(), each);
        off += usize::from(!tell(path, each, before.get(path.name).copied()));
    }
    if args.save {
        committed.write(&now)?;
    } else if off > 0 {
        println!("\n{off} beyond 10 %. {ADVICE}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

const ADVICE: &str = "\
If that is meant, commit the new figures, and say in the commit why
they have changed: cargo run --release -p klamm-benches --bin instructions -- --save
If not, look where they come from: valgrind --tool=callgrind, and callgrind_annotate.";

/// Prints a line, and says whether the count is near enough to what is committed.
fn tell(path: &Path, now: u64, before: Option<u64>) -> bool {
    let change = before.map(|before| now as f64 / before as f64 - 1.0);
    let before = before.map_or_else(|| "-".into(), |before| before.to_string());
    let percent = change.map_or_else(|| "new".into(), |change| format!("{:+.1} %", 100.0 * change));
    println!("{now:>10} {before:>10} {percent:>8}  {}", path.name);
    change.is_some_and(|change| change.abs() <= TOLERANCE)
}
