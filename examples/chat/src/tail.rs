//! Follows the log: every message that is shown comes from here, in the order of the log.

use std::time::Duration;

use klamm_consumer::{ConsumeExt as _, Consumer, OffsetReset, Start};
use klamm_utils::backoff::Backoff;

use crate::instance::Instance;
use crate::log::Log;
use crate::message::{Message, Placed};

/// How many records of each partition are read again at the start, so that what was said just
/// before is at hand.
const BACK: i64 = 2_000;

/// Follows every partition until the tasks stop.
pub(crate) async fn follow(instance: &Instance, log: &Log) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        let failed = match open(instance, log).await {
            Ok(mut consumer) => {
                instance.kafka.well();
                backoff.reset();
                read(instance, &mut consumer).await
            }
            Err(error) => error,
        };
        instance.kafka.away(failed);
        tokio::time::sleep(backoff.next_pause()).await;
    }
}

/// A consumer of all partitions without a group: from where this instance was, or from a little
/// before the end.
async fn open(instance: &Instance, log: &Log) -> klamm_client::Result<Consumer> {
    let mut consumer = log.kafka.consumer().auto_offset_reset(OffsetReset::Earliest);
    for (partition, end) in log.ends().await? {
        let from = match instance.rooms.next(partition) {
            Some(next) => next,
            None => {
                let from = (end - BACK).max(0);
                instance.rooms.begin(partition, from);
                from
            }
        };
        consumer = consumer.assign(log.topic.as_str(), partition, Start::Offset(from));
    }
    consumer.fetch_max_wait(Duration::from_millis(500)).build().await
}

/// Shows what comes, until that fails.
async fn read(instance: &Instance, consumer: &mut Consumer) -> klamm_client::Error {
    loop {
        let batch = match consumer.next_batch().await {
            Ok(batch) => batch,
            Err(error) => return error,
        };
        let (partition, end) = (batch.partition(), batch.end_offset());
        let mut shown = 0;
        for record in &batch {
            // What cannot be read is told by the persister, which puts it aside.
            if let Ok(message) = Message::decode(record.value.as_deref()) {
                shown += instance.rooms.show(partition, Placed { message, offset: record.offset });
            }
        }
        instance.rooms.passed(partition, end);
        instance.metrics.deliveries.inc_by(shown as u64);
    }
}
