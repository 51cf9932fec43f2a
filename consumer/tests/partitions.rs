//! Each partition in a task of its own, against a real broker.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]
#![allow(clippy::disallowed_methods, reason = "tasks as an application starts them")]

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use klamm_consumer::{
    Assignor, ConsumeExt as _, Consumer, ConsumerBatch, Error, PartitionStream, Position, Result,
    Start,
};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use support::{SOON, World, assigning, next, protocols, read, settle};

async fn partition(consumer: &mut Consumer) -> PartitionStream {
    tokio::time::timeout(SOON, consumer.partitions().next()).await.unwrap().unwrap()
}

async fn batch(stream: &mut PartitionStream) -> Option<ConsumerBatch> {
    tokio::time::timeout(SOON, stream.next_batch()).await.unwrap().unwrap()
}

async fn offsets(stream: &mut PartitionStream) -> Option<Vec<i64>> {
    let batch = batch(stream).await?;
    Some(batch.records().iter().map(|record| record.offset).collect())
}

/// Whether a stream that waits hears that nothing more comes.
async fn ended(waiting: JoinHandle<Result<Option<ConsumerBatch>>>) -> bool {
    tokio::time::timeout(SOON, waiting).await.unwrap().unwrap().unwrap().is_none()
}

/// What was read, how often.
#[derive(Default)]
struct Seen {
    times: Mutex<BTreeMap<(i32, i64), usize>>,
    more: Notify,
}

impl Seen {
    fn see(&self, partition: i32, offset: i64) {
        *self.times.lock().unwrap().entry((partition, offset)).or_default() += 1;
        self.more.notify_waiters();
    }

    /// Waits until so many different records were read.
    async fn reach(&self, records: usize) {
        let reached = async {
            loop {
                let more = self.more.notified();
                if self.times.lock().unwrap().len() >= records {
                    break;
                }
                more.await;
            }
        };
        tokio::time::timeout(SOON, reached).await.unwrap();
    }
}

/// Works on a partition until it goes, and commits what it has worked on.
async fn work(mut stream: PartitionStream, seen: Arc<Seen>) {
    while let Some(batch) = stream.next_batch().await.unwrap() {
        for record in &batch {
            seen.see(batch.partition(), record.offset);
            tokio::task::yield_now().await;
        }
    }
    stream.commit().await.unwrap();
}

/// A member with a task for each partition, until it is told to stop.
async fn member(mut consumer: Consumer, seen: Arc<Seen>, stop: Arc<Notify>) {
    let mut workers = JoinSet::new();
    let stopped = stop.notified();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => break,
            stream = async { consumer.partitions().next().await } => {
                workers.spawn(work(stream.unwrap(), Arc::clone(&seen)));
            }
        }
    }
    consumer.close(SOON).await.unwrap();
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_of_partitions_read_each_record_once_over_rebalances() {
    const PARTITIONS: i32 = 6;
    for protocol in protocols().await {
        let world = World::speaking(protocol, PARTITIONS).await;
        let (seen, mut members) = (Arc::new(Seen::default()), Vec::new());
        let mut rounds = 1;
        let mut expected = 600;
        for _ in 0..4 {
            let builder = assigning(world.member(), protocol, Assignor::CooperativeSticky);
            let consumer = builder.auto_commit(false).build().await.unwrap();
            let stop = Arc::new(Notify::new());
            let task = tokio::spawn(member(consumer, Arc::clone(&seen), Arc::clone(&stop)));
            members.push((task, stop));
            // More comes while the group rebalances; from the third member on one leaves, too.
            for partition in 0..PARTITIONS {
                world.produce(partition, 10).await;
            }
            expected += 60;
            rounds += 1;
            if rounds > 3 {
                let (task, stop) = members.remove(0);
                stop.notify_one();
                tokio::time::timeout(SOON, task).await.unwrap().unwrap();
            }
            seen.reach(expected).await;
        }
        for (task, stop) in members {
            stop.notify_one();
            tokio::time::timeout(SOON, task).await.unwrap().unwrap();
        }
        let times = seen.times.lock().unwrap().clone();
        let twice: Vec<_> = times.iter().filter(|(_, times)| **times != 1).collect();
        assert!(times.len() == expected && twice.is_empty(), "{}: {twice:?}", times.len());
        world.stop().await;
    }
}

