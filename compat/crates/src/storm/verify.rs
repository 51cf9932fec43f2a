//! Whether each record is there once and in order.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{ConsumeExt as _, IsolationLevel, Start};
use klamm_producer::{ProduceExt as _, Record};

use super::{Storm, number};

const SOON: Duration = Duration::from_secs(60);
/// What is written after everything else, to know where the end is.
const LAST: u64 = u64::MAX;

/// Whether the producer's records are each there once, and in order.
///
/// # Errors
/// They are not, or cannot be read.
pub async fn verify_records(storm: &Storm) -> Result<()> {
    verify(storm, &storm.topics[0], IsolationLevel::ReadUncommitted).await
}

/// Whether each record was copied once, and in order, as readers of committed records see it.
///
/// # Errors
/// They are not, or cannot be read.
pub async fn verify_copies(storm: &Storm) -> Result<()> {
    verify(storm, &storm.topics[1], IsolationLevel::ReadCommitted).await
}

async fn verify(storm: &Storm, topic: &str, isolation: IsolationLevel) -> Result<()> {
    let kafka = Kafka::connect(ClientConfig::new(&storm.bootstrap)).await?;
    let producer = kafka.producer().build().await?;
    for partition in 0..storm.partitions {
        let last = Record::to(topic).partition(partition).value(LAST.to_be_bytes().to_vec());
        producer.send(last).await?;
    }
    let builder = kafka.consumer().assign_topic(topic, Start::Earliest).isolation_level(isolation);
    let mut consumer = builder.build().await?;
    let stride = u64::try_from(storm.partitions)?;
    let mut expected: Vec<u64> = (0..stride).collect();
    let mut ended = 0;
    while ended < storm.partitions {
        let next = tokio::time::timeout(SOON, consumer.next_batch()).await;
        let batch =
            next.with_context(|| format!("{topic} is not read on; next: {expected:?}"))??;
        let partition = batch.partition();
        let next = expected.get_mut(usize::try_from(partition)?).context("an unknown partition")?;
        for record in batch {
            let number = number(record.value.as_deref())?;
            let place = format!("{topic}-{partition} at {}", record.offset);
            if number == LAST {
                ensure!(*next >= storm.records, "{place} ends before {next}");
                ended += 1;
            } else {
                ensure!(number == *next, "{place} has {number} instead of {next}");
                *next += stride;
            }
        }
    }
    Ok(())
}
