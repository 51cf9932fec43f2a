//! Clearing up after dead pods: what lies in their topics is passed on, what they were to tell is
//! told.

use std::collections::HashMap;
use std::time::Duration;

use klamm_client::Kafka;
use klamm_consumer::{ConsumeExt as _, Consumer, OffsetReset, Start};
use klamm_protocol::wire::Str;
use klamm_utils::task::TaskGroup;

use super::write::pass_on;
use super::{Pod, lease, topics};
use crate::wire::Delivery;

/// A broker says within this time where a partition ends.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Clears up after every pod whose lease has run out, unless another does.
pub(super) async fn reap_dead(pod: &Pod, kafka: &Kafka, tasks: &TaskGroup) {
    // Who does not know which pods live clears up after none.
    let Ok(pods) = pod.0.registry.pods().await else { return };
    for dead in pods.dead {
        if tasks.is_stopping() {
            return;
        }
        match reap(pod, kafka, &dead).await {
            Ok(true) => tracing::info!(pod = pod.id(), dead, "cleared up"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, dead, "cannot clear up yet"),
        }
    }
}

async fn reap(pod: &Pod, kafka: &Kafka, dead: &str) -> anyhow::Result<bool> {
    let registry = &pod.0.registry;
    if dead == pod.id() || !registry.claim_remains(dead, pod.id()).await? {
        return Ok(false);
    }
    // It may have come back before the claim; after it, it waits.
    if registry.pods().await?.living.contains(dead) {
        registry.release_remains(dead).await?;
        return Ok(false);
    }
    pod.0.store.inherit_outbox(dead, pod.id()).await?;
    pod.0.outbox.notify_one();
    let topic = Str::from(topics::of_pod(&pod.0.settings, dead));
    if let Ok(known) = kafka.topic(&topic).await {
        let partitions = i32::try_from(known.partitions.len()).unwrap_or(i32::MAX);
        pass_on_all(pod, kafka, dead, (&topic, partitions)).await?;
        for (_, deleted) in kafka.admin().delete_topics(&[topic]).await? {
            deleted?;
        }
    }
    lease::forget_state(pod, dead).await?;
    registry.bury(dead).await?;
    Ok(true)
}

/// Passes on what a dead pod has not, from where its group has committed.
async fn pass_on_all(
    pod: &Pod,
    kafka: &Kafka,
    dead: &str,
    (topic, partitions): (&Str, i32),
) -> anyhow::Result<()> {
    let mut consumer = kafka
        .consumer()
        .group(&topics::group_of(dead))
        .auto_commit(false)
        .auto_offset_reset(OffsetReset::Earliest);
    for partition in 0..partitions {
        consumer = consumer.assign(topic.clone(), partition, Start::Committed);
    }
    let mut consumer = consumer.build().await?;
    let mut ends = HashMap::new();
    loop {
        let next = tokio::time::timeout(END_WITHIN / 10, consumer.next_batch()).await;
        if let Ok(batch) = next {
            for record in batch? {
                let value = record.value.unwrap_or_default();
                if let Ok(delivery) = serde_json::from_slice::<Delivery>(&value) {
                    pass_on(pod, dead, delivery).await;
                }
            }
        } else if are_at_end(&consumer, topic, partitions, &mut ends) {
            return Ok(());
        }
    }
}

/// Whether every partition was read to its end.
fn are_at_end(
    consumer: &Consumer,
    topic: &Str,
    partitions: i32,
    ends: &mut HashMap<i32, i64>,
) -> bool {
    for partition in 0..partitions {
        if let Some(end) = consumer.high_watermark(topic, partition) {
            ends.insert(partition, end);
        }
    }
    (0..partitions).all(|partition| {
        let position = consumer.position(topic, partition);
        ends.get(&partition).zip(position).is_some_and(|(end, position)| position >= *end)
    })
}
