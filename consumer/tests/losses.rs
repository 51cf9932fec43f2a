//! Partitions that a member loses, or gives up late, against a real broker.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod support;

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream as _;
use klamm_consumer::{
    Assignor, ConsumeExt as _, ConsumerEvent, Error, OffsetReset, Position, Start,
};
use klamm_producer::ProduceExt as _;

use cluster::somewhere_can;
use support::{SOON, World, assigning, event, next, protocols, settle};

const TXN_OFFSET_COMMIT: i16 = 28;

#[tokio::test]
async fn a_lost_partition_keeps_no_other_from_being_committed() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 2).await;
        let build = async || {
            let builder = assigning(world.member(), protocol, Assignor::CooperativeSticky);
            builder.auto_commit(false).build().await.unwrap()
        };
        let mut first = build().await;
        settle(&mut first, 2).await;
        let mut second = build().await;
        tokio::join!(settle(&mut first, 1), settle(&mut second, 1));
        let kept = first.assignment()[0].1;
        let positions = [0, 1].map(|partition| Position::new(world.topic.clone(), partition, 7));
        let error = first.commit_offsets(positions).await.unwrap_err();
        assert!(matches!(error, Error::NotAssigned { .. }), "{error}");
        let found = first.committed(&[world.place(0), world.place(1)]).await.unwrap();
        for ((_, partition), committed) in found {
            let offset = committed.unwrap().map(|position| position.offset);
            assert_eq!(offset, (partition == kept).then_some(7), "partition {partition}");
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_stream_ends_where_its_partition_was_lost() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let mut slow = world.member().set("max.poll.interval.ms", "700").build().await.unwrap();
        let mut events = slow.events();
        let mut stream = slow.stream();
        let mut record = async || {
            let record = poll_fn(|context| Pin::new(&mut stream).poll_next(context));
            tokio::time::timeout(SOON, record).await.unwrap().unwrap()
        };
        assert_eq!(record().await.unwrap().offset, 0);
        while !matches!(event(&mut events).await.unwrap(), ConsumerEvent::Lost(_)) {}
        // Nine records of the batch are left, and are another's now.
        let told = record().await.unwrap_err();
        assert!(matches!(told, Error::PollInterval { .. }), "{told}");
        assert_eq!(record().await.unwrap().offset, 0, "nothing was committed");
        world.stop().await;
    }
}

#[tokio::test]
async fn what_was_lost_is_committed_with_no_transaction() {
    if !somewhere_can(TXN_OFFSET_COMMIT, 3, "members in transactions").await {
        return;
    }
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let slow = world.member().auto_commit(false).set("max.poll.interval.ms", "700");
        let mut slow = slow.build().await.unwrap();
        let mut events = slow.events();
        let read = next(&mut slow).await;
        while !matches!(event(&mut events).await.unwrap(), ConsumerEvent::Lost(_)) {}
        let id = format!("copier of {}", world.topic);
        let producer = world.kafka.producer().transactional_id(&id);
        let producer = producer.build_transactional().await.unwrap();
        let tx = producer.begin().await.unwrap();
        let group = slow.group_metadata().unwrap();
        let error = tx.send_offsets(&group, [read.end()]).await.unwrap_err();
        assert!(error.requires_abort(), "{error}");
        tx.abort().await.unwrap();
        world.stop().await;
    }
}

#[tokio::test]
async fn who_does_not_let_go_in_time_stays_a_member() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 2).await;
        let build = async || {
            let builder = assigning(world.member(), protocol, Assignor::CooperativeSticky);
            builder.set("max.poll.interval.ms", "2000").build().await.unwrap()
        };
        let mut first = build().await;
        settle(&mut first, 2).await;
        let id = first.group_metadata().unwrap().committer.member;
        let mut events = first.events();
        let mut second = build().await;
        let mut held = None;
        // It asks again and again, so that it is not late, but never lets go.
        let taking = async {
            while second.assignment().is_empty() || first.assignment().len() != 1 {
                let a_moment = Duration::from_millis(20);
                let _ = tokio::time::timeout(a_moment, first.next_batch()).await;
                let _ = tokio::time::timeout(a_moment, second.next_batch()).await;
                while let Ok(Some(event)) =
                    tokio::time::timeout(Duration::ZERO, events.next()).await
                {
                    match event {
                        ConsumerEvent::Revoking(revocation) => held = Some(revocation),
                        ConsumerEvent::Assigned(_) => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
        };
        tokio::time::timeout(SOON, taking).await.unwrap();
        assert!(held.is_some());
        assert_eq!(first.group_metadata().unwrap().committer.member, id);
        world.stop().await;
    }
}

#[tokio::test]
async fn who_is_late_and_closed_at_once_has_left() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let mut slow = world.member().set("max.poll.interval.ms", "700").build().await.unwrap();
        let mut events = slow.events();
        next(&mut slow).await;
        while !matches!(event(&mut events).await.unwrap(), ConsumerEvent::PollIntervalExceeded) {}
        slow.close(SOON).await.unwrap();
        let described =
            world.kafka.admin().describe_groups(&[world.group.as_str().into()]).await.unwrap();
        let members = described[0].1.as_ref().map_or(0, |group| group.members.len());
        assert_eq!(members, 0, "it has left");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_log_that_was_cut_is_noticed() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        // Read from a leader that had more than this one.
        let outsider = world.kafka.consumer().group(&world.group).build().await.unwrap();
        let mut read = Position::new(world.topic.clone(), 0, 150);
        read.leader_epoch = Some(0);
        outsider.commit(read).await.unwrap();

        let strict = world.member().auto_offset_reset(OffsetReset::None);
        let mut strict = strict.auto_commit(false).build().await.unwrap();
        let told = tokio::time::timeout(SOON, strict.next_batch()).await.unwrap().unwrap_err();
        let Error::Truncated { offset: 150, end: 100, .. } = told else { panic!("{told}") };
        strict.seek(&world.topic, 0, Start::Offset(90)).unwrap();
        assert_eq!(next(&mut strict).await.records()[0].offset, 90);
        strict.close(SOON).await.unwrap();

        let mut consumer = world.member().build().await.unwrap();
        let mut events = consumer.events();
        settle(&mut consumer, 1).await;
        let reading = tokio::time::timeout(SOON, async {
            while consumer.position(&world.topic, 0) != Some(100) {
                let a_moment = Duration::from_millis(20);
                let _ = tokio::time::timeout(a_moment, consumer.next_batch()).await;
            }
        });
        reading.await.unwrap();
        world.produce(0, 10).await;
        assert_eq!(next(&mut consumer).await.records()[0].offset, 100, "where the logs part");
        let is_truncation = |event| matches!(event, Some(ConsumerEvent::Truncated { .. }));
        while !is_truncation(event(&mut events).await) {}
        world.stop().await;
    }
}
