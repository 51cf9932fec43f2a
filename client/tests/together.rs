//! Topics that are asked for at the same time, and how often a broker is asked.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::sync::Arc;
use std::time::Duration;

use klamm_broker::Broker;
use klamm_broker::faults::{AddedFault, ApiKey, ErrorCode, Fault};
use klamm_client::admin::NewTopic;
use klamm_client::{ClientConfig, Error, Kafka, Topic};
use klamm_protocol::wire::Str;
use klamm_utils::cancel::{at_every_await, poll_at_most};
use klamm_utils::clock;
use tokio::task::JoinSet;

const TOPICS: usize = 20;
/// More polls than any future here has awaits.
const MOST: usize = 2_000;

fn names() -> impl Iterator<Item = Str> {
    (0..TOPICS).map(|number| format!("orders-{number:02}").into())
}

/// A client that makes no topics, and its broker, which counts what it is asked.
async fn start() -> (Broker, Kafka, AddedFault) {
    let broker = Broker::builder().ephemeral().start().await.unwrap();
    let config = ClientConfig::new(&broker.bootstrap()).set("allow.auto.create.topics", "false");
    let kafka = Kafka::connect(config).await.unwrap();
    let asked = Fault::delay(ApiKey::Metadata, Duration::from_millis(1));
    let asked = broker.faults().add(asked).unwrap();
    (broker, kafka, asked)
}

async fn make_all(kafka: &Kafka) {
    let topics: Vec<_> = names().map(|name| NewTopic::new(&name)).collect();
    kafka.admin().create_topics(&topics).await.unwrap();
}

/// What becomes of each topic, in the order of their names.
async fn ask_for_all(kafka: &Kafka) -> Vec<(Str, Result<Arc<Topic>, Error>)> {
    let mut asking = JoinSet::new();
    for name in names() {
        let kafka = kafka.clone();
        asking.spawn(async move {
            let topic = kafka.topic_heard_after(&name, clock::now()).await;
            (name, topic)
        });
    }
    let mut told = asking.join_all().await;
    told.sort_by(|(name, _), (other, _)| name.cmp(other));
    assert!(told.iter().map(|(name, _)| name.clone()).eq(names()));
    told
}

/// The first asks for its own, and all others together for theirs.
#[tokio::test]
async fn topics_that_are_wanted_at_once_are_asked_for_together() {
    let (broker, kafka, asked) = start().await;
    for (code, strikes) in [(Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), 2), (None, 4)] {
        for (name, told) in ask_for_all(&kafka).await {
            assert_eq!(told.as_ref().err().and_then(Error::code), code, "{told:?}");
            assert!(told.is_err() || told.is_ok_and(|topic| topic.name == name));
        }
        assert_eq!(asked.strikes(), strikes);
        make_all(&kafka).await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_request_that_fails_fails_for_all_who_wait_for_it() {
    let (broker, kafka, _) = start().await;
    make_all(&kafka).await;
    let failed = broker.faults().add(Fault::hang_up(ApiKey::Metadata)).unwrap();
    for (_, told) in ask_for_all(&kafka).await {
        assert!(told.unwrap_err().is_retriable());
    }
    assert_eq!(failed.strikes(), 2);
    failed.remove();
    assert!(ask_for_all(&kafka).await.into_iter().all(|(_, told)| told.is_ok()));
    broker.stop().await;
}

#[tokio::test]
async fn who_asks_for_others_may_go() {
    let (broker, kafka, _) = start().await;
    make_all(&kafka).await;
    let all: Vec<_> = names().collect();
    at_every_await(MOST, 1, async |polls| {
        // It has never heard of any of them.
        let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await.unwrap();
        let now = clock::now();
        // While the first asks, the others wait; then the second asks for both of them.
        let first = kafka.topic_heard_after(&all[0], now);
        let second = poll_at_most(polls, kafka.topic_heard_after(&all[1], now));
        let third = kafka.topic_heard_after(&all[2], now);
        let (first, second, third) = tokio::join!(first, second, third);
        assert_eq!((&first.unwrap().name, &third.unwrap().name), (&all[0], &all[2]));
        second
    })
    .await;
    broker.stop().await;
}
