//! A consumer and a broker that fails on purpose.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod support;

use std::time::Duration;

use klamm_broker::Broker;
use klamm_broker::faults::{ApiKey, ErrorCode, Fault};
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{ConsumeExt as _, Consumer, GroupProtocol, PartitionStream, Position, Start};
use klamm_producer::ProduceExt as _;

use cluster::{Cluster, prompt};
use support::{SOON, World, member, next, protocols, read};

#[tokio::test]
async fn each_record_is_read_once_whatever_happens_to_fetches() {
    let broker = prompt(Broker::builder().ephemeral()).start().await.unwrap();
    let world = World::at(Cluster::of(broker), GroupProtocol::Classic, 1).await;
    let faults = world.broker.as_ref().unwrap().faults();
    let struck = [
        Fault::error(ApiKey::Fetch, ErrorCode::NOT_LEADER_OR_FOLLOWER).partition(&world.topic, 0),
        Fault::error(ApiKey::Fetch, ErrorCode::FETCH_SESSION_ID_NOT_FOUND).after(1),
        Fault::lose_answer(ApiKey::Fetch).after(2),
        Fault::delay(ApiKey::Fetch, Duration::from_millis(1)),
    ]
    .map(|fault| faults.add(fault.times(2)).unwrap());
    let consumer = world.kafka.consumer().assign_topic(world.topic.clone(), Start::Earliest);
    let mut consumer = consumer.build().await.unwrap();
    let mut expected = 0;
    for round in 0..10 {
        while expected < 100 * (round + 1) {
            for record in next(&mut consumer).await.records() {
                assert_eq!(record.offset, expected);
                expected += 1;
            }
        }
        for _ in 0..10 {
            world.produce(0, 10).await;
        }
    }
    assert_eq!(struck.map(|fault| fault.strikes()), [2; 4]);
    consumer.close(Duration::MAX).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_committed_to_a_topic_that_was_made_anew() {
    let broker = prompt(Broker::builder().ephemeral()).start().await.unwrap();
    let world = World::at(Cluster::of(broker), GroupProtocol::Consumer, 1).await;
    // It does not make its topic anew itself.
    let config = ClientConfig::new(&world.address).set("allow.auto.create.topics", "false");
    let kafka = Kafka::connect(config).await.unwrap();
    let builder = member(&kafka, &world.group, world.protocol).subscribe([world.topic.clone()]);
    let builder = builder.auto_commit(false).set("default.api.timeout.ms", "300");
    let mut consumer = builder.build().await.unwrap();
    let batch = next(&mut consumer).await;
    consumer.commit(batch.end()).await.unwrap();
    let committed = async || {
        let reader = world.kafka.consumer().group(&world.group).build().await.unwrap();
        let found = reader.committed(&[world.place(0)]).await.unwrap();
        found[0].1.as_ref().unwrap().as_ref().map(|position| position.offset)
    };
    assert_eq!(committed().await, Some(batch.end_offset()), "by its id as well as by its name");
    // The member does not hear what has become of its topic.
    let deaf = Fault::lose_answer(ApiKey::ConsumerGroupHeartbeat);
    world.broker.as_ref().unwrap().faults().add(deaf).unwrap();
    let admin = world.kafka.admin();
    admin.delete_topics(std::slice::from_ref(&world.topic)).await.unwrap()[0].1.as_ref().unwrap();
    world.create(&world.topic, 1).await;
    let refused = consumer.commit(batch.end()).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::UNKNOWN_TOPIC_ID), "{refused}");
    assert_eq!(committed().await, None);
    world.stop().await;
}

/// It asked for the end only after it had heard that no record was that young.
#[tokio::test]
async fn what_is_written_while_a_time_is_looked_up_is_read() {
    let broker = prompt(Broker::builder().ephemeral()).start().await.unwrap();
    let world = World::at(Cluster::of(broker), GroupProtocol::Classic, 1).await;
    let slow = Fault::delay(ApiKey::ListOffsets, Duration::from_millis(200)).times(1);
    let slow = world.broker.as_ref().unwrap().faults().add(slow).unwrap();
    // Later than all that there is.
    let begin = Start::Timestamp(i64::MAX);
    let consumer = world.kafka.consumer().assign_topic(world.topic.clone(), begin);
    let mut consumer = consumer.build().await.unwrap();
    let (batch, ()) = tokio::join!(next(&mut consumer), async {
        while slow.strikes() == 0 {
            tokio::task::yield_now().await;
        }
        world.produce(0, 1).await;
    });
    assert_eq!(batch.records()[0].offset, 100);
    consumer.close(SOON).await.unwrap();
    world.stop().await;
}

