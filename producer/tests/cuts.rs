//! A producer whose connections are cut, in front of a broker of this process.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::time::Duration;

use klamm_consumer::{ConsumeExt as _, Start};
use klamm_producer::{GroupMetadata, ProduceExt as _, Record};

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod place;
mod proxy;

use cluster::{Cluster, SOON, create, topic};
use place::{GENERATIONS, Place};
use proxy::Proxy;

/// A broker behind a proxy.
async fn behind(proxy: &Proxy) -> Cluster {
    Cluster::at(Some(proxy.broker().await), proxy.address())
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_neither_double_nor_lose_nor_reorder_records() {
    let proxy = Proxy::bind().await;
    let cluster = behind(&proxy).await;
    let kafka = cluster.connect().await;
    let name = cluster.name("cut");
    create(&kafka, topic(&kafka, &name, 2)).await;
    let builder = kafka.producer().batch_size(512).linger(Duration::ZERO);
    let producer = builder.set("retry.backoff.ms", "1").build().await.unwrap();
    proxy.cut_after(800..2_000);
    let mut deliveries = Vec::new();
    for number in 0..10_000u64 {
        let record = Record::to(name.as_str()).value(number.to_string());
        let record = record.partition(i32::try_from(number % 2).unwrap());
        deliveries.push(producer.enqueue(record).await.unwrap());
    }
    let delivered = async {
        for delivery in deliveries {
            delivery.await.unwrap();
        }
    };
    tokio::time::timeout(SOON, delivered).await.unwrap();
    assert!(proxy.cuts() > 5, "{} cuts", proxy.cuts());
    proxy.heal();
    let consumer = kafka.consumer().assign_topic(name.as_str(), Start::Earliest);
    let mut consumer = consumer.build().await.unwrap();
    let mut expected = [0, 1];
    while expected != [10_000, 10_001] {
        let batch = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap().unwrap();
        for record in batch {
            let next = &mut expected[usize::try_from(record.partition).unwrap()];
            assert_eq!(record.value.as_deref(), Some(next.to_string().as_bytes()));
            *next += 2;
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_change_nothing_of_what_is_seen() {
    for generation in GENERATIONS {
        let proxy = Proxy::bind().await;
        let place = Place::at("cut", behind(&proxy).await).await;
        let producer = place.producer(generation).await;
        let group = GroupMetadata::outsider(place.name.as_str());
        proxy.cut_after(800..3_000);
        let mut expected = Vec::new();
        for round in 0..60 {
            let tx = producer.begin().await.unwrap();
            for number in 0..5 {
                let value = format!("{round:02}-{number}");
                let record = place.record(&value).partition(number % 3);
                let delivery = tx.enqueue(record).await.unwrap();
                if number == 2 {
                    delivery.await.unwrap();
                }
                expected.extend((round % 3 != 0).then_some(value));
            }
            let offsets = [(place.name.as_str().into(), 0, i64::from(round).into())];
            tx.send_offsets(&group, offsets).await.unwrap();
            match round % 3 {
                0 if round % 2 == 0 => drop(tx),
                0 => tx.abort().await.unwrap(),
                _ => tx.commit().await.unwrap(),
            }
        }
        assert!(proxy.cuts() > 5, "{} cuts", proxy.cuts());
        proxy.heal();
        assert_eq!(place.committed().await, expected, "generation {generation}");
        producer.close(SOON).await.unwrap();
        place.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_fate_is_unknown_is_not_seen_and_the_next_ones_are() {
    for generation in GENERATIONS {
        let proxy = Proxy::bind().await;
        let place = Place::at("cut", behind(&proxy).await).await;
        let builder = place.builder(generation);
        let builder = builder.delivery_timeout(Duration::from_secs(1)).linger(Duration::ZERO);
        let builder = builder.set("request.timeout.ms", "1000");
        // The record after the cuts has no longer either until it counts as lost.
        let builder = builder.set("reconnect.backoff.max.ms", "50");
        let producer = builder.build_transactional().await.unwrap();
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("lost").partition(0)).await.unwrap();
        proxy.cut_after(0..1);
        let error = tx.send(place.record("unknown").partition(0)).await.unwrap_err();
        assert!(error.requires_abort() && error.possibly_written(), "{error}");
        proxy.heal();
        assert!(tx.commit().await.unwrap_err().requires_abort());
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("kept").partition(0)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(place.committed().await, ["kept"], "generation {generation}");
        place.end().await;
    }
}
