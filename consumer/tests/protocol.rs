//! What is special about groups in which the broker assigns, against a real broker.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod support;

use std::time::Duration;

use klamm_consumer::{ConsumerEvent, GroupProtocol};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use support::{SOON, World, end, event, member, next, protocols, read, settle};

/// None where the cluster does not speak the protocol.
async fn world(partitions: i32) -> Option<World> {
    let protocol = GroupProtocol::Consumer;
    let spoken = protocols().await.contains(&protocol);
    if spoken { Some(World::speaking(protocol, partitions).await) } else { None }
}

#[tokio::test]
async fn a_pattern_is_the_brokers_to_match() {
    let Some(world) = world(1).await else { return };
    let others = ["audit.in", "audit.out", "audits.in"].map(|end| format!("{}.{end}", world.topic));
    for other in &others {
        world.create(&other.as_str().into(), 1).await;
    }
    // Both are beyond the crate that matches in the classic protocol.
    let patterns =
        [format!(r"re:\Q{}.audit.\E.*", world.topic), format!(r"re:(?:\Q{}\E)", world.topic)];
    let subscribed = member(&world.kafka, &world.group, world.protocol).subscribe(patterns);
    let mut consumer = subscribed.build().await.unwrap();
    settle(&mut consumer, 3).await;
    let topics: Vec<_> = consumer.assignment().into_iter().map(|(topic, _)| topic).collect();
    let expected: [Str; 3] =
        [world.topic.clone(), others[0].as_str().into(), others[1].as_str().into()];
    assert_eq!(topics, expected);
    // A name instead.
    consumer.subscribe([others[2].clone()]).unwrap();
    let only = [(Str::from(others[2].as_str()), 0)];
    while consumer.assignment() != only {
        let a_moment = Duration::from_millis(20);
        let _ = tokio::time::timeout(a_moment, consumer.next_batch()).await;
    }
    consumer.close(SOON).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_double_of_a_static_member_is_refused() {
    let Some(world) = world(1).await else { return };
    let mut first = world.member().group_instance_id("one").build().await.unwrap();
    settle(&mut first, 1).await;
    let refused = end(world.stranger().await.group_instance_id("one")).await;
    assert_eq!(refused.code(), Some(ErrorCode::UNRELEASED_INSTANCE_ID));
    read(&mut first, 10).await;
    first.close(SOON).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_revocation_waits_for_work_in_hand() {
    let Some(world) = world(1).await else { return };
    let mut first = world.member().build().await.unwrap();
    let in_hand = next(&mut first).await;
    let mut events = first.events();
    assert!(matches!(event(&mut events).await, Some(ConsumerEvent::Assigned(_))));
    let mut second = world.member().build().await.unwrap();
    let elsewhere: Str = format!("{}.elsewhere", world.topic).into();
    world.create(&elsewhere, 1).await;
    first.subscribe([elsewhere.clone()]).unwrap();
    assert!(matches!(event(&mut events).await, Some(ConsumerEvent::Revoking(_))));
    // The application works on a batch; nobody else gets it before it asks for more.
    let waiting = tokio::time::timeout(Duration::from_millis(300), second.next_batch()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    let reading = async {
        while first.assignment() != [(elsewhere.clone(), 0)] {
            let a_moment = Duration::from_millis(20);
            let _ = tokio::time::timeout(a_moment, first.next_batch()).await;
        }
    };
    let (batch, ()) = tokio::join!(next(&mut second), reading);
    // What was worked on was committed before.
    assert_eq!(batch.records()[0].offset, in_hand.end_offset());
    world.stop().await;
}

#[tokio::test]
async fn a_group_goes_from_one_protocol_to_the_other_member_by_member() {
    let Some(world) = world(4).await else { return };
    let old = member(&world.kafka, &world.group, GroupProtocol::Classic);
    let mut old = old.subscribe([world.topic.clone()]).build().await.unwrap();
    read(&mut old, 100).await;
    let mut new = world.stranger().await.build().await.unwrap();
    tokio::join!(settle(&mut old, 2), settle(&mut new, 2));
    for partition in 0..4 {
        world.produce(partition, 10).await;
    }
    // Each commits what it has.
    read(&mut old, 10).await;
    read(&mut new, 10).await;
    old.commit_delivered().await.unwrap();
    new.commit_delivered().await.unwrap();
    old.close(SOON).await.unwrap();
    settle(&mut new, 4).await;
    // And back.
    let old = member(&world.kafka, &world.group, GroupProtocol::Classic);
    let mut old = old.subscribe([world.topic.clone()]).build().await.unwrap();
    tokio::join!(settle(&mut old, 2), settle(&mut new, 2));
    new.close(SOON).await.unwrap();
    settle(&mut old, 4).await;
    old.close(SOON).await.unwrap();
    world.stop().await;
}
