//! A producer and a broker that fails on purpose.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use klamm_broker::Broker;
use klamm_broker::faults::{ApiKey, ErrorCode, Fault};
use klamm_client::{ClientConfig, Kafka};
use klamm_producer::{ProduceExt as _, Record};

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
