//! A producer and a broker that fails on purpose.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may fail")]

use std::time::Duration;

use klamm_broker::Broker;
use klamm_broker::faults::{ApiKey, ErrorCode, Fault};
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{ConsumeExt as _, Start};
use klamm_producer::{Acks, ProduceExt as _, Record, TryEnqueueError};
use klamm_utils::random::Random;

/// How long anything may take.
const SOON: Duration = Duration::from_secs(60);

async fn start() -> (Broker, Kafka) {
    let broker = Broker::builder().ephemeral().start().await.unwrap();
    let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await.unwrap();
    (broker, kafka)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_survives_too_few_replicas() {
    let (broker, kafka) = start().await;
    let fault = Fault::error(ApiKey::Produce, ErrorCode::NOT_ENOUGH_REPLICAS).times(2);
    let fault = broker.faults().add(fault).unwrap();
    let producer = kafka.producer().build().await.unwrap();
    let stored = producer.send(Record::to("orders").value("one")).await.unwrap();
    assert_eq!((stored.offset, fault.strikes()), (Some(0), 2));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_stored_once_though_its_answer_is_lost() {
    let (broker, kafka) = start().await;
    let producer = kafka.producer().build().await.unwrap();
    producer.send(Record::to("orders").value("one")).await.unwrap();
    let lost = broker.faults().add(Fault::lose_answer(ApiKey::Produce).times(2)).unwrap();
    let stored = producer.send(Record::to("orders").value("two")).await.unwrap();
    assert_eq!((stored.offset, lost.strikes()), (Some(1), 2));
    let stored = producer.send(Record::to("orders").value("three")).await.unwrap();
    assert_eq!(stored.offset, Some(2));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_counts_though_its_topic_is_not_heard_of_meanwhile() {
    let (broker, kafka) = start().await;
    let producer = kafka.producer().build().await.unwrap();
    producer.send(Record::to("orders").value("one")).await.unwrap();
    let late = broker.faults().add(Fault::delay(ApiKey::Produce, Duration::from_secs(1))).unwrap();
    let delivery = producer.enqueue(Record::to("orders").value("two")).await.unwrap();
    while late.strikes() == 0 {
        tokio::task::yield_now().await;
    }
    late.remove();
    let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let unheard = Fault::error(ApiKey::Metadata, code).topic("orders");
    let unheard = broker.faults().add(unheard).unwrap();
    kafka.refresh(Some(&["orders".into()])).await.unwrap();
    assert!(kafka.metadata().topic("orders").is_none());
    unheard.remove();
    assert_eq!(delivery.await.unwrap().offset, Some(1));
    broker.stop().await;
}

/// One that sends does so while the answer to what it sent before is being heard.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_by_callers_overtakes_no_retry() {
    let (broker, kafka) = start().await;
    let builder = kafka.producer().acks(Acks::Leader).linger(Duration::ZERO);
    let builder = builder.set("enable.idempotence", "false").set("max.in.flight", "1");
    // Each record is a batch, which its caller sends if it may.
    let builder = builder.set("batch.size", "1").set("retry.backoff.ms", "1");
    let producer = builder.build().await.unwrap();
    producer.send(Record::to("orders").value("first")).await.unwrap();
    let seed = Random::new().bits();
    println!("seed {seed}");
    let refuse = Fault::error(ApiKey::Produce, ErrorCode::NOT_ENOUGH_REPLICAS);
    broker.faults().add(refuse.at_random(0.2, seed)).unwrap();
    let produced = std::thread::spawn({
        let producer = producer.clone();
        move || {
            let enqueue = |number: u64| {
                let record = || Record::to("orders").value(number.to_string());
                loop {
                    match producer.try_enqueue(record()) {
                        Ok(delivery) => return delivery,
                        Err(TryEnqueueError::Full(_)) => std::thread::yield_now(),
                        Err(refused) => panic!("{refused}"),
                    }
                }
            };
            (0..1_000).map(enqueue).collect::<Vec<_>>()
        }
    });
    producer.flush().await;
    let mut last = Some(0);
    for delivery in produced.join().unwrap() {
        let offset = delivery.await.unwrap().offset;
        assert!(offset > last, "{offset:?} behind {last:?}");
        last = offset;
    }
    broker.stop().await;
}

/// What was refused is told so, though its batch was still open.
#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_may_have_no_id_says_so() {
    let (broker, kafka) = start().await;
    let refuse =
        Fault::error(ApiKey::InitProducerId, ErrorCode::CLUSTER_AUTHORIZATION_FAILED).times(1);
    broker.faults().add(refuse).unwrap();
    let producer = kafka.producer().build().await.unwrap();
    let refused = producer.send(Record::to("orders").value("one"));
    let error = tokio::time::timeout(SOON, refused).await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::CLUSTER_AUTHORIZATION_FAILED), "{error}");
    let stored = producer.send(Record::to("orders").value("two"));
    let stored = tokio::time::timeout(SOON, stored).await.unwrap().unwrap();
    assert_eq!(stored.offset, Some(0));
    broker.stop().await;
}

/// It was closed over what its socket had not taken yet.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_acknowledges_is_sent_before_the_producer_ends() {
    /// More than sockets hold.
    const RECORDS: usize = 64;
    const RECORD: usize = 512 << 10;
    let (broker, kafka) = start().await;
    let builder = kafka.producer().acks(Acks::None).buffer_memory(2 * RECORDS * RECORD);
    let producer = builder.build().await.unwrap();
    producer.send(Record::to("orders").value("first")).await.unwrap();
    broker.pause();
    for _ in 0..RECORDS {
        let record = Record::to("orders").value(vec![b'x'; RECORD]);
        drop(producer.enqueue(record).await.unwrap());
    }
    let closing = producer.close(SOON);
    tokio::pin!(closing);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut closing).await.is_err());
    broker.resume();
    closing.await.unwrap();
    let reader = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await.unwrap();
    let consumer = reader.consumer().assign_topic("orders", Start::Earliest);
    let mut consumer = consumer.build().await.unwrap();
    let mut read = 0;
    while read <= RECORDS {
        let batch = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap().unwrap();
        read += batch.records().len();
    }
    broker.stop().await;
}
