//! Every call may be dropped at every await.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod support;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use klamm_consumer::{ConsumeExt as _, Consumer, Position};

use support::{SOON, World, next, protocols, settle};

/// More often than any call here is woken before it is done.
const WAKINGS: usize = 12;

/// Polls a call at most so many times, and drops it when it is woken once more.
async fn drop_after<T>(polls: usize, call: impl Future<Output = T>) -> Option<T> {
    let (mut call, mut left) = (pin!(call), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match call.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[tokio::test]
async fn a_dropped_next_batch_has_taken_nothing() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let mut consumer = world.member().build().await.unwrap();
        let (mut offset, mut polls) = (0, 0);
        while offset < 100 {
            polls += 1;
            if let Some(batch) = drop_after(polls % WAKINGS, consumer.next_batch()).await {
                let batch = batch.unwrap();
                assert_eq!(batch.records()[0].offset, offset);
                offset = batch.end_offset();
            }
            tokio::task::yield_now().await;
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_dropped_commit_was_done_or_not() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let mut consumer = world.member().auto_commit(false).build().await.unwrap();
        settle(&mut consumer, 1).await;
        let place = world.place(0);
        let committed = async |consumer: &Consumer| {
            let found = consumer.committed(std::slice::from_ref(&place)).await.unwrap();
            found[0].1.as_ref().unwrap().as_ref().map_or(0, |position| position.offset)
        };
        let mut before = 0;
        for polls in 0..WAKINGS {
            let offset = i64::try_from(polls).unwrap() + 1;
            let position = Position::new(world.topic.clone(), 0, offset);
            let done = drop_after(polls, consumer.commit(position)).await;
            drop_after(polls, consumer.committed(std::slice::from_ref(&place))).await;
            let after = committed(&consumer).await;
            let allowed = if done.is_some() { vec![offset] } else { vec![before, offset] };
            assert!(allowed.contains(&after), "{after} after {polls} polls, {before} before");
            before = after;
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_dropped_build_or_close_leaves_no_member_behind() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 2).await;
        for polls in 0..WAKINGS {
            drop(drop_after(polls, world.member().build()).await);
            let mut consumer = world.member().build().await.unwrap();
            settle(&mut consumer, 2).await;
            drop(drop_after(polls, consumer.close(SOON)).await);
        }
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
