//! What a producer does when what it knows of a topic has grown old.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::time::Duration;

use klamm_broker::Broker;
use klamm_broker::faults::{ApiKey, ErrorCode, Fault};
use klamm_client::admin::NewTopic;
use klamm_client::{ClientConfig, Error, Kafka};
use klamm_producer::{ProduceExt as _, Producer, ProducerBuilder, Record};
use klamm_utils::cancel::poll_at_most;
use klamm_utils::clock;

/// How long anything may take.
const SOON: Duration = Duration::from_secs(60);
/// How young what is known must be.
const AGE: Duration = Duration::from_millis(1);

/// A producer that knows the topic "orders", of one partition, and has for too long.
async fn start(settings: impl FnOnce(ProducerBuilder) -> ProducerBuilder) -> (Broker, Producer) {
    let broker = Broker::builder().ephemeral().start().await.unwrap();
    let config = ClientConfig::new(&broker.bootstrap()).set("allow.auto.create.topics", "false");
    let config = config.set("reconnect.backoff.max.ms", "50");
    let kafka = Kafka::connect(config).await.unwrap();
    kafka.admin().create_topics(&[NewTopic::new("orders")]).await.unwrap();
    let builder = kafka.producer().metadata_max_age(AGE).linger(Duration::ZERO);
    let producer = settings(builder).build().await.unwrap();
    assert_eq!(producer.send(record()).await.unwrap().offset, Some(0));
    grow_old().await;
    (broker, producer)
}

fn record() -> Record {
    Record::to("orders").value("paid")
}

async fn grow_old() {
    let known = clock::now();
    while clock::now() < known + AGE {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_in_use_stays_known_and_is_asked_for_once_at_a_time() {
    let never = Duration::from_secs(600);
    let (broker, producer) = start(|builder| builder.retry_backoff(never, never)).await;
    let asked = broker.faults().add(Fault::hang_up(ApiKey::Metadata)).unwrap();
    for offset in 1..100 {
        assert_eq!(producer.try_enqueue(record()).unwrap().await.unwrap().offset, Some(offset));
    }
    tokio::time::timeout(SOON, asked.struck(1)).await.unwrap();
    assert_eq!(asked.strikes(), 1);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_are_added_are_learnt_by_the_way() {
    let (broker, producer) = start(|builder| builder).await;
    let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await.unwrap();
    kafka.admin().create_partitions(&[("orders".into(), 2)]).await.unwrap();
    let grown = async {
        while producer.try_enqueue(record().partition(1)).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, grown).await.unwrap();
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_in_the_buffer_while_no_broker_is_there() {
    let (broker, producer) = start(|builder| builder).await;
    let down = broker.stop().await;
    for _ in 0..3 {
        grow_old().await;
        // It waits for nobody.
        let accepted = poll_at_most(1, producer.enqueue(record())).await;
        drop(accepted.done().expect("accepted at once").unwrap());
    }
    let last = producer.try_enqueue(record()).unwrap();
    let broker = down.restart().await.unwrap();
    let stored = tokio::time::timeout(SOON, last).await.unwrap().unwrap();
    assert_eq!(stored.offset, Some(4));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_topic_that_is_deleted_fail() {
    let briefly = Duration::from_secs(1);
    let brief = |builder: ProducerBuilder| builder.request_timeout(briefly);
    let (broker, producer) = start(|builder| brief(builder).delivery_timeout(briefly)).await;
    let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await.unwrap();
    kafka.admin().delete_topics(&["orders".into()]).await.unwrap();
    let lost = producer.try_enqueue(record()).unwrap();
    let error = tokio::time::timeout(SOON, lost).await.unwrap().unwrap_err();
    let Error::DeliveryTimeout { last: Some(last), .. } = error else { panic!("{error}") };
    assert_eq!(last.code(), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), "{last}");
    broker.stop().await;
}
