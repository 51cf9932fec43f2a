//! A consumer against a real cluster.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream as _;
use klamm_client::Kafka;
use klamm_consumer::{ConsumeExt as _, Consumer, Error, OffsetReset, Start};
use klamm_producer::{ProduceExt as _, Record};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;

use cluster::{Cluster, SOON, create};

/// A cluster with a topic whose partitions each hold the offsets 0 to 99 in ten batches, with
/// timestamps from 1,000 on.
async fn start(partitions: i32) -> (Cluster, Kafka, Str) {
    let cluster = Cluster::start().await;
    let kafka = cluster.connect().await;
    let topic: Str = cluster.name("t").into();
    let kept = cluster::topic(&kafka, &topic, partitions).config("retention.ms", "-1");
    create(&kafka, kept).await;
    fill(&kafka, &topic, partitions, 0..100).await;
    (cluster, kafka, topic)
}

async fn fill(kafka: &Kafka, topic: &Str, partitions: i32, offsets: std::ops::Range<i64>) {
    let producer = kafka.producer().linger(Duration::from_secs(600)).build().await.unwrap();
    for offset in offsets {
        for partition in 0..partitions {
            let record = Record::to(topic.clone()).value(offset.to_string()).partition(partition);
            drop(producer.enqueue(record.timestamp(1_000 + offset)).await.unwrap());
        }
        if offset % 10 == 9 {
            producer.flush().await;
        }
    }
    producer.close(SOON).await.unwrap();
}

/// The offset of the next record, from whichever partition.
async fn next(consumer: &mut Consumer) -> i64 {
    let batch = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap().unwrap();
    batch.records()[0].offset
}

