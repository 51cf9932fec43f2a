//! `reap`: looks after pods that have died. What their users wait for is asked for at once, what
//! they were to tell is told; what lies in their topics is passed on when they are surely dead.

use std::collections::HashMap;
use std::time::Duration;

use klamm_client::Kafka;
use klamm_client::admin::GroupState;
use klamm_consumer::{ConsumeExt as _, Consumer, OffsetReset, Start};
use klamm_protocol::wire::Str;
use klamm_utils::task::TaskGroup;
use tokio::time::Instant;

use super::deaths::{Deaths, Seen};
use super::write::pass_on;
use super::{Pod, lease, topics};
use crate::wire::Routed;

/// Looks in the time of a lease.
const LOOKS: u32 = 15;
/// A poll that finds nothing for so long has come to an end, or to one that it is told.
const POLL_WITHIN: Duration = Duration::from_millis(500);

/// Looks after dead pods until the tasks stop.
pub(super) async fn watch(pod: Pod, kafka: Kafka, tasks: TaskGroup) {
    let lease = pod.0.registry.lease();
    let mut looks = tokio::time::interval(lease / LOOKS);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut deaths = Deaths::new(lease);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = tasks.stopping() => return,
        }
        let seen = look(&pod, &mut deaths).await;
        for silent in &seen.silent {
            look_after(&pod, silent).await;
        }
        for dead in seen.dead {
            tokio::select! {
                () = reap_within(lease, &pod, &kafka, &dead) => {}
                () = tasks.stopping() => return,
            }
        }
    }
}

async fn look(pod: &Pod, deaths: &mut Deaths) -> Seen {
    let without = match pod.0.registry.pods().await {
        Ok(mut pods) => {
            pods.dead.remove(pod.id());
            Some(pods.dead)
        }
        Err(_) => None,
    };
    deaths.look(without.as_ref(), Instant::now())
}

/// Shorter than the claim lasts: nobody else begins meanwhile.
async fn reap_within(limit: Duration, pod: &Pod, kafka: &Kafka, dead: &str) {
    match tokio::time::timeout(limit, reap(pod, kafka, dead)).await {
        Ok(Ok(true)) => return tracing::info!(pod = pod.id(), dead, "cleared up"),
        Ok(Ok(false)) => return,
        Ok(Err(error)) => tracing::warn!(%error, dead, "cannot clear up yet"),
        Err(_) => tracing::warn!(dead, "cannot clear up yet: it takes too long"),
    }
    // Whoever comes to it first tries again.
    if let Err(error) = pod.0.registry.release_remains(dead, pod.id()).await {
        tracing::debug!(%error, dead, "the registry is away: the claim runs out");
    }
}

/// A pod has no lease. Whether or not it lives, this does no harm: all who are here ask for what
/// they wait for, and what that pod has not told yet is told by this one.
async fn look_after(pod: &Pod, silent: &str) {
    pod.0.ask_again.send_modify(|times| *times += 1);
    match pod.0.store.inherit_outbox(silent, pod.id()).await {
        Ok(()) => pod.0.outbox.notify_one(),
        Err(error) => tracing::warn!(%error, silent, "what it was to tell is told later"),
    }
}

async fn reap(pod: &Pod, kafka: &Kafka, dead: &str) -> anyhow::Result<bool> {
    let registry = &pod.0.registry;
    if has_members(kafka, dead).await? {
        return Ok(false);
    }
    if !registry.claim_remains(dead, pod.id()).await? {
        return Ok(false);
    }
    // It may have come back before the claim; after it, it waits.
    if registry.pods().await?.living.contains(dead) {
        registry.release_remains(dead, pod.id()).await?;
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
    for (_, deleted) in kafka.admin().delete_groups(&[topics::group_of(dead).into()]).await? {
        // One that has read nothing has none.
        if let Err(error) = deleted {
            tracing::debug!(%error, dead, "its group stays");
        }
    }
    lease::forget_state(pod, dead).await?;
    registry.bury(dead, pod.id()).await?;
    Ok(true)
}

/// Whether it reads its topic still: then only the registry does not hear of it.
async fn has_members(kafka: &Kafka, dead: &str) -> klamm_client::Result<bool> {
    let group = topics::group_of(dead);
    for (_, listed) in kafka.admin().list_groups(&[], &[]).await? {
        let mut of_it = listed?.into_iter().filter(|listed| listed.id == group.as_str());
        if of_it.any(|listed| !matches!(listed.state, GroupState::Empty | GroupState::Dead)) {
            return Ok(true);
        }
    }
    Ok(false)
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
        let next = tokio::time::timeout(POLL_WITHIN, consumer.next_batch()).await;
        if let Ok(batch) = next {
            for record in batch? {
                let value = record.value.unwrap_or_default();
                if let Ok(routed) = serde_json::from_slice::<Routed>(&value) {
                    pass_on(pod, dead, routed).await;
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
