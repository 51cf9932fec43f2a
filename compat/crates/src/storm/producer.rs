//! The idempotent producer.

use std::time::Duration;

use anyhow::{Context as _, Result};
use klamm_producer::{Compression, Delivery, ProduceExt as _, Record};
use klamm_utils::clock;

use super::{Counters, Storm};

const TICK: Duration = Duration::from_millis(10);
const FILLER: [u8; 92] = [b'.'; 92];

/// Sends the storm's records, spread evenly over its time, and waits for each acknowledgement.
///
/// # Errors
/// A record was not acknowledged.
pub async fn produce(storm: &Storm) -> Result<()> {
    let producer = storm.connect().await.producer().compression(Compression::Lz4).build().await?;
    let begin = clock::now();
    let mut deliveries: Vec<Delivery> = Vec::new();
    let mut sent = 0;
    while sent < storm.records {
        let share = begin.elapsed().as_secs_f64() / storm.time.as_secs_f64().max(0.001);
        // Truncation is meant: whole records only.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let due = (storm.records as f64 * share.min(1.0)) as u64;
        while sent < due {
            let value = [&sent.to_be_bytes()[..], &FILLER].concat();
            let partition = i32::try_from(sent % u64::try_from(storm.partitions)?)?;
            let record = Record::to(storm.topics[0].as_str()).value(value).partition(partition);
            match producer.enqueue(record).await {
                Ok(delivery) => {
                    deliveries.push(delivery);
                    sent += 1;
                }
                Err(error) if error.is_fatal() => return Err(error.into()),
                // It was not accepted: metadata or memory was not to be had in time.
                Err(_) => Counters::add(&storm.troubles.blocked, 1),
            }
        }
        tokio::time::sleep(TICK).await;
    }
    let mut refused = Vec::new();
    for (number, delivery) in deliveries.into_iter().enumerate() {
        refused.extend(delivery.await.err().map(|error| (number, error)));
    }
    let others = refused.len().saturating_sub(1);
    if let Some((number, error)) = refused.into_iter().next() {
        return Err(error).with_context(|| format!("record {number} and {others} others"));
    }
    producer.close(Duration::from_secs(30)).await?;
    Ok(())
}
