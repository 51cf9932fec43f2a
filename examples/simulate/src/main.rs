//! Load for the example applications, and the figures it gives.
#![forbid(unsafe_code)]

mod account;
mod dm;
mod http;
mod report;
mod rooms;
mod socket;
mod unsent;
mod world;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use rooms::Load;
use world::World;

/// Puts a running demo under load, and prints figures beside what is aimed for.
///
/// It ends with an error when anything was lost or doubled. The demo has to be started with
/// `--data DIR --no-limits`: what is in its folder says where everything is, and has the secret
/// with which most tickets are signed here, since accounts cannot be made by the thousand.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The data folder of the demo.
    #[arg(long, value_name = "DIR", default_value = "demo-data", global = true)]
    data: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// As many messages as can be stored; each is looked for in the database.
    Chat(Load),
    /// As many deliveries as can be made.
    Fanout(Load),
    /// How long it takes from one screen to another.
    Latency(Load),
    /// An instance dies under thousands of sockets.
    Reconnect(Load),
    /// Processes are killed one after the other: nothing that was acknowledged may be missing.
    Kills(rooms::Kills),
    /// Direct messages over three pods, until they are DELIVERED.
    Dm(dm::Load),
    /// Messages to people who are away: taken, counted, read, computed anew.
    Unsent(unsent::Load),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    common::telemetry::log_to_stderr();
    let Arguments { data, command } = Arguments::parse();
    let world = World::open(data).await?;
    match command {
        Command::Chat(load) => rooms::chat(world, &load).await,
        Command::Fanout(load) => rooms::fanout(world, &load).await,
        Command::Latency(load) => rooms::latency(world, &load).await,
        Command::Reconnect(load) => rooms::reconnect(world, &load).await,
        Command::Kills(kills) => rooms::kills(world, &kills).await,
        Command::Dm(load) => dm::dm(world, &load).await,
        Command::Unsent(load) => unsent::unsent(world, load).await,
    }
}
