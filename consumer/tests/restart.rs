//! A broker that falls and comes back under a group.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod support;

use klamm_broker::Broker;
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{ConsumeExt as _, ConsumerEvent, GroupProtocol, Start};

use cluster::{Cluster, prompt};
use support::{SOON, World, event, next, protocols, settle};

#[tokio::test]
async fn members_go_on_without_a_rebalance_after_the_broker_has_crashed() {
    for protocol in protocols().await {
        let folder = tempfile::tempdir().unwrap();
        let builder =
            |address: &str| prompt(Broker::builder().data_dir(folder.path()).listen(address));
        let started = builder("127.0.0.1:0").start().await.unwrap();
        let mut world = World::at(Cluster::of(started), protocol, 2).await;
        let (mut one, mut two) =
            (world.member().build().await.unwrap(), world.stranger().await.build().await.unwrap());
        tokio::join!(settle(&mut one, 1), settle(&mut two, 1));
        for consumer in [&mut one, &mut two] {
            let mut offset = 0;
            while offset < 100 {
                let place = &consumer.assignment()[0];
                offset = consumer.position(&place.0, place.1).unwrap_or(0);
                if offset < 100 {
                    offset = next(consumer).await.end_offset();
                }
            }
            consumer.commit_delivered().await.unwrap();
        }
        let mut events = one.events();
        assert!(matches!(event(&mut events).await, Some(ConsumerEvent::Assigned(_))));

        let address = world.address.clone();
        world.broker.take().unwrap().kill().await;
        world.broker = Some(builder(&address).start().await.unwrap());
        world.kafka = Kafka::connect(ClientConfig::new(&address)).await.unwrap();
        for partition in 0..2 {
            world.produce(partition, 10).await;
        }
        for consumer in [&mut one, &mut two] {
            let batch = next(consumer).await;
            assert_eq!(batch.records()[0].offset, 100);
            consumer.commit(batch.end()).await.unwrap();
        }
        one.close(SOON).await.unwrap();
        two.close(SOON).await.unwrap();
        assert!(event(&mut events).await.is_none(), "it was not given up before");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_consumer_finds_a_broker_that_comes_back_where_it_was() {
    let started = prompt(Broker::builder().ephemeral()).start().await.unwrap();
    let mut world = World::at(Cluster::of(started), GroupProtocol::Classic, 1).await;
    let topic = world.topic.clone();
    let consumer = world.kafka.consumer().assign_topic(topic.clone(), Start::Earliest);
    let mut consumer = consumer.build().await.unwrap();
    for (end, ends_well) in [(100, false), (200, true), (300, false)] {
        while consumer.position(&topic, 0).unwrap_or(0) < end {
            next(&mut consumer).await;
        }
        let broker = world.broker.take().unwrap();
        let down = if ends_well { broker.stop().await } else { broker.kill().await };
        world.broker = Some(down.restart().await.unwrap());
        for _ in 0..10 {
            world.produce(0, 10).await;
        }
    }
    assert_eq!(next(&mut consumer).await.records()[0].offset, 300);
    consumer.close(SOON).await.unwrap();
    world.stop().await;
}