/// What was fetched before the broker refused to go on was thrown away with it.
#[tokio::test]
async fn what_is_fetched_is_delivered_though_the_offset_behind_it_is_out_of_range() {
    let broker = prompt(Broker::builder().ephemeral()).start().await.unwrap();
    let world = World::at(Cluster::of(broker), GroupProtocol::Classic, 1).await;
    let faults = world.broker.as_ref().unwrap().faults();
    let refused = Fault::error(ApiKey::Fetch, ErrorCode::OFFSET_OUT_OF_RANGE).after(1).times(1);
    faults.add(refused.partition(&world.topic, 0)).unwrap();
    // The third one is sent by who has heard what became of the second.
    let third = faults.add(Fault::delay(ApiKey::Fetch, Duration::ZERO).after(2).times(1)).unwrap();
    let consumer = world.kafka.consumer().assign_topic(world.topic.clone(), Start::Earliest);
    let consumer = consumer.set("auto.offset.reset", "latest").set("fetch.max.bytes", "1");
    let mut consumer = consumer.build().await.unwrap();
    let told = async {
        while third.strikes() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, told).await.unwrap();
    let mut expected = 0;
    while expected < 100 {
        for record in next(&mut consumer).await.records() {
            assert_eq!(record.offset, expected);
            expected += 1;
        }
    }
    consumer.close(SOON).await.unwrap();
    world.stop().await;
}

/// It ended the consumer, or its partition, after one failure.
#[tokio::test]
async fn a_failure_that_the_broker_does_not_explain_is_one_to_be_tried_again() {
    for api in [
        ApiKey::Fetch,
        ApiKey::ListOffsets,
        ApiKey::OffsetFetch,
        ApiKey::JoinGroup,
        ApiKey::SyncGroup,
        ApiKey::Heartbeat,
    ] {
        let broker = prompt(Broker::builder().ephemeral()).start().await.unwrap();
        let world = World::at(Cluster::of(broker), GroupProtocol::Classic, 1).await;
        let failure = Fault::error(api, ErrorCode::UNKNOWN_SERVER_ERROR).times(1);
        let failure = world.broker.as_ref().unwrap().faults().add(failure).unwrap();
        let mut consumer = world.member().build().await.unwrap();
        let mut expected = 0;
        while expected < 100 {
            for record in next(&mut consumer).await.records() {
                assert_eq!(record.offset, expected);
                expected += 1;
            }
        }
        let struck = tokio::time::timeout(SOON, failure.struck(1));
        struck.await.unwrap_or_else(|_| panic!("{api:?} was never asked"));
        world.produce(0, 1).await;
        assert_eq!(next(&mut consumer).await.records()[0].offset, 100, "after {api:?} has failed");
        world.stop().await;
    }
}

/// It was asked for again and again, and only the log's most talkative readers heard of it.
#[tokio::test]
async fn a_batch_that_is_damaged_at_the_broker_is_told_after_those_before_it() {
    let broker = prompt(Broker::builder().ephemeral()).start().await.unwrap();
    let world = World::at(Cluster::of(broker), GroupProtocol::Classic, 1).await;
    let damaged = Fault::error(ApiKey::Fetch, ErrorCode::CORRUPT_MESSAGE).after(1);
    let damaged = world.broker.as_ref().unwrap().faults().add(damaged).unwrap();
    let consumer = world.kafka.consumer().assign_topic(world.topic.clone(), Start::Earliest);
    let mut consumer = consumer.set("fetch.max.bytes", "1").build().await.unwrap();
    // Who asks a second time has heard what became of the first.
    tokio::time::timeout(SOON, damaged.struck(2)).await.unwrap();
    assert_eq!(next(&mut consumer).await.records()[0].offset, 0);
    let told = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap().unwrap_err();
    assert_eq!(told.code(), Some(ErrorCode::CORRUPT_MESSAGE), "{told}");
    let position = consumer.position(&world.topic, 0);
    assert_eq!(position, Some(10), "where the damage is");
    damaged.remove();
    consumer.seek(&world.topic, 0, Start::Offset(20)).unwrap();
    assert_eq!(next(&mut consumer).await.records()[0].offset, 20, "past it");
    world.stop().await;
}

