//! A producer against a real cluster.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use futures_sink::Sink as _;
use klamm_client::Kafka;
use klamm_consumer::{ConsumeExt as _, ConsumerRecord, Start};
use klamm_producer::{Acks, Compression, Partitioner, ProduceExt as _, Record, TryEnqueueError};
use klamm_protocol::error_code::ErrorCode;
use klamm_utils::random::Random;

use cluster::{Cluster, SOON, create, topic};

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;

async fn start() -> (Cluster, Kafka) {
    let cluster = Cluster::start().await;
    let kafka = cluster.connect().await;
    (cluster, kafka)
}

/// The first `count` records of a topic, by partition.
async fn read(kafka: &Kafka, topic: &str, count: usize) -> BTreeMap<i32, Vec<ConsumerRecord>> {
    let builder = kafka.consumer().assign_topic(topic, Start::Earliest);
    let mut consumer = builder.build().await.unwrap();
    let (mut partitions, mut read) = (BTreeMap::<_, Vec<_>>::new(), 0);
    while read < count {
        let batch = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap().unwrap();
        read += batch.records().len();
        partitions.entry(batch.partition()).or_default().extend(batch);
    }
    assert_eq!(read, count);
    partitions
}

fn numbers(records: &[ConsumerRecord]) -> Vec<u64> {
    let number = |record: &ConsumerRecord| {
        String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap().parse().unwrap()
    };
    records.iter().map(number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_come_back_as_they_went_in_every_compression() {
    let (cluster, kafka) = start().await;
    for compression in Compression::ALL {
        let name = cluster.name(compression.name());
        create(&kafka, topic(&kafka, &name, 1).config("retention.ms", "-1")).await;
        let producer = kafka.producer().compression(compression).build().await.unwrap();
        let record = |number: i64| {
            let record =
                Record::to(name.as_str()).value(number.to_string()).timestamp(1_000 + number);
            if number % 2 == 0 { record.key("even").header("trace", "7") } else { record }
        };
        let stored = producer.send_all((0..500).map(record)).await;
        for (number, stored) in (0..).zip(stored) {
            let stored = stored.unwrap();
            assert_eq!((stored.offset, stored.timestamp), (Some(number), 1_000 + number));
        }
        let partitions = read(&kafka, &name, 500).await;
        assert_eq!(numbers(&partitions[&0]), (0..500).collect::<Vec<_>>());
        for (number, read) in (0..).zip(&partitions[&0]) {
            let sent = record(number);
            assert_eq!((read.offset, read.timestamp), (number, 1_000 + number));
            assert_eq!(
                (read.key.as_ref(), read.value.as_ref()),
                (sent.key_bytes(), sent.value_bytes())
            );
            assert_eq!(read.headers.len(), usize::from(number % 2 == 0));
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_choose_their_partitions() {
    let (cluster, kafka) = start().await;
    let name = cluster.name("keys");
    create(&kafka, topic(&kafka, &name, 10)).await;
    // FNV-1a: |-468965076| and |-1080231576|. MurmurHash 2: 479470107. CRC-32: 0xcbf43926.
    for (partitioner, key, partition) in [
        (Partitioner::Fnv1a, "a", 6),
        (Partitioner::Fnv1a, "foobar", 6),
        (Partitioner::Murmur2, "abc", 7),
        (Partitioner::Crc32, "123456789", 2),
    ] {
        let producer = kafka.producer().partitioner(partitioner).build().await.unwrap();
        let stored = producer.send(Record::to(name.as_str()).key(key).value("v")).await.unwrap();
        assert_eq!(stored.partition, partition, "{key}");
    }
    cluster.stop().await;
}

/// Eight of these records are as much as a batch may hold, though each has one of its own.
#[tokio::test(flavor = "multi_thread")]
async fn records_without_a_key_reach_all_partitions_however_slowly_they_come() {
    let (cluster, kafka) = start().await;
    let name = cluster.name("keyless");
    create(&kafka, topic(&kafka, &name, 6)).await;
    let builder = kafka.producer().batch_size(64 << 10).linger(Duration::ZERO);
    let producer = builder.build().await.unwrap();
    let mut partitions = Vec::new();
    for _ in 0..64 {
        let record = Record::to(name.as_str()).value(vec![b'x'; 8 << 10]);
        partitions.push(producer.send(record).await.unwrap().partition);
    }
    for (batch, next) in partitions.chunks(8).zip(partitions.chunks(8).skip(1)) {
        assert!(batch.iter().all(|partition| *partition == batch[0]), "{partitions:?}");
        assert_ne!(batch[0], next[0], "{partitions:?}");
    }
    cluster.stop().await;
}

/// The seven records of the first batch and the first of the second are as much as a batch may hold.
#[tokio::test(flavor = "multi_thread")]
async fn records_without_a_key_fill_a_batch_that_is_open_first() {
    let (cluster, kafka) = start().await;
    let name = cluster.name("open");
    create(&kafka, topic(&kafka, &name, 6)).await;
    let builder = kafka.producer().batch_size(64 << 10).linger(Duration::from_secs(600));
    let producer = builder.build().await.unwrap();
    let mut partitions = Vec::new();
    for batch in [7, 3, 1] {
        let record = || Record::to(name.as_str()).value(vec![b'x'; 8 << 10]);
        let mut deliveries = Vec::new();
        for _ in 0..batch {
            deliveries.push(producer.enqueue(record()).await.unwrap());
        }
        producer.flush().await;
        for delivery in deliveries {
            partitions.push(delivery.await.unwrap().partition);
        }
    }
    assert!(partitions[..10].iter().all(|partition| *partition == partitions[0]));
    assert_ne!(partitions[10], partitions[0]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_too_large_goes_in_parts() {
    let (cluster, kafka) = start().await;
    let name = cluster.name("small");
    create(&kafka, topic(&kafka, &name, 1).config("max.message.bytes", "1000")).await;
    let producer = kafka.producer().linger(Duration::from_millis(50)).build().await.unwrap();
    let record = |number: u64| Record::to(name.as_str()).value(format!("{number:0100}"));
    let stored = producer.send_all((0..100).map(record)).await;
    for (number, stored) in (0..).zip(stored) {
        assert_eq!(stored.unwrap().offset, Some(number));
    }
    let error =
        producer.send(Record::to(name.as_str()).value(vec![b'x'; 2_000])).await.unwrap_err();
    assert!(!error.possibly_written(), "{error}");
    // What follows a record that was refused is numbered anew, and goes in.
    assert_eq!(producer.send(record(100)).await.unwrap().offset, Some(100));
    assert_eq!(numbers(&read(&kafka, &name, 101).await[&0]), (0..=100).collect::<Vec<_>>());
    cluster.stop().await;
}

/// What compresses well is split by its records, until it fits as it is compressed.
#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_batch_that_is_too_large_goes_in_parts() {
    let (cluster, kafka) = start().await;
    for compression in Compression::ALL {
        let name = cluster.name(&format!("parts-{}", compression.name()));
        create(&kafka, topic(&kafka, &name, 1).config("max.message.bytes", "2000")).await;
        let builder = kafka.producer().compression(compression).linger(SOON);
        let producer = builder.build().await.unwrap();
        let mut random = Random::seeded(7);
        let mut deliveries = Vec::new();
        for number in 0..50u64 {
            // Half of it cannot be compressed.
            let value = (0..8).map(|_| random.bits().to_be_bytes());
            let value = value.flat_map(|bits| [bits, [0; 8]]).flatten().collect::<Vec<_>>();
            let record = Record::to(name.as_str()).key(number.to_string()).value(value);
            deliveries.push(producer.enqueue(record).await.unwrap());
        }
        producer.flush().await;
        for (offset, delivery) in (0..).zip(deliveries) {
            assert_eq!(delivery.await.unwrap().offset, Some(offset), "{compression:?}");
        }
        let done = producer.metrics();
        assert!(done.splits > 0 && done.batches > 1 && done.records == 50, "{done:?}");
        assert_eq!(read(&kafka, &name, 50).await[&0].len(), 50);
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_takes_records_as_fast_as_there_is_room() {
    let (cluster, kafka) = start().await;
    let name = cluster.name("sink");
    create(&kafka, topic(&kafka, &name, 1).config("max.message.bytes", "1000")).await;
    let producer = kafka.producer().buffer_memory(2_000).build().await.unwrap();
    let mut sink = pin!(producer.sink());
    for number in 0..100 {
        poll_fn(|context| sink.as_mut().poll_ready(context)).await.unwrap();
        let record = Record::to(name.as_str()).value(format!("{number:0100}"));
        sink.as_mut().start_send(record).unwrap();
    }
    poll_fn(|context| sink.as_mut().poll_flush(context)).await.unwrap();
    assert_eq!(numbers(&read(&kafka, &name, 100).await[&0]), (0..100).collect::<Vec<_>>());

    let large = Record::to(name.as_str()).value(vec![b'x'; 1_500]);
    sink.as_mut().start_send(large).unwrap();
    let error = poll_fn(|context| sink.as_mut().poll_flush(context)).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::MESSAGE_TOO_LARGE), "{error}");
    sink.as_mut().start_send(Record::to(name.as_str()).value("100")).unwrap();
    poll_fn(|context| sink.as_mut().poll_close(context)).await.unwrap();
    assert_eq!(numbers(&read(&kafka, &name, 101).await[&0]), (0..=100).collect::<Vec<_>>());
    // The sink is closed, and the producer is not.
    producer.send(Record::to(name.as_str()).value("101")).await.unwrap();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledgement_level_stores() {
    let (cluster, kafka) = start().await;
    let name = cluster.name("acks");
    create(&kafka, topic(&kafka, &name, 1)).await;
    for (acks, offset) in [(Acks::None, None), (Acks::Leader, Some(1)), (Acks::All, Some(2))] {
        let producer = kafka.producer().acks(acks).build().await.unwrap();
        let stored = producer.send(Record::to(name.as_str()).value("1")).await.unwrap();
        assert_eq!(stored.offset, offset);
        // Nobody acknowledges the first: it is there when it can be read.
        let count = usize::try_from(offset.unwrap_or(0) + 1).unwrap();
        assert_eq!(read(&kafka, &name, count).await[&0].len(), count);
    }
    cluster.stop().await;
}

/// It was refused until the topic was asked for anew anyway, after five minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_new_takes_records_soon() {
    let (cluster, kafka) = start().await;
    let name = cluster.name("grows");
    create(&kafka, topic(&kafka, &name, 1)).await;
    let producer = kafka.producer().build().await.unwrap();
    let to = |partition| Record::to(name.as_str()).partition(partition).value("a");
    producer.send(to(0)).await.unwrap();
    let refused = producer.send(to(3)).await.unwrap_err();
    assert!(matches!(refused, klamm_client::Error::NoPartition { count: 1, .. }), "{refused}");
    let grown = kafka.admin().create_partitions(&[(name.as_str().into(), 4)]).await.unwrap();
    assert!(grown.into_iter().all(|(_, grown)| grown.is_ok()));
    // It is asked for anew after a pause, and brokers hear of it a little after it is answered.
    let stored = async {
        loop {
            match producer.send(to(3)).await {
                Err(klamm_client::Error::NoPartition { .. }) => tokio::task::yield_now().await,
                stored => return stored.unwrap(),
            }
        }
    };
    assert_eq!(tokio::time::timeout(SOON, stored).await.unwrap().partition, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_comes_back() {
    let (cluster, kafka) = start().await;
    let name = cluster.name("full");
    create(&kafka, topic(&kafka, &name, 1)).await;
    let builder = kafka.producer().buffer_memory(1_000).linger(Duration::from_secs(600));
    let producer = builder.build().await.unwrap();
    let record = || Record::to(name.as_str()).value(vec![b'1'; 500]);
    let unknown = producer.try_enqueue(record()).unwrap_err();
    assert!(matches!(unknown, TryEnqueueError::UnknownTopic(_)));
    let first = producer.enqueue(unknown.into_record()).await.unwrap();
    let full = producer.try_enqueue(record()).unwrap_err();
    assert!(matches!(full, TryEnqueueError::Full(_)));
    assert_eq!(full.into_record(), record());
    producer.flush().await;
    assert_eq!(first.await.unwrap().offset, Some(0));
    let second = producer.try_enqueue(record()).unwrap();
    producer.close(SOON).await.unwrap();
    assert_eq!(second.await.unwrap().offset, Some(1));
    let closed = producer.enqueue(record()).await.unwrap_err();
    assert!(closed.is_fatal());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_producer_sends_what_it_accepted() {
    let (cluster, kafka) = start().await;
    let name = cluster.name("drop");
    create(&kafka, topic(&kafka, &name, 1)).await;
    let producer = kafka.producer().linger(Duration::from_secs(600)).build().await.unwrap();
    let delivery = producer.enqueue(Record::to(name.as_str()).value("1")).await.unwrap();
    drop(producer);
    assert_eq!(delivery.await.unwrap().offset, Some(0));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_cannot_wait_leaves_nobody_waiting() {
    let (cluster, kafka) = start().await;
    let name = cluster.name("hasty");
    create(&kafka, topic(&kafka, &name, 1)).await;
    for _ in 0..20 {
        let producer = kafka.producer().linger(Duration::from_secs(600)).build().await.unwrap();
        let lost = producer.enqueue(Record::to(name.as_str()).value("1")).await.unwrap();
        drop(producer.close(Duration::ZERO).await);
        // It is told though the producer lives on.
        drop(tokio::time::timeout(SOON, lost).await.unwrap());
        tokio::time::timeout(SOON, producer.flush()).await.unwrap();
        let done = producer.metrics();
        assert_eq!((done.queue_batches, done.queue_bytes), (0, 0));
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_batch_is_sent_by_whom_it_was_filled_by() {
    let (cluster, kafka) = start().await;
    let name = cluster.name("at-once");
    create(&kafka, topic(&kafka, &name, 1)).await;
    let producer = kafka.producer().linger(Duration::ZERO).build().await.unwrap();
    let record = || Record::to(name.as_str()).value("1");
    producer.send(record()).await.unwrap();
    // One thread, which gives no task a turn.
    let before = producer.metrics().requests;
    let delivery = producer.try_enqueue(record()).unwrap();
    assert_eq!(producer.metrics().requests, before + 1);
    assert_eq!(delivery.await.unwrap().offset, Some(1));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_that_produce_at_once_lose_nothing_and_keep_their_order() {
    const THREADS: u64 = 4;
    const RECORDS: u64 = 5_000;
    let (cluster, kafka) = start().await;
    for linger in [Duration::ZERO, Duration::from_millis(5)] {
        let name = cluster.name(&format!("threads-{}", linger.as_millis()));
        create(&kafka, topic(&kafka, &name, i32::try_from(THREADS).unwrap())).await;
        let builder = kafka.producer().linger(linger).buffer_memory(100_000);
        let producer = builder.set("batch.size", "2000").build().await.unwrap();
        let warm = Record::to(name.as_str()).partition(0).value("0");
        producer.send(warm).await.unwrap();
        let threads = (0..THREADS).map(|thread| {
            let (producer, name) = (producer.clone(), name.clone());
            let partition = i32::try_from(thread).unwrap();
            std::thread::spawn(move || {
                for number in 1..=RECORDS {
                    let value = number.to_string();
                    let mut record = Record::to(name.as_str()).partition(partition).value(value);
                    while let Err(full) = producer.try_enqueue(record) {
                        assert!(matches!(full, TryEnqueueError::Full(_)), "{full}");
                        record = full.into_record();
                        std::thread::yield_now();
                    }
                }
            })
        });
        let threads: Vec<_> = threads.collect();
        let count = usize::try_from(THREADS * RECORDS + 1).unwrap();
        let mut partitions = read(&kafka, &name, count).await;
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        partitions.get_mut(&0).unwrap().remove(0);
        for records in partitions.values() {
            assert_eq!(numbers(records), (1..=RECORDS).collect::<Vec<_>>());
        }
        producer.close(SOON).await.unwrap();
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_the_room_that_is_waited_for_does_not_linger() {
    let (cluster, kafka) = start().await;
    let name = cluster.name("room");
    create(&kafka, topic(&kafka, &name, 3)).await;
    let builder = kafka.producer().buffer_memory(1_000).linger(Duration::from_secs(600));
    let producer = builder.build().await.unwrap();
    let record =
        |number: i32| Record::to(name.as_str()).partition(number % 3).value(vec![b'1'; 600]);
    let enqueued = async {
        for number in 0..9 {
            drop(producer.enqueue(record(number)).await.unwrap());
        }
    };
    tokio::time::timeout(SOON, enqueued).await.unwrap();
    let mut sink = pin!(producer.sink());
    sink.as_mut().start_send(record(9)).unwrap();
    let flushed = poll_fn(|context| sink.as_mut().poll_flush(context));
    tokio::time::timeout(SOON, flushed).await.unwrap().unwrap();
    assert_eq!(read(&kafka, &name, 10).await.len(), 3);
    cluster.stop().await;
}
