//! A consumer and a broker that fails on purpose.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod support;

use std::time::Duration;

use klamm_broker::Broker;
use klamm_broker::faults::{ApiKey, ErrorCode, Fault};
use klamm_consumer::{ConsumeExt as _, GroupProtocol, Start};

use cluster::{Cluster, prompt};
use support::{SOON, World, next};

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
    consumer.close(SOON).await.unwrap();
    world.stop().await;
}
