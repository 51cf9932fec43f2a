//! Every call may be dropped at every await: nothing is lost by that, and nothing read twice.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod support;

use klamm_consumer::{ConsumeExt as _, Consumer, ConsumerEvent, PartitionStream, Position};
use klamm_utils::cancel::{Cut, at_every_await, poll_at_most};

use support::{SOON, World, next, protocols, settle};

/// More often than any call here is woken before it is done.
const MOST: usize = 60;
/// How often each call is to come to its end, after it was dropped at all its awaits.
const ENOUGH: usize = 3;

/// What the group has committed of the only partition.
async fn committed(world: &World) -> i64 {
    let reader = world.kafka.consumer().group(&world.group).build().await.unwrap();
    let found = reader.committed(&[world.place(0)]).await.unwrap();
    found[0].1.as_ref().unwrap().as_ref().map_or(0, |position| position.offset)
}

#[tokio::test]
async fn a_dropped_next_batch_has_taken_nothing() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let mut consumer = world.member().build().await.unwrap();
        let (mut offset, mut end) = (0, 100);
        at_every_await(MOST, 20, async |polls| {
            // There is always something that will come.
            if offset == end {
                world.produce(0, 10).await;
                end += 10;
            }
            let cut = poll_at_most(polls % 7, consumer.next_batch()).await;
            cut.map(|batch| {
                let batch = batch.unwrap();
                assert_eq!(batch.records()[0].offset, offset);
                offset = batch.end_offset();
            })
        })
        .await;
        world.stop().await;
    }
}

#[tokio::test]
async fn a_dropped_stream_of_a_partition_has_taken_nothing() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let mut consumer = world.member().auto_commit(false).build().await.unwrap();
        let mut stream: Option<PartitionStream> = None;
        at_every_await(MOST, ENOUGH, async |polls| {
            // The partition is free again before each attempt.
            stream = None;
            let cut = poll_at_most(polls, async { consumer.partitions().next().await }).await;
            cut.map(|given| stream = Some(given.unwrap()))
        })
        .await;
        let mut stream = stream.unwrap();
        let (mut offset, mut before) = (0, 0);
        at_every_await(MOST, 8, async |polls| {
            let cut = poll_at_most(polls % 7, stream.next_batch()).await;
            cut.map(|batch| {
                let batch = batch.unwrap().unwrap();
                assert_eq!(batch.records()[0].offset, offset);
                offset = batch.end_offset();
            })
        })
        .await;
        at_every_await(MOST, ENOUGH, async |polls| {
            let position = Position::new(world.topic.clone(), 0, before + 1);
            let cut = poll_at_most(polls, stream.commit_to(position)).await;
            let after = committed(&world).await;
            check(before, after, before + 1, &cut);
            before = after;
            cut
        })
        .await;
        let cut = at_every_await(MOST, ENOUGH, async |polls| {
            poll_at_most(polls, stream.commit()).await.map(Result::unwrap)
        });
        assert!(cut.await > 0 && committed(&world).await == offset);
        world.stop().await;
    }
}

/// What is committed is what was, or what was to be; if that was said, the latter.
fn check<T>(before: i64, after: i64, wanted: i64, cut: &Cut<T>) {
    match cut {
        Cut::Done(_) => assert_eq!(after, wanted),
        Cut::Dropped => assert!(after == before || after == wanted, "{before}, {after}, {wanted}"),
    }
}

#[tokio::test]
async fn a_dropped_commit_was_done_or_not() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let mut consumer = world.member().auto_commit(false).build().await.unwrap();
        settle(&mut consumer, 1).await;
        let mut before = committed(&world).await;
        for several in [false, true] {
            at_every_await(MOST, ENOUGH, async |polls| {
                let wanted = before + 1;
                let position = Position::new(world.topic.clone(), 0, wanted);
                let commit = async {
                    if several {
                        consumer.commit_offsets([position]).await
                    } else {
                        consumer.commit(position).await
                    }
                };
                let cut = poll_at_most(polls, commit).await.map(Result::unwrap);
                let after = committed(&world).await;
                check(before, after, wanted, &cut);
                before = after;
                cut
            })
            .await;
        }
        let delivered = consumer.position(&world.topic, 0).unwrap();
        at_every_await(MOST, ENOUGH, async |polls| {
            let place = world.place(0);
            poll_at_most(polls, consumer.committed(std::slice::from_ref(&place))).await;
            poll_at_most(polls, consumer.commit_delivered()).await.map(Result::unwrap)
        })
        .await;
        assert_eq!(committed(&world).await, delivered);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_dropped_question_for_events_has_taken_none() {
    let world = World::start(1).await;
    let mut consumer: Consumer = world.member().build().await.unwrap();
    settle(&mut consumer, 1).await;
    let mut events = consumer.events();
    let cut = at_every_await(MOST, 1, async |polls| {
        let cut = poll_at_most(polls, events.next()).await;
        cut.map(|event| assert!(matches!(event, Some(ConsumerEvent::Assigned(_))), "{event:?}"))
    });
    assert!(cut.await > 0);
    world.stop().await;
}

#[tokio::test]
async fn a_dropped_build_or_close_leaves_no_member_behind() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 2).await;
        at_every_await(MOST, ENOUGH, async |polls| {
            drop(poll_at_most(polls, world.member().build()).await);
            let mut consumer = world.member().build().await.unwrap();
            settle(&mut consumer, 2).await;
            poll_at_most(polls, consumer.close(SOON)).await.map(Result::unwrap)
        })
        .await;
        let mut last = world.member().build().await.unwrap();
        settle(&mut last, 2).await;
        last.close(SOON).await.unwrap();
        world.stop().await;
    }
}

#[tokio::test]
async fn dropping_waits_for_nobody() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let mut consumer = world.member().build().await.unwrap();
        next(&mut consumer).await;
        let other = world.kafka.consumer().group(&world.group).build().await.unwrap();
        // The broker is gone, and so is everybody who could answer.
        world.stop().await;
        drop(consumer);
        drop(other);
    }
}
