//! `klamm produce`: lines from standard input to a topic.

mod input;
mod lines;
mod record;
mod tally;

use std::io::IsTerminal as _;
use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use klamm_client::ClientConfig;
use klamm_client::config::{Value as _, keys};
use klamm_producer::{Acks, Compression, ProduceExt as _, Producer};
use klamm_utils::clock;
use serde::Serialize;

use crate::connect::{ConnectArgs, find_topic, interrupted, pair};
use crate::failure::ErrorStyle;
use crate::output::{Stdout, say};

use input::Input;
use lines::Lines;
use record::Recipe;
use tally::Tally;

/// How long an interrupted command waits for the fate of what it has sent.
const FAREWELL: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A line is bytes: what stands between two line feeds, and what follows the last one. Nothing is \
decoded, trimmed or left out.

Examples:
  klamm produce words < /usr/share/dict/words
  printf 'k1:v1\\nk2:v2\\n' | klamm produce orders -K : -z zstd -H source=cli")]
pub(crate) struct Args {
    /// The topic
    topic: String,
    /// The key of every record
    #[arg(short, long, conflicts_with = "key_separator")]
    key: Option<String>,
    /// What separates key and value in a line, as in -K : or -K '\t'; a line without it is a
    /// value without a key
    #[arg(short = 'K', long, value_name = "SEPARATOR", value_parser = record::separator)]
    key_separator: Option<Bytes>,
    /// A header of every record
    #[arg(short = 'H', long = "header", value_name = "KEY=VALUE", value_parser = pair)]
    headers: Vec<(String, String)>,
    /// The partition of every record [default: by key, or one after the other]
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// How batches are compressed: none, gzip, snappy, lz4, zstd
    #[arg(short = 'z', long, value_name = "CODEC", value_parser = codec)]
    compression: Option<Compression>,
    /// How many replicas must hold a batch: all, 1, 0
    #[arg(long, value_parser = acks)]
    acks: Option<Acks>,
    /// Send an empty value as none, which deletes the key from a compacted topic
    #[arg(short = 'Z', long)]
    tombstone: bool,
    /// What is said at the end
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Shape::Quiet)]
    shape: Shape,
    #[command(flatten)]
    connection: ConnectArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// Nothing
    Quiet,
    /// One JSON object: how much was sent
    Json,
}

#[derive(Debug, Serialize)]
struct Summary<'a> {
    topic: &'a str,
    /// Records that are stored.
    records: u64,
    /// Bytes of keys and values that were read.
    bytes: u64,
    /// Records that are not stored, or of which that is not known.
    failed: u64,
    seconds: f64,
}

impl Args {
    pub(crate) fn errors(&self) -> ErrorStyle {
        if self.shape == Shape::Json { ErrorStyle::Json } else { ErrorStyle::Text }
    }

    fn config(&self) -> anyhow::Result<ClientConfig> {
        let mut config = self.connection.config()?;
        if let Some(codec) = &self.compression {
            config = config.with(&keys::COMPRESSION_TYPE, codec);
        }
        if let Some(acks) = &self.acks {
            config = config.with(&keys::ACKS, acks);
        }
        Ok(config)
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let started = clock::now();
    let kafka = klamm_client::Kafka::connect(args.config()?).await?;
    find_topic(&kafka, &args.topic).await?;
    let producer = kafka.producer().build().await?;
    hint(&args.topic);
    let mut input = Input::start()?;
    let mut tally = Tally::default();
    let ended = tokio::select! {
        ended = send(&args, &producer, &mut input, &mut tally) => ended,
        interrupted = interrupted() => interrupted,
    };
    let settle = async {
        if ended.is_err() {
            // What could not be sent by then is told as not known.
            drop(producer.close(FAREWELL).await);
        }
        tally.finish().await;
    };
    tokio::select! {
        () = settle => {}
        // Once more is at once.
        interrupted = interrupted() => return interrupted,
    }
    if args.shape == Shape::Json {
        let mut stdout = Stdout::new();
        stdout.json_line(&Summary {
            topic: &args.topic,
            records: tally.stored,
            bytes: tally.bytes,
            failed: tally.failed,
            seconds: started.elapsed().as_secs_f64(),
        })?;
        stdout.finish()?;
    }
    ended.and_then(|()| tally.outcome())
}

/// Sends every line of the input; returns when the fate of all is known.
async fn send(
    args: &Args,
    producer: &Producer,
    input: &mut Input,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let recipe = Recipe::new(args);
    let mut lines = Lines::default();
    while let Some(chunk) = input.next().await? {
        lines.feed(chunk);
        while let Some(line) = lines.next()? {
            tally.add(line.len(), producer.enqueue(recipe.record(line)).await)?;
        }
        tally.collect()?;
    }
    if let Some(line) = lines.last() {
        tally.add(line.len(), producer.enqueue(recipe.record(line)).await)?;
    }
    producer.flush().await;
    Ok(())
}

/// Tells who sits at a terminal what the command waits for.
fn hint(topic: &str) {
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        say(format_args!("Each line becomes a record of {topic}. Ctrl-D ends."));
    }
}

pub(crate) fn codec(text: &str) -> Result<Compression, String> {
    Compression::parse(text).ok_or_else(|| format!("expected {}", Compression::EXPECTED))
}

pub(crate) fn acks(text: &str) -> Result<Acks, String> {
    Acks::parse(text).ok_or_else(|| format!("expected {}", Acks::EXPECTED))
}
