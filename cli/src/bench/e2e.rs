//! `klamm bench e2e`.

use std::time::{Duration, Instant};

use klamm_client::admin::OffsetSpec;
use klamm_client::{Kafka, Topic};
use klamm_consumer::{Consumer, Start};
use klamm_producer::{ProduceExt as _, Producer};
use klamm_protocol::wire::Str;
use klamm_utils::clock;
use klamm_utils::random::Random;
use tokio::sync::mpsc;

use super::load::{LimitArgs, LoadArgs, Pace, Records, Settings};
use super::produce::{Fates, collect};
use super::report::{Latencies, Report, Volume};
use crate::connect::consumer_alone;

const COUNT: u64 = 10_000;
const RATE: u32 = 1_000;
/// Records whose acknowledgement may be waited for.
const WAITING: usize = 1 << 16;
/// How long records that were acknowledged may take to arrive, before they count as lost.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Records are sent at a rate, 1000 a second unless --rate says another. The producer and the consumer \
share one thread.")]
pub(crate) struct Args {
    #[command(flatten)]
    limit: LimitArgs,
    // The last one: its heading holds for all that follows.
    #[command(flatten)]
    load: LoadArgs,
}

pub(super) async fn run(mut args: Args) -> anyhow::Result<()> {
    args.load.rate.get_or_insert(RATE);
    let (kafka, topic) = args.load.prepare().await?;
    let mut arrivals = Arrivals {
        consumer: at_the_end(&kafka, &topic).await?,
        run: Run { id: Random::new().bits(), started: clock::now() },
        latencies: Latencies::new(),
        arrived: 0,
    };
    let run = arrivals.run;
    let producer = kafka.producer().linger(Duration::ZERO).build().await?;
    let pace = Pace::start(args.load.rate, &args.limit, COUNT);
    let started = pace.started();
    let sending = send(&producer, args.load.records(), pace, run);
    let fates = tokio::select! {
        fates = sending => fates?,
        never = arrivals.receive(u64::MAX) => return never,
    };
    let expected = fates.stored;
    // Those that do not come are missing in the report.
    if let Ok(received) = tokio::time::timeout(PATIENCE, arrivals.receive(expected)).await {
        received?;
    }
    let volume = Volume {
        records: arrivals.arrived,
        bytes: arrivals.arrived * u64::from(args.load.size),
        failed: fates.failed + expected.saturating_sub(arrivals.arrived),
        took: started.elapsed(),
    };
    let settings = Settings { linger_ms: 0, ..args.load.settings(&kafka, &topic, 1) };
    let report = Report::new("e2e", &args.load.topic, serde_json::json!(settings), volume);
    report.at(&kafka).with_latencies(&arrivals.latencies).print()?;
    fates.outcome()?;
    anyhow::ensure!(
        arrivals.arrived >= expected,
        "{} of {expected} records that were acknowledged did not arrive within {PATIENCE:?}",
        expected - arrivals.arrived,
    );
    Ok(())
}

/// A consumer of what comes from now on.
async fn at_the_end(kafka: &Kafka, topic: &Topic) -> anyhow::Result<Consumer> {
    let wanted: Vec<_> = topic
        .partitions
        .iter()
        .map(|partition| (topic.name.clone(), partition.index, OffsetSpec::Latest))
        .collect();
    let mut starts: Vec<(Str, i32, Start)> = Vec::with_capacity(wanted.len());
    for ((topic, partition), found) in kafka.admin().list_offsets(&wanted).await? {
        starts.push((topic, partition, Start::Offset(found?.offset.unwrap_or(0))));
    }
    let consumer = consumer_alone(kafka).await?;
    consumer.assign(starts)?;
    Ok(consumer)
}

/// What tells the records of this run from others, and their times.
#[derive(Clone, Copy, Debug)]
struct Run {
    id: u64,
    started: Instant,
}

impl Run {
    /// The head of a record that was due at this time.
    fn head(&self, due: Instant) -> [u8; 16] {
        let ns = u64::try_from(due.duration_since(self.started).as_nanos()).unwrap_or(u64::MAX);
        (u128::from(self.id) << 64 | u128::from(ns)).to_be_bytes()
    }

    /// How long ago the record with this value was due; none if it is of another run.
    fn age(&self, value: &[u8]) -> Option<Duration> {
        let (id, rest) = value.split_first_chunk()?;
        let (ns, _) = rest.split_first_chunk()?;
        let due = Duration::from_nanos(u64::from_be_bytes(*ns));
        (u64::from_be_bytes(*id) == self.id).then(|| self.started.elapsed().saturating_sub(due))
    }
}

async fn send(
    producer: &Producer,
    mut records: Records,
    mut pace: Pace,
    run: Run,
) -> anyhow::Result<Fates> {
    let (waiting, told) = mpsc::channel(WAITING);
    let sending = async move {
        while let Some(due) = pace.next().await {
            let delivery = producer.enqueue(records.next_with(&run.head(due))).await?;
            // Nobody waits any more only if the command has ended.
            let _ = waiting.send((due, delivery)).await;
        }
        producer.flush().await;
        Ok::<_, klamm_client::Error>(())
    };
    let (sent, fates) = tokio::join!(sending, collect(told));
    sent?;
    Ok(fates)
}

/// The records of a run as they come in.
struct Arrivals {
    consumer: Consumer,
    run: Run,
    latencies: Latencies,
    arrived: u64,
}

impl Arrivals {
    /// Receives until so many have arrived. May be dropped at any time and called again.
    async fn receive(&mut self, expected: u64) -> anyhow::Result<()> {
        while self.arrived < expected {
            let batch = self.consumer.next_batch().await?;
            for record in &batch {
                let value = record.value.as_deref().unwrap_or_default();
                if let Some(age) = self.run.age(value) {
                    self.arrived += 1;
                    self.latencies.add(age);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_knows_its_run_and_its_age() {
        let run = Run { id: 7, started: clock::now() };
        let head = run.head(run.started + Duration::from_secs(3600));
        assert_eq!(run.age(&head), Some(Duration::ZERO), "due later");
        let value = [&run.head(run.started)[..], b"rest"].concat();
        assert!(run.age(&value).is_some());
        assert_eq!(Run { id: 8, ..run }.age(&value), None);
        assert_eq!(run.age(b"short"), None);
    }
}