/// Reads until there is no more, and tells how far that was.
async fn drain(mut stream: PartitionStream) -> (PartitionStream, i64) {
    let mut end = 0;
    while let Some(batch) = batch(&mut stream).await {
        end = batch.end_offset();
    }
    (stream, end)
}

#[tokio::test]
async fn a_revocation_waits_until_a_stream_has_committed_or_is_dropped() {
    for protocol in protocols().await {
        for commits in [true, false] {
            let world = World::speaking(protocol, 2).await;
            let build = async || {
                let builder = assigning(world.member(), protocol, Assignor::CooperativeSticky);
                builder.auto_commit(false).build().await.unwrap()
            };
            let mut first = build().await;
            let (one, other) = (partition(&mut first).await, partition(&mut first).await);
            let mut second = build().await;
            let (mut gone, end) = tokio::select! {
                ended = drain(one) => ended,
                ended = drain(other) => ended,
            };
            assert!(batch(&mut gone).await.is_none());
            let waiting = tokio::time::timeout(Duration::from_millis(200), second.next_batch());
            assert!(waiting.await.is_err() && first.assignment().len() == 2, "it waits");
            world.produce(gone.partition(), 10).await;
            let begins = if commits {
                gone.commit().await.unwrap();
                end
            } else {
                drop(gone);
                0
            };
            assert_eq!(next(&mut second).await.records()[0].offset, begins);
            world.stop().await;
        }
    }
}

#[tokio::test]
async fn what_a_dropped_stream_had_in_hand_comes_again() {
    let world = World::start(1).await;
    let mut consumer = world.member().auto_commit(false).build().await.unwrap();
    let mut stream = partition(&mut consumer).await;
    assert_eq!((stream.topic(), stream.partition()), (&world.topic, 0));
    assert_eq!(offsets(&mut stream).await.unwrap(), (0..10).collect::<Vec<_>>());
    assert_eq!(offsets(&mut stream).await.unwrap()[0], 10);
    assert_eq!((stream.position(), stream.lag()), (Some(20), Some(80)));
    drop(stream);
    assert_eq!(next(&mut consumer).await.records()[0].offset, 10);
    // Not what was committed, though.
    let mut stream = partition(&mut consumer).await;
    assert_eq!(offsets(&mut stream).await.unwrap()[0], 20);
    stream.commit().await.unwrap();
    drop(stream);
    assert_eq!(next(&mut consumer).await.records()[0].offset, 30);
    // And it goes wherever it is sent.
    let mut stream = partition(&mut consumer).await;
    stream.seek(Start::Offset(70)).unwrap();
    assert_eq!(offsets(&mut stream).await.unwrap()[0], 70);
    let elsewhere = stream.commit_to(Position::new(world.topic.clone(), 1, 7)).await.unwrap_err();
    assert!(matches!(elsewhere, Error::NotAssigned { .. }), "{elsewhere}");
    world.stop().await;
}

#[tokio::test]
async fn a_slow_stream_keeps_no_other_waiting() {
    let world = World::start(2).await;
    // One answer fills a partition.
    let builder = world.member().set("max.partition.fetch.bytes", "1");
    let mut consumer = builder.build().await.unwrap();
    settle(&mut consumer, 2).await;
    let slow = partition(&mut consumer).await;
    let mut fast = partition(&mut consumer).await;
    let fast_one = fast.partition();
    for _ in 0..5 {
        world.produce(fast_one, 10).await;
    }
    let mut last = 0;
    while last < 149 {
        last = *offsets(&mut fast).await.unwrap().last().unwrap();
    }
    drop(slow);
    read(&mut consumer, 10).await;
    world.stop().await;
}

