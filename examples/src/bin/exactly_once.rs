//! Copies a topic into another, each record exactly once: what was written and how far was read
//! count together, or not at all. Start it several times, kill one and start it again.
//!
//! `cargo run -p klamm-examples --bin exactly_once -- localhost:9092 example-orders example-copies 1`
//!
//! The last argument tells this copier from the others. One that comes back under it has what its
//! predecessor left open aborted, and takes its place.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::time::Duration;

use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{
    ConsumeExt as _, Consumer, ConsumerBatch, IsolationLevel, OffsetReset, Start,
};
use klamm_producer::{ProduceExt as _, Record, TransactionalProducer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "localhost:9092".into());
    let from = arguments.next().unwrap_or_else(|| "example-orders".into());
    let to = arguments.next().unwrap_or_else(|| "example-copies".into());
    let name = arguments.next().unwrap_or_else(|| "1".into());
    // How many batches to copy; without it the program goes on until it is stopped.
    let mut left: u64 = arguments.next().map_or(Ok(u64::MAX), |count| count.parse())?;

    let kafka = Kafka::connect(ClientConfig::new(&address)).await?;
    let producer = kafka.producer().transactional_id(&format!("example-copier-{name}"));
    let producer = producer.build_transactional().await?;
    let mut consumer = kafka
        .consumer()
        .group("example-copiers")
        .subscribe([from])
        .auto_offset_reset(OffsetReset::Earliest)
        .isolation_level(IsolationLevel::ReadCommitted)
        .auto_commit(false)
        .build()
        .await?;
    while left > 0 {
        let batch = consumer.next_batch().await?;
        let (topic, partition, count) =
            (batch.topic().clone(), batch.partition(), batch.records().len());
        match copy(&producer, &consumer, batch, &to).await {
            Ok(()) => {
                println!("copied {count} records of {topic}-{partition}");
                left -= 1;
            }
            // Another member may have the partition now: it reads the batch again. If it is still
            // ours, we do.
            Err(error) if error.requires_abort() => {
                println!("not copied: {error}");
                let _ = consumer.seek(&topic, partition, Start::Committed);
            }
            Err(error) => return Err(error.into()),
        }
    }
    consumer.close(Duration::from_secs(30)).await?;
    producer.close(Duration::from_secs(30)).await?;
    Ok(())
}

/// Copies a batch in a transaction. Whatever goes wrong, the transaction is dropped, and with it
/// aborted.
async fn copy(
    producer: &TransactionalProducer,
    consumer: &Consumer,
    batch: ConsumerBatch,
    to: &str,
) -> klamm_client::Result<()> {
    let transaction = producer.begin().await?;
    let end = batch.end();
    for record in batch {
        let mut copy = Record::to(to).timestamp(record.timestamp);
        if let Some(key) = record.key {
            copy = copy.key(key);
        }
        if let Some(value) = record.value {
            copy = copy.value(value);
        }
        for header in record.headers {
            copy = copy.header(header.key, header.value.unwrap_or_default());
        }
        // The commit fails if a record does: nobody has to wait for each.
        drop(transaction.enqueue(copy).await?);
    }
    if let Some(group) = consumer.group_metadata() {
        transaction.send_offsets(&group, [end]).await?;
    }
    transaction.commit().await
}