/// Each answer about it had the fetcher of another partition ring, and that had it asked for again
/// at once.
#[tokio::test]
async fn a_partition_that_nobody_leads_is_asked_for_only_when_its_pause_is_over() {
    let broker = prompt(Broker::builder().ephemeral()).start().await.unwrap();
    let world = World::at(Cluster::of(broker), GroupProtocol::Classic, 1).await;
    let faults = world.broker.as_ref().unwrap().faults();
    for is_known in [true, false] {
        // Longer than the test takes, so that there is one question.
        let config = ClientConfig::new(&world.address)
            .set("retry.backoff.ms", "3600000")
            .set("retry.backoff.max.ms", "3600000");
        let kafka = Kafka::connect(config).await.unwrap();
        if is_known {
            kafka.refresh(Some(std::slice::from_ref(&world.topic))).await.unwrap();
        }
        let asked = faults.add(Fault::delay(ApiKey::Metadata, Duration::ZERO)).unwrap();
        let consumer = kafka.consumer().assign(world.topic.clone(), 0, Start::Earliest);
        let consumer = consumer.assign(world.topic.clone(), 7, Start::Earliest);
        // Each batch takes a request.
        let mut consumer = consumer.set("fetch.max.bytes", "1").build().await.unwrap();
        read(&mut consumer, 100).await;
        assert_eq!(asked.strikes(), 1, "the topic was known before: {is_known}");
        asked.remove();
    }
    world.stop().await;
}

async fn partition(consumer: &mut Consumer) -> PartitionStream {
    tokio::time::timeout(SOON, consumer.partitions().next()).await.unwrap().unwrap()
}

/// A member that has lost its partition and has it again is one whose commits the group takes.
#[tokio::test]
async fn what_a_stream_has_lost_is_committed_with_no_transaction() {
    for protocol in protocols().await {
        let broker = prompt(Broker::builder().ephemeral()).start().await.unwrap();
        let world = World::at(Cluster::of(broker), protocol, 1).await;
        let mut consumer = world.member().auto_commit(false).build().await.unwrap();
        let mut lost = partition(&mut consumer).await;
        let read = tokio::time::timeout(SOON, lost.next_batch()).await.unwrap().unwrap().unwrap();
        let fenced = match protocol {
            GroupProtocol::Classic => {
                Fault::error(ApiKey::Heartbeat, ErrorCode::ILLEGAL_GENERATION)
            }
            GroupProtocol::Consumer => {
                Fault::error(ApiKey::ConsumerGroupHeartbeat, ErrorCode::FENCED_MEMBER_EPOCH)
            }
        };
        world.broker.as_ref().unwrap().faults().add(fenced.times(1)).unwrap();
        let regained = partition(&mut consumer).await;
        let id = format!("copier of {}", world.topic);
        let producer = world.kafka.producer().transactional_id(&id);
        let producer = producer.build_transactional().await.unwrap();
        let tx = producer.begin().await.unwrap();
        let group = consumer.group_metadata().unwrap();
        let error = tx.send_offsets(&group, [read.end()]).await.unwrap_err();
        assert!(error.requires_abort(), "{error}");
        tx.abort().await.unwrap();
        drop(lost);
        let tx = producer.begin().await.unwrap();
        let group = consumer.group_metadata().unwrap();
        let position = Position::new(regained.topic().clone(), regained.partition(), 10);
        tx.send_offsets(&group, [position]).await.unwrap();
        tx.commit().await.unwrap();
        world.stop().await;
    }
}
