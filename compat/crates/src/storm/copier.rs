//! Copiers: what they read and what they write counts together.

use std::collections::HashMap;
use std::time::Duration;

use klamm_consumer::{
    ConsumeExt as _, Consumer, ConsumerEvent, ConsumerEvents, IsolationLevel, OffsetReset, Start,
};
use klamm_producer::{ProduceExt as _, Record, Result, TransactionalProducer};
use klamm_protocol::wire::Str;
use klamm_utils::clock;
use klamm_utils::random::Random;

use super::{Counters, Storm};

/// How long a copier stays a member: from so many milliseconds on, this much more at most.
const STAY_MS: (u64, u64) = (5_000, 15_000);
/// For how long a transaction gathers records.
const MOMENT: Duration = Duration::from_millis(100);
const HURRY: Duration = Duration::from_secs(5);

/// Copies with this copier's transactional id, and begins anew now and then and whenever it cannot
/// go on, until the storm is over.
pub async fn copy(storm: &Storm, copier: usize, mut random: Random) {
    while !storm.is_over() {
        let stay = Duration::from_millis(STAY_MS.0 + random.below(STAY_MS.1));
        Counters::add(&storm.troubles.copiers, 1);
        if work(storm, copier, stay).await.is_err() {
            Counters::add(&storm.troubles.aborted, 1);
        }
    }
}

/// One life. The producer comes first: it ends what its predecessor has left open.
async fn work(storm: &Storm, copier: usize, stay: Duration) -> Result<()> {
    let kafka = storm.connect().await;
    let id = format!("{}.{copier}", storm.copiers());
    let producer = kafka.producer().transactional_id(&id).build_transactional().await?;
    let mut consumer = kafka
        .consumer()
        .group(&storm.copiers())
        .subscribe([storm.topics[0].as_str()])
        .auto_offset_reset(OffsetReset::Earliest)
        .isolation_level(IsolationLevel::ReadCommitted)
        .auto_commit(false)
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "500")
        .build()
        .await?;
    let mut events = consumer.events();
    let until = clock::now() + stay;
    while !storm.is_over() && clock::now() < until {
        let mut places = Vec::new();
        match copy_some(storm, &producer, &mut consumer, &mut events, &mut places).await {
            Ok(true) => Counters::add(&storm.troubles.committed, 1),
            Ok(false) => break,
            Err(error) if error.requires_abort() && !error.is_fatal() => {
                Counters::add(&storm.troubles.aborted, 1);
                for (topic, partition) in places {
                    // Where the partition is another's by now, that one reads it again.
                    let _ = consumer.seek(&topic, partition, Start::Committed);
                }
            }
            Err(error) => return Err(error),
        }
    }
    // Whether this succeeds or not, the next life begins where this one has committed.
    let _ = consumer.close(HURRY).await;
    let _ = producer.close(HURRY).await;
    Ok(())
}

/// Copies what comes within a moment in one transaction, and notes from which partitions.
///
/// A partition that is to go to another member goes when the transaction has ended, which tells
/// that member where to begin. Where partitions were lost, nothing is copied, and this is false.
async fn copy_some(
    storm: &Storm,
    producer: &TransactionalProducer,
    consumer: &mut Consumer,
    events: &mut ConsumerEvents,
    places: &mut Vec<(Str, i32)>,
) -> Result<bool> {
    let until = clock::now() + MOMENT;
    let transaction = producer.begin().await?;
    let mut ends = HashMap::new();
    let mut revocation = None;
    while clock::now() < until && revocation.is_none() {
        let batch = tokio::select! {
            biased;
            Some(event) = events.next() => match event {
                ConsumerEvent::Revoking(leaving) => {
                    revocation = Some(leaving);
                    continue;
                }
                ConsumerEvent::Assigned(_) => continue,
                // Others may have begun where the last transaction has ended.
                _ => return transaction.abort().await.map(|()| false),
            },
            next = consumer.next_batch() => next?,
            () = tokio::time::sleep_until(until.into()) => break,
        };
        let (end, place) = (batch.end(), (batch.topic().clone(), batch.partition()));
        places.push(place.clone());
        for record in batch {
            let copy = Record::to(storm.topics[1].as_str()).partition(place.1);
            let copy = record.value.into_iter().fold(copy, Record::value);
            drop(transaction.enqueue(copy).await?);
        }
        ends.insert(place, end);
    }
    if let Some(group) = consumer.group_metadata().filter(|_| !ends.is_empty()) {
        transaction.send_offsets(&group, ends.into_values()).await?;
    }
    let committed = transaction.commit().await;
    drop(revocation);
    committed.map(|()| true)
}
