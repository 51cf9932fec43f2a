//! Members of a group that come and go.

use std::time::Duration;

use anyhow::Result;
use klamm_consumer::{ConsumeExt as _, Consumer, GroupProtocol, OffsetReset};
use klamm_utils::clock;
use klamm_utils::random::Random;

use super::{Counters, Seen, Storm, number};

/// How long a member stays: from so many milliseconds on, this much more at most.
const STAY_MS: (u64, u64) = (2_000, 10_000);
const BETWEEN_COMMITS: Duration = Duration::from_millis(200);

/// Joins the group, reads, commits, and leaves or is dropped; again and again until the storm is
/// over.
///
/// # Errors
/// A record was read that nobody sent.
pub async fn be_a_member(storm: &Storm, seen: &Seen, mut random: Random) -> Result<()> {
    while !storm.is_over() {
        let Ok(mut consumer) = join(storm, seen).await else { continue };
        Counters::add(&storm.troubles.members, 1);
        let stay = Duration::from_millis(STAY_MS.0 + random.below(STAY_MS.1));
        read(storm, seen, &mut consumer, stay).await?;
        if random.below(2) == 0 {
            // What was read last may not be committed: it is read again.
            let _ = consumer.close(Duration::from_secs(5)).await;
        }
    }
    Ok(())
}

async fn join(storm: &Storm, seen: &Seen) -> klamm_consumer::Result<Consumer> {
    let kafka = storm.connect().await;
    let builder = kafka.consumer().group(&seen.group).subscribe([storm.topics[0].as_str()]);
    let builder = builder.auto_offset_reset(OffsetReset::Earliest).auto_commit(false);
    match seen.protocol {
        GroupProtocol::Classic => builder
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "500")
            .set("partition.assignment.strategy", "cooperative-sticky"),
        protocol => builder.group_protocol(protocol),
    }
    .build()
    .await
}

async fn read(storm: &Storm, seen: &Seen, consumer: &mut Consumer, stay: Duration) -> Result<()> {
    let until = clock::now() + stay;
    let mut commit_at = clock::now() + BETWEEN_COMMITS;
    while !storm.is_over() && clock::now() < until {
        let left = commit_at.saturating_duration_since(clock::now());
        match tokio::time::timeout(left, consumer.next_batch()).await {
            Ok(Ok(batch)) => {
                for record in &batch {
                    seen.mark(number(record.value.as_deref())?)?;
                }
                Counters::add(&storm.troubles.read, batch.records().len());
            }
            Ok(Err(error)) => {
                Counters::add(&storm.troubles.told, 1);
                if error.is_fatal() {
                    break;
                }
            }
            Err(_) => {}
        }
        if clock::now() >= commit_at {
            let failed = consumer.commit_delivered().await.is_err();
            Counters::add(&storm.troubles.told, usize::from(failed));
            commit_at = clock::now() + BETWEEN_COMMITS;
        }
    }
    Ok(())
}
