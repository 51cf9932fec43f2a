//! A load generator for Kafka-compatible brokers. Every mode prints one line of JSON.
//!
//! | modes | how they reach the broker |
//! |---|---|
//! | `raw-produce`, `raw-fetch`, `ping-pong`, `both`, `catch-up` | batches encoded once, threads and blocking sockets: the client costs next to nothing, so that the broker is the limit |
//! | `produce`, `consume`, `e2e`, `mock` | through librdkafka, as an application would |
//! | `idle`, `startup` | what a broker costs that does nothing |
//! | `floor` | no broker: what the machine itself can do at this minute |

mod args;
mod floor;
mod latency;
mod librdkafka;
mod measure;
mod payload;
mod process;
mod raw;
mod report;
mod startup;
mod topic;
mod wire;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use report::Report;

/// Loads a Kafka-compatible broker and prints what came of it as one line of JSON.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Sends batches that were encoded once
    RawProduce(raw::produce::Args),
    /// Fetches and throws away
    RawFetch(raw::fetch::Args),
    /// Produces through librdkafka
    Produce(librdkafka::produce::Args),
    /// Times records from producer to consumer through librdkafka, at a fixed rate
    E2e(librdkafka::e2e::Args),
    /// Times a broker from its start to its first good answer
    Startup(startup::Args),
    /// Measures the machine without a broker
    Floor(floor::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse().mode) {
        Ok(report) => {
            println!("{report}");
            if report.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("klamm-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mode: Mode) -> Result<Report> {
    match mode {
        Mode::RawProduce(args) => raw::produce::run(&args),
        Mode::RawFetch(args) => raw::fetch::run(&args),
        Mode::Produce(args) => librdkafka::produce::run(&args),
        Mode::E2e(args) => librdkafka::e2e::run(&args),
        Mode::Startup(args) => startup::run(&args),
        Mode::Floor(args) => floor::run(&args),
    }
}
