//! `klamm bench produce`.

use std::time::Instant;

use klamm_producer::{Delivery, ProduceExt as _, Producer};
use klamm_utils::clock;
use tokio::sync::mpsc;

use super::load::{LimitArgs, LoadArgs, Pace, Records};
use super::report::{Latencies, Report, Volume};
use crate::failure::Failure;

const COUNT: u64 = 1_000_000;
/// Records whose acknowledgement may be waited for; more than the producer's memory holds.
const WAITING: usize = 1 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Producers, each with connections of its own
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1024))]
    producers: u32,
    #[command(flatten)]
    limit: LimitArgs,
    // The last one: its heading holds for all that follows.
    #[command(flatten)]
    load: LoadArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let (kafka, topic) = args.load.prepare().await?;
    let mut producers = vec![kafka.producer().build().await?];
    for _ in 1..args.producers {
        producers.push(args.load.connect().await?.producer().build().await?);
    }
    let pace = Pace::start(args.load.rate, &args.limit, COUNT);
    let started = pace.started();
    let (waiting, told) = mpsc::channel(WAITING);
    let sending = send(&producers, args.load.records(), pace, waiting);
    let (sent, fates) = tokio::join!(sending, collect(told));
    sent?;
    let took = started.elapsed();
    let bytes = fates.stored * u64::from(args.load.size);
    let volume = Volume { records: fates.stored, bytes, failed: fates.failed, took };
    let settings = serde_json::json!(args.load.settings(&kafka, &topic, args.producers));
    let report = Report::new("produce", &args.load.topic, settings, volume);
    report.at(&kafka).with_latencies(&fates.latencies).print()?;
    fates.outcome()
}

/// Sends records as they are due, to one producer after the other.
async fn send(
    producers: &[Producer],
    mut records: Records,
    mut pace: Pace,
    waiting: mpsc::Sender<(Instant, Delivery)>,
) -> anyhow::Result<()> {
    let mut turns = producers.iter().cycle();
    while let Some((due, producer)) = pace.next().await.zip(turns.next()) {
        let delivery = producer.enqueue(records.next()).await?;
        // Nobody waits any more only if the command has ended.
        let _ = waiting.send((due, delivery)).await;
    }
    for producer in producers {
        producer.flush().await;
    }
    Ok(())
}

/// What became of records.
#[derive(Debug)]
pub(super) struct Fates {
    pub(super) stored: u64,
    pub(super) failed: u64,
    pub(super) latencies: Latencies,
    first_failure: Option<klamm_client::Error>,
}

/// Waits for acknowledgements in the order in which records were sent.
pub(super) async fn collect(mut told: mpsc::Receiver<(Instant, Delivery)>) -> Fates {
    let latencies = Latencies::new();
    let mut fates = Fates { stored: 0, failed: 0, latencies, first_failure: None };
    while let Some((due, delivery)) = told.recv().await {
        match delivery.await {
            Ok(_) => {
                fates.stored += 1;
                fates.latencies.add(clock::now().duration_since(due));
            }
            Err(error) => {
                fates.failed += 1;
                fates.first_failure.get_or_insert(error);
            }
        }
    }
    fates
}

impl Fates {
    /// The failure, if there was one.
    pub(super) fn outcome(self) -> anyhow::Result<()> {
        let Self { stored, failed, first_failure, .. } = self;
        match first_failure {
            Some(first) => {
                let first = Box::new(first);
                Err(Failure::Records { failed, stored, first }.into())
            }
            None => Ok(()),
        }
    }
}