#[tokio::test]
async fn every_start_is_found() {
    let (cluster, kafka, topic) = start(1).await;
    for (begin, offset) in [
        (Start::Earliest, 0),
        (Start::Offset(57), 57),
        (Start::Timestamp(1_042), 42),
        (Start::Timestamp(0), 0),
    ] {
        let builder = kafka.consumer().assign(topic.clone(), 0, begin);
        let mut consumer = builder.build().await.unwrap();
        assert_eq!(next(&mut consumer).await, offset, "{begin:?}");
        let end = offset / 10 * 10 + 10;
        assert_eq!(consumer.position(&topic, 0), Some(end));
        assert_eq!(consumer.lag(&topic, 0), Some(100 - end));
    }
    for begin in [Start::Latest, Start::Timestamp(99_999), Start::Offset(100)] {
        let builder = kafka.consumer().assign(topic.clone(), 0, begin);
        let mut consumer = builder.build().await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(50), consumer.next_batch()).await;
        assert!(waiting.is_err(), "{begin:?}");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_consumer_at_the_end_gets_what_comes() {
    let (cluster, kafka, topic) = start(1).await;
    let builder = kafka.consumer().assign(topic.clone(), 0, Start::Offset(100));
    let mut consumer = builder.build().await.unwrap();
    let (offset, ()) = tokio::join!(next(&mut consumer), fill(&kafka, &topic, 1, 100..110));
    assert_eq!(offset, 100);
    cluster.stop().await;
}

#[tokio::test]
async fn a_seek_forgets_what_was_fetched() {
    let (cluster, kafka, topic) = start(1).await;
    let builder = kafka.consumer().assign_topic(topic.clone(), Start::Earliest);
    let mut consumer = builder.build().await.unwrap();
    for (begin, offset) in [
        (Start::Offset(95), 95),
        (Start::Offset(5), 5),
        (Start::Timestamp(1_033), 33),
        (Start::Earliest, 0),
    ] {
        consumer.seek(&topic, 0, begin).unwrap();
        assert_eq!(next(&mut consumer).await, offset);
    }
    let error = consumer.seek(&topic, 7, Start::Earliest).unwrap_err();
    assert!(matches!(error, Error::NotAssigned { .. }), "{error}");
    cluster.stop().await;
}

#[tokio::test]
async fn a_paused_partition_is_silent_and_the_others_take_turns() {
    let (cluster, kafka, topic) = start(3).await;
    let builder = kafka.consumer().assign_topic(topic.clone(), Start::Earliest);
    let mut consumer = builder.build().await.unwrap();
    consumer.pause(&topic, 1).unwrap();
    let mut read = [0; 3];
    while read != [100, 0, 100] {
        let batch = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap().unwrap();
        read[usize::try_from(batch.partition()).unwrap()] += batch.records().len();
    }
    consumer.resume(&topic, 1).unwrap();
    while read != [100, 100, 100] {
        let batch = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap().unwrap();
        assert_eq!(batch.partition(), 1);
        read[1] += batch.records().len();
    }
    cluster.stop().await;
}

#[tokio::test]
async fn what_a_stream_has_left_of_a_partition_that_is_paused_waits() {
    let (cluster, kafka, topic) = start(2).await;
    for by_stream in [false, true] {
        let builder = kafka.consumer().assign_topic(topic.clone(), Start::Earliest);
        let mut consumer = builder.build().await.unwrap();
        let record = async |consumer: &mut Consumer| {
            let mut stream = consumer.stream();
            let record = poll_fn(|context| Pin::new(&mut stream).poll_next(context));
            tokio::time::timeout(SOON, record).await.unwrap().unwrap().unwrap()
        };
        let paused = record(&mut consumer).await.partition;
        for offset in 1..5 {
            assert_eq!(record(&mut consumer).await.offset, offset);
        }
        consumer.pause(&topic, paused).unwrap();
        let mut read = 0;
        while read < 100 {
            let partition = if by_stream {
                read += 1;
                record(&mut consumer).await.partition
            } else {
                let batch = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap();
                let batch = batch.unwrap();
                read += batch.records().len();
                batch.partition()
            };
            assert_eq!(partition, 1 - paused, "by a stream: {by_stream}");
        }
        consumer.resume(&topic, paused).unwrap();
        let batch = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap().unwrap();
        let resumed = (batch.partition(), batch.records()[0].offset);
        assert_eq!(resumed, (paused, 5), "by a stream: {by_stream}");
    }
    cluster.stop().await;
}

/// While a partition is full, nothing is asked for; one that is paused keeps nobody waiting, though
/// the application asks for nothing.
#[tokio::test]
async fn a_full_partition_that_is_paused_lets_the_others_be_fetched() {
    let (cluster, kafka, topic) = start(2).await;
    let builder = kafka.consumer().assign(topic.clone(), 0, Start::Earliest);
    let builder = builder.assign(topic.clone(), 1, Start::Latest);
    // Whatever there is fills the first.
    let mut consumer = builder.set("max.partition.fetch.bytes", "1").build().await.unwrap();
    let heard = async |partition, end| {
        let heard = async {
            while consumer.high_watermark(&topic, partition) != Some(end) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, heard).await.unwrap();
    };
    heard(0, 100).await;
    let producer = kafka.producer().build().await.unwrap();
    producer.send(Record::to(topic.clone()).partition(1).value("new")).await.unwrap();
    consumer.pause(&topic, 0).unwrap();
    heard(1, 101).await;
    assert_eq!(next(&mut consumer).await, 100);
    cluster.stop().await;
}

#[tokio::test]
async fn an_offset_that_is_not_there_follows_the_policy() {
    let (cluster, kafka, topic) = start(1).await;
    let build = |policy| {
        let builder = kafka.consumer().assign(topic.clone(), 0, Start::Offset(5_000));
        builder.auto_offset_reset(policy).build()
    };
    let mut consumer = build(OffsetReset::Earliest).await.unwrap();
    assert_eq!(next(&mut consumer).await, 0);
    let mut consumer = build(OffsetReset::None).await.unwrap();
    let told = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap();
    assert_eq!(told.unwrap_err().code(), Some(ErrorCode::OFFSET_OUT_OF_RANGE));
    consumer.seek(&topic, 0, Start::Offset(99)).unwrap();
    assert_eq!(next(&mut consumer).await, 99);

    // All that is there is of 1970.
    let producer = kafka.producer().build().await.unwrap();
    producer.send(Record::to(topic.clone()).partition(0).value("new")).await.unwrap();
    let builder = kafka.consumer().assign(topic.clone(), 0, Start::Offset(5_000));
    let builder = builder.set("auto.offset.reset", "by_duration:PT1H");
    assert_eq!(next(&mut builder.build().await.unwrap()).await, 100);
    cluster.stop().await;
}

#[tokio::test]
async fn a_stream_gives_record_by_record() {
    let (cluster, kafka, topic) = start(1).await;
    let builder = kafka.consumer().assign(topic.clone(), 0, Start::Offset(15));
    let mut consumer = builder.build().await.unwrap();
    let mut stream = consumer.stream();
    for offset in 15..100 {
        let record = poll_fn(|context| Pin::new(&mut stream).poll_next(context));
        let record = tokio::time::timeout(SOON, record).await.unwrap().unwrap().unwrap();
        assert_eq!((record.offset, record.timestamp), (offset, 1_000 + offset));
        assert_eq!(record.value.as_deref(), Some(offset.to_string().as_bytes()));
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_new_assignment_replaces_the_old_one() {
    let (cluster, kafka, topic) = start(2).await;
    let builder = kafka.consumer().assign(topic.clone(), 0, Start::Earliest);
    let mut consumer = builder.build().await.unwrap();
    assert_eq!(next(&mut consumer).await, 0);
    consumer.assign([(topic.clone(), 1, Start::Offset(50))]).unwrap();
    assert_eq!(consumer.assignment(), [(topic.clone(), 1)]);
    assert_eq!(next(&mut consumer).await, 50);
    assert_eq!(consumer.position(&topic, 0), None);
    cluster.stop().await;
}

/// It was left to a task that had just decided to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_goes_and_comes_back_at_once_is_read_on() {
    let (cluster, kafka, topic) = start(1).await;
    let consumer = kafka.consumer().assign(topic.clone(), 0, Start::Earliest);
    // One answer fills the partition: nobody waits for a broker.
    let consumer = consumer.set("max.partition.fetch.bytes", "1").build().await.unwrap();
    for round in 0..1_000 {
        let read = async {
            while consumer.high_watermark(&topic, 0).is_none() {
                tokio::task::yield_now().await;
            }
        };
        let read = tokio::time::timeout(SOON / 2, read).await;
        assert!(read.is_ok(), "left unread in round {round}");
        consumer.assign([]).unwrap();
        for _ in 0..round * 10 {
            std::hint::spin_loop();
        }
        consumer.assign([(topic.clone(), 0, Start::Offset(0))]).unwrap();
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_partition_that_is_not_there_yet_is_waited_for() {
    let (cluster, kafka, topic) = start(1).await;
    let build = async |partition| {
        let builder = kafka.consumer().assign(topic.clone(), partition, Start::Earliest);
        builder.build().await.unwrap()
    };
    let mut early = build(1).await;
    let waiting = tokio::time::timeout(Duration::from_millis(50), early.next_batch()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    let grown = kafka.admin().create_partitions(&[(topic.clone(), 2)]).await.unwrap();
    grown[0].1.as_ref().unwrap();
    // Another client, which knows the topic as it is now.
    let other = cluster.connect().await;
    fill(&other, &topic, 2, 0..10).await;
    assert_eq!(next(&mut early).await, 0);
    // And who waits for what never comes can be closed.
    let never = build(99).await;
    let waiting = tokio::time::timeout(Duration::from_millis(50), early.next_batch()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    tokio::time::timeout(SOON, never.close(2 * SOON)).await.unwrap().unwrap();
    cluster.stop().await;
}
