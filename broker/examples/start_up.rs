//! How long a test waits for its broker: from nothing until the first request is answered.
//!
//! `cargo run --release -p klamm-broker --example start_up`
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::time::Duration;

use klamm_broker::{Broker, StartError, StoppedBroker};
use klamm_utils::clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ROUNDS: usize = 50;

/// ApiVersions, version 0, correlation id 1, without a client id.
const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut starts, mut restarts, mut stops) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let broker = timed(&mut starts, Broker::builder().ephemeral().start()).await?;
        let begun = clock::now();
        let stopped: StoppedBroker = broker.kill().await;
        stops.push(begun.elapsed());
        drop(timed(&mut restarts, stopped.restart()).await?);
    }
    for (what, times) in [("start", starts), ("kill", stops), ("restart", restarts)] {
        print(what, times);
    }
    Ok(())
}

/// Notes how long it takes until the broker that comes answers a request.
async fn timed(
    times: &mut Vec<Duration>,
    start: impl Future<Output = Result<Broker, StartError>>,
) -> Result<Broker, Box<dyn Error>> {
    let begun = clock::now();
    let broker = start.await?;
    let mut stream = TcpStream::connect(broker.bootstrap()).await?;
    stream.write_all(&REQUEST).await?;
    stream.read_i32().await?;
    times.push(begun.elapsed());
    Ok(broker)
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times.get(part * (times.len() - 1) / 100).copied().unwrap_or_default();
    println!(
        "{what}: {:.1?} at best, {:.1?} in the middle, {:.1?} at worst",
        at(0),
        at(50),
        at(100)
    );
}
