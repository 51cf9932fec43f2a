//! Compaction under load: a topic takes many updates of few keys while it is compacted, and ends
//! with exactly the newest value of each. Beside it, how fast the same goes without compaction.
//!
//! `cargo build --release -p klamm` and `cargo run --release -p klamm-benches --bin compaction`.
//! It fails if a value is missing, stale or there twice; speeds and memory it prints.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "telling is what this program does")]

mod server;
mod traffic;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use klamm_client::admin::{Change, NewTopic, Resource};
use klamm_client::{ClientConfig, Kafka};
use klamm_utils::clock;
use klamm_utils::random::Random;

use crate::server::Server;
use crate::traffic::{Newest, PARTITIONS, Traffic, Updates};

/// Topics with the same settings, but for how they are cleaned.
const PLAIN: &str = "plain";
const COMPACTED: &str = "compacted";
/// Small, so that there is much to compact from early on.
const SEGMENT_BYTES: &str = "16777216";
/// How long the last passes may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Compacts a topic under load and checks what is left of it.
#[derive(Debug, Parser)]
struct Args {
    /// How many updates are written
    #[arg(long, default_value_t = 10_000_000)]
    updates: u64,
    /// Of how many keys
    #[arg(long, default_value_t = 100_000)]
    keys: u32,
    /// Bytes of each value
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(8..))]
    size: u32,
    /// Which keys are updated when [default: by chance]
    #[arg(long)]
    seed: Option<u64>,
    /// The broker's binary [default: the one beside this program]
    #[arg(long)]
    klamm: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let seed = args.seed.unwrap_or_else(|| Random::new().bits());
    println!("seed {seed}: {} updates of {} keys", args.updates, args.keys);
    let server = Server::start(args.klamm.as_deref())?;
    let kafka = Kafka::connect(ClientConfig::new(server.address())).await?;
    create(&kafka).await?;

    let updates =
        Updates { count: args.updates, keys: args.keys as usize, size: args.size as usize, seed };
    let plain = traffic::run(&kafka, PLAIN, updates).await?;
    plain.tell(PLAIN, updates.count);
    let compacted = traffic::run(&kafka, COMPACTED, updates).await?;
    compacted.tell(COMPACTED, updates.count);
    let times = |one: Duration, other: Duration| one.as_secs_f64() / other.as_secs_f64();
    println!(
        "with compaction writing is {:.2} and reading {:.2} times as fast as without",
        times(plain.written, compacted.written),
        times(plain.followed, compacted.followed),
    );
    println!("the broker's memory was never above {:.1} MiB", server.peak_mib()?);
    settle(&kafka, &compacted.newest).await?;
    println!("with the last passes, never above {:.1} MiB", server.peak_mib()?);
    Ok(())
}

async fn create(kafka: &Kafka) -> Result<()> {
    let topic = |name, policy| {
        let topic = NewTopic::new(name).partitions(PARTITIONS);
        topic.config("cleanup.policy", policy).config("segment.bytes", SEGMENT_BYTES)
    };
    let topics = [topic(PLAIN, "delete"), topic(COMPACTED, "compact")];
    for (_, created) in kafka.admin().create_topics(&topics).await? {
        created?;
    }
    Ok(())
}

/// Has everything compacted, also what lies in active segments, and waits until only the newest
/// record of each key is left.
async fn settle(kafka: &Kafka, newest: &Newest) -> Result<()> {
    let at_once = Change::Set("max.compaction.lag.ms".into(), "1".into());
    let changes = [(Resource::Topic(COMPACTED.into()), vec![at_once])];
    for (_, changed) in kafka.admin().incremental_alter_configs(&changes).await? {
        changed?;
    }
    let keys = newest.iter().filter(|number| **number > 0).count() as u64;
    let started = clock::now();
    loop {
        let (found, records) = traffic::read(kafka, COMPACTED, newest.len()).await?;
        ensure!(found == *newest, "the newest value of a key is gone");
        println!("{records} records of {keys} keys are there, the newest of each among them");
        if records == keys {
            return Ok(());
        }
        ensure!(started.elapsed() < PATIENCE, "they do not become fewer");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

impl Traffic {
    fn tell(&self, topic: &str, updates: u64) {
        let (written, followed) = (self.written.as_secs_f64(), self.followed.as_secs_f64());
        let rate = updates as f64 / written;
        println!(
            "{topic}: written in {written:.1} s, {rate:.0} a second; a reader was at the end after \
             {followed:.1} s and got {} records",
            self.read,
        );
    }
}
