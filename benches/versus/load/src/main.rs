//! A load generator for Kafka-compatible brokers. Every mode prints one line of JSON.
//!
//! | modes | how they reach the broker |
//! |---|---|
//! | `raw-*`, `ping-pong`, `both`, `catch-up` | as bytes that were encoded once: the broker is the limit |
//! | `produce`, `consume`, `e2e`, `mock` | through librdkafka, as an application would |
//! | `clients` | through our own crates, and through librdkafka beside them |
//! | `idle`, `startup` | what a broker costs that does nothing |
//! | `floor` | no broker: what the machine itself can do at this minute |

mod args;
mod clients;
mod floor;
mod idle;
mod latency;
mod librdkafka;
mod measure;
mod pace;
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
    /// Sends one record, waits until it is acknowledged, and sends the next
    PingPong(raw::ping_pong::Args),
    /// Produces at full speed while the tail is read
    Both(raw::both::Args),
    /// Produces at full speed, alone and beside one who reads from the start, in turns
    CatchUp(raw::catch_up::Args),
    /// Produces through librdkafka
    Produce(librdkafka::produce::Args),
    /// Consumes through librdkafka
    Consume(librdkafka::consume::Args),
    /// Times records from producer to consumer through librdkafka, at a fixed rate
    E2e(librdkafka::e2e::Args),
    /// Measures our clients beside librdkafka, and prints both and their ratio
    Clients(clients::Args),
    /// Runs librdkafka's mock cluster as a broker: the ceiling of the client
    Mock(librdkafka::mock::Args),
    /// Holds many connections that do next to nothing
    Idle(idle::Args),
    /// Times a broker from its start to its first good answer
    Startup(startup::Args),
    /// Measures the machine without a broker
    Floor(floor::Args),
    /// The process in the middle, which `floor` starts
    #[command(hide = true)]
    Relay,
}

fn main() -> ExitCode {
    match run(Cli::parse().mode) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("klamm-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all answers were good.
fn run(mode: Mode) -> Result<bool> {
    let report = match mode {
        Mode::RawProduce(args) => raw::produce::run(&args)?,
        Mode::RawFetch(args) => raw::fetch::run(&args)?,
        Mode::PingPong(args) => raw::ping_pong::run(&args)?,
        Mode::Both(args) => raw::both::run(&args)?,
        Mode::CatchUp(args) => raw::catch_up::run(&args)?,
        Mode::Produce(args) => librdkafka::produce::run(&args)?,
        Mode::Consume(args) => librdkafka::consume::run(&args)?,
        Mode::E2e(args) => librdkafka::e2e::run(&args)?,
        // It prints a table and not a line.
        Mode::Clients(args) => return clients::run(&args).map(|()| true),
        // It has told all there is to tell when it begins.
        Mode::Mock(args) => return librdkafka::mock::run(&args).map(|()| true),
        Mode::Idle(args) => idle::run(&args)?,
        Mode::Startup(args) => startup::run(&args)?,
        Mode::Floor(args) => floor::run(&args)?,
        Mode::Relay => return floor::relay().map(|()| true),
    };
    println!("{report}");
    Ok(!report.has_errors())
}
