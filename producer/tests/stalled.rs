//! A broker that stalls: what a producer holds stays within `buffer.memory` and a constant. Alone
//! in its process, whose memory it looks at.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::sync::Arc;

use klamm_producer::{ProduceExt as _, Record, RecordMetadata};
use klamm_utils::task::TaskGroup;
use tokio::sync::mpsc;

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod place;

use cluster::{SOON, eventually};
use place::Place;

const TASKS: usize = 200;
const RECORDS_EACH: usize = 20;
const RECORD: usize = 16 << 10;
/// An eighth of what the tasks have to send.
const MEMORY: usize = 8 << 20;
/// What may come on top: a batch in the making and spare room for each of the three partitions, the
/// records that the tasks wait with (3 MiB), and what the allocator keeps.
const BESIDE: usize = 8 << 20;

/// Bytes of this process that are in memory, where the system tells.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok().map(|kib| kib << 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_broker_holds_no_more_than_the_memory_that_was_set() {
    let place = Place::here("stalled").await;
    let producer = place.kafka.producer().buffer_memory(MEMORY).build().await.unwrap();
    let producer = Arc::new(producer);
    producer.send(place.record("first").partition(0)).await.unwrap();
    place.broker().pause();
    let before = resident();

    let (tasks, (told, mut hears)) = (TaskGroup::new("test"), mpsc::channel(TASKS));
    for task in 0..TASKS {
        let (producer, topic, told) = (Arc::clone(&producer), place.name.clone(), told.clone());
        tasks.spawn("enqueue", async move {
            let mut deliveries = Vec::new();
            for number in 0..RECORDS_EACH {
                let partition = i32::try_from((task + number) % 3).unwrap();
                let record = Record::to(topic.as_str()).partition(partition);
                let record = record.value(vec![b'x'; RECORD]);
                deliveries.push(producer.enqueue(record).await.unwrap());
            }
            for delivery in deliveries {
                told.send(delivery.await.unwrap()).await.unwrap();
            }
        });
    }
    drop(told);
    // Full: not one more of these records has room.
    eventually(async || producer.metrics().queue_bytes > (MEMORY - 2 * RECORD) as u64).await;
    for _ in 0..1_000 {
        assert!(producer.metrics().queue_bytes <= MEMORY as u64);
        tokio::task::yield_now().await;
    }
    if let (Some(before), Some(now)) = (before, resident()) {
        let more = now.saturating_sub(before);
        assert!(more <= MEMORY + BESIDE, "{more} bytes more than before");
    }
    assert_eq!(producer.metrics().records, 1);

    place.broker().resume();
    let mut offsets = BTreeMap::<i32, Vec<i64>>::from([(0, vec![0])]);
    while let Some(RecordMetadata { partition, offset, .. }) =
        tokio::time::timeout(SOON, hears.recv()).await.unwrap()
    {
        offsets.entry(partition).or_default().push(offset.unwrap());
    }
    let mut count = 0;
    for mut offsets in offsets.into_values() {
        offsets.sort_unstable();
        assert!((0..).zip(&offsets).all(|(expected, offset)| expected == *offset));
        count += offsets.len();
    }
    assert_eq!(count, 1 + TASKS * RECORDS_EACH);
    assert_eq!(producer.metrics().queue_bytes, 0);
    place.end().await;
}
