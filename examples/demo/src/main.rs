//! `demo`: everything in one process. `demo up`: everything in processes of its own.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use common::telemetry;
use demo::{logs, up, whole};

/// Chat rooms, direct messages and unsent messages on one broker, at http://localhost:8080.
///
/// Without a command everything runs in this process, and nothing needs to be installed.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    options: whole::Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the same as processes, on PostgreSQL, two of Redis and nginx.
    Up(up::Options),
    /// End what `up` has started.
    Down(Data),
    /// Tell what runs.
    Status(Data),
    /// Print what a service has logged.
    Logs {
        /// The name of the service, such as Asia or postgres.
        name: String,
        /// Go on with what comes.
        #[arg(short, long)]
        follow: bool,
        #[command(flatten)]
        data: Data,
    },
}

#[derive(Debug, clap::Args)]
struct Data {
    /// Where everything keeps its data.
    #[arg(long, value_name = "DIR", default_value = "demo-data")]
    data: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    telemetry::log_to_stderr();
    let Arguments { options, command } = Arguments::parse();
    match command {
        None => whole::run(options).await,
        Some(Command::Up(options)) => up::up(options).await,
        Some(Command::Down(Data { data })) => up::down(data).await,
        Some(Command::Status(Data { data })) => logs::status(data),
        Some(Command::Logs { name, follow, data: Data { data } }) => {
            logs::logs(data, &name, follow).await
        }
    }
}