#[tokio::test]
async fn a_partition_without_a_stream_keeps_no_stream_waiting() {
    let world = World::start(2).await;
    // One answer fills a partition.
    let builder = world.member().set("max.partition.fetch.bytes", "1");
    let mut consumer = builder.build().await.unwrap();
    let mut stream = partition(&mut consumer).await;
    for _ in 0..5 {
        world.produce(stream.partition(), 10).await;
    }
    let mut last = 0;
    while last < 149 {
        last = *offsets(&mut stream).await.unwrap().last().unwrap();
    }
    assert_eq!(next(&mut consumer).await.records()[0].offset, 0, "the other one is there");
    world.stop().await;
}

#[tokio::test]
async fn a_stream_that_does_not_let_go_costs_no_other_its_last_commit() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 2).await;
        let mut consumer = world.member().build().await.unwrap();
        let mut stream = partition(&mut consumer).await;
        offsets(&mut stream).await.unwrap();
        read(&mut consumer, 10).await;
        consumer.close(Duration::from_secs(8)).await.unwrap();
        let outsider = world.kafka.consumer().group(&world.group).build().await.unwrap();
        let places = [world.place(1 - stream.partition()), world.place(stream.partition())];
        for ((_, partition), committed) in outsider.committed(&places).await.unwrap() {
            let offset = committed.unwrap().map(|position| position.offset);
            let expected = if partition == stream.partition() { None } else { Some(10) };
            assert_eq!(offset.filter(|offset| *offset > 0), expected, "partition {partition}");
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn streams_end_when_other_partitions_are_chosen() {
    let world = World::start(1).await;
    // No answer comes that would wake anybody.
    let builder = world.kafka.consumer().fetch_max_wait(SOON * 10);
    let builder = builder.assign_topic(world.topic.clone(), Start::Latest);
    let mut consumer = builder.build().await.unwrap();
    let mut stream = partition(&mut consumer).await;
    let waiting = tokio::spawn(async move { stream.next_batch().await });
    let beginning = async {
        while consumer.position(&world.topic, 0).is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, beginning).await.unwrap();
    consumer.assign([]).unwrap();
    assert!(ended(waiting).await);
    world.stop().await;
}

#[tokio::test]
async fn a_stream_that_takes_too_long_is_late() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let builder = world.member().set("max.poll.interval.ms", "700");
        let mut consumer = builder.build().await.unwrap();
        let mut stream = partition(&mut consumer).await;
        offsets(&mut stream).await.unwrap();
        // Somebody asks for partitions all the time; it is the stream that does not.
        let told = tokio::time::timeout(SOON, consumer.partitions().next()).await.unwrap();
        assert!(matches!(told, Err(Error::PollInterval { .. })), "{told:?}");
        assert!(batch(&mut stream).await.is_none());
        let late = stream.commit().await.unwrap_err();
        assert!(matches!(late, Error::NotAssigned { .. }), "{late}");
        // It joins again, and what was in hand comes again.
        let mut stream = partition(&mut consumer).await;
        assert_eq!(offsets(&mut stream).await.unwrap()[0], 0);
        world.stop().await;
    }
}

#[tokio::test]
async fn who_only_waits_for_streams_is_not_late() {
    let world = World::start(1).await;
    let builder = world.member().set("max.poll.interval.ms", "700");
    let mut consumer = builder.build().await.unwrap();
    let mut stream = partition(&mut consumer).await;
    while stream.position() != Some(100) {
        offsets(&mut stream).await.unwrap();
    }
    // The consumer itself is asked for nothing for twice as long.
    let waiting = tokio::time::timeout(Duration::from_millis(1_400), stream.next_batch()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    world.produce(0, 10).await;
    assert_eq!(offsets(&mut stream).await.unwrap()[0], 100);
    world.stop().await;
}

#[tokio::test]
async fn streams_of_partitions_that_were_chosen_end_with_their_consumer() {
    let world = World::start(2).await;
    for closes in [true, false] {
        let builder = world.kafka.consumer().assign_topic(world.topic.clone(), Start::Latest);
        let mut consumer = builder.build().await.unwrap();
        let mut one = partition(&mut consumer).await;
        let other = partition(&mut consumer).await;
        let waiting = tokio::spawn(async move { one.next_batch().await });
        drop(other);
        if closes {
            consumer.close(SOON).await.unwrap();
        } else {
            drop(consumer);
        }
        assert!(ended(waiting).await);
    }
    world.stop().await;
}
