//! A thousand producers and a thousand consumers in one process, and what they take; or, with
//! `--stall`, what producers take whose broker stands still.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use klamm_trials::crowd::{Crowd, gather, stall};
use klamm_trials::process::Usage;
use klamm_utils::clock;

const MIB: f64 = 1_048_576.0;
/// What a process with full buffers may take beyond these and what it took before: for each
/// producer, and for all together.
const BESIDE: (u64, u64) = (64 * 1024, 16 << 20);

#[derive(Parser)]
struct Arguments {
    /// Where clients begin.
    #[arg(long)]
    bootstrap: String,
    /// How many producers, and how many consumers.
    #[arg(long, default_value_t = 1_000)]
    each: usize,
    /// How many records each producer sends.
    #[arg(long, default_value_t = 100)]
    records: usize,
    /// Whether they share one client, and with it its connections.
    #[arg(long)]
    shared: bool,
    /// The process id of a broker that is halted while the producers go on.
    #[arg(long)]
    stall: Option<u32>,
    /// `buffer.memory` of each producer whose broker is halted.
    #[arg(long, default_value_t = 262_144)]
    buffer: usize,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let begin = clock::now();
    let tell = |what: &str| {
        let usage = Usage::now();
        println!(
            "{:7.2} s  {what}: {:.1} MiB, {} threads, {} files",
            begin.elapsed().as_secs_f64(),
            usage.resident as f64 / MIB,
            usage.threads,
            usage.files,
        );
    };
    tell("at the start");
    let Arguments { bootstrap, each, shared, .. } = &arguments;
    let crowd = Crowd { bootstrap, each: *each, shared: *shared, tell: &tell };
    let Some(broker) = arguments.stall else {
        gather(&crowd, arguments.records).await?;
        println!("1 passed, 0 failed");
        return Ok(ExitCode::SUCCESS);
    };
    let stalled = stall(&crowd, broker, arguments.buffer).await?;
    let buffers = (arguments.each * arguments.buffer) as u64;
    let grown = stalled.full.saturating_sub(stalled.idle);
    let allowed = buffers + BESIDE.0 * arguments.each as u64 + BESIDE.1;
    println!(
        "grown by {:.1} MiB for buffers of {:.1} MiB; {:.1} MiB are allowed",
        grown as f64 / MIB,
        buffers as f64 / MIB,
        allowed as f64 / MIB,
    );
    let within = grown <= allowed;
    println!("{} passed, {} failed", u8::from(within), u8::from(!within));
    Ok(if within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
