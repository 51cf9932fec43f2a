//! `klamm bench consume`.

use std::time::Instant;

use klamm_client::Kafka;
use klamm_consumer::{Consumer, ConsumerBatch};
use klamm_utils::clock;

use super::load::LimitArgs;
use super::report::{Report, Volume};
use crate::connect::{ConnectArgs, consumer_alone};
use crate::consume::{QUIET, Ranges, Silence, Span};
use crate::output::Progress;
use crate::place::ends;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The topic, which is read from its start to where it ends now
    #[arg(default_value = "klamm-bench")]
    topic: String,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let kafka = args.connection.connect().await?;
    let admin = kafka.admin();
    let names = [args.topic.as_str().into()];
    let mut places = Vec::new();
    for (name, topic) in admin.describe_topics(&names).await? {
        let partitions = topic?.partitions.clone();
        places.extend(partitions.iter().map(|partition| (name.clone(), partition.index)));
    }
    let ranges = Ranges::find(&admin, &places, &Span::ALL, false).await?;
    let started = clock::now();
    let volume = read(&kafka, &args.limit, ranges, started).await?;
    let settings = serde_json::json!({ "partitions": places.len() });
    Report::new("consume", &args.topic, settings, volume).at(&kafka).print()
}

/// Reads until every partition is read to its end, a limit is reached, or nobody answers.
async fn read(
    kafka: &Kafka,
    limit: &LimitArgs,
    ranges: Ranges,
    started: Instant,
) -> anyhow::Result<Volume> {
    let (admin, partitions) = (kafka.admin(), ranges.partitions());
    let (silence, consumer) = (Silence::new(kafka), consumer_alone(kafka).await?);
    tokio::select! {
        volume = read_all(consumer, limit, ranges, started, &silence) => volume,
        error = silence.unanswered(async || ends(&admin, &partitions).await) => Err(error),
    }
}

async fn read_all(
    mut consumer: Consumer,
    limit: &LimitArgs,
    mut ranges: Ranges,
    started: Instant,
    silence: &Silence,
) -> anyhow::Result<Volume> {
    let (count, until) = (limit.count(u64::MAX), limit.until(started));
    consumer.assign(ranges.assignment())?;
    let mut volume = Volume::default();
    let progress = Progress::of((count != u64::MAX).then_some(count), "records");
    while volume.records < count && !ranges.is_over() {
        if until.is_some_and(|until| clock::now() >= until) {
            break;
        }
        let Ok(batch) = tokio::time::timeout(QUIET, consumer.next_batch()).await else {
            ranges.look(|topic, partition| consumer.position(topic, partition));
            continue;
        };
        let batch = batch?;
        silence.broken();
        volume.records += batch.records().len() as u64;
        volume.bytes += bytes(&batch);
        progress.reach(volume.records);
        ranges.advance(batch.topic(), batch.partition(), batch.end_offset());
    }
    volume.took = started.elapsed();
    Ok(volume)
}

/// Bytes of keys and values.
fn bytes(batch: &ConsumerBatch) -> u64 {
    let length =
        |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
    batch.records().iter().map(|record| length(&record.key) + length(&record.value)).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use klamm_broker::Broker;
    use klamm_client::ClientConfig;
    use klamm_producer::{ProduceExt as _, Record};

    use super::*;

    /// It waited for ever.
    #[tokio::test(flavor = "multi_thread")]
    async fn it_fails_when_the_broker_is_gone() {
        let broker = Broker::builder().ephemeral().start().await.unwrap();
        let soon = Duration::from_millis(300);
        let config = ClientConfig::new(&broker.bootstrap()).api_timeout(soon);
        let kafka = Kafka::connect(config).await.unwrap();
        let producer = kafka.producer().build().await.unwrap();
        producer.send(Record::to("t").value("a")).await.unwrap();
        let places = [("t".into(), 0)];
        let ranges = Ranges::find(&kafka.admin(), &places, &Span::ALL, false).await.unwrap();
        broker.pause();
        let limit = LimitArgs::default();
        let reading = read(&kafka, &limit, ranges, clock::now());
        let read = tokio::time::timeout(Duration::from_secs(30), reading).await.unwrap();
        let error = read.map(|volume| volume.records).unwrap_err();
        assert!(
            matches!(error.downcast_ref(), Some(klamm_client::Error::Timeout { .. })),
            "{error}"
        );
        broker.stop().await;
    }
}
