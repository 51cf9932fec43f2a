//! Fetch sessions, through real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use klamm_broker::Broker;
use klamm_protocol::api::{DeleteTopics, Fetch, Metadata, Produce};
use klamm_protocol::api::{delete_topics, fetch, metadata};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Uuid;
use support::{Client, batch, ephemeral, produce_request};

/// The newest versions with names and with ids.
const BY_NAME: i16 = 12;
const BY_ID: i16 = 18;

/// A topic as a request of either kind calls it.
#[derive(Clone)]
struct Called {
    name: &'static str,
    id: Uuid,
}

async fn make(client: &mut Client, name: &'static str, partitions: i32) -> Called {
    client.create_topic(name, partitions, &[]).await;
    let topic = metadata::Topic { name: Some(name.into()), ..Default::default() };
    let request = metadata::Request { topics: Some(vec![topic]), ..Default::default() };
    let response = client.call::<Metadata>(12, &request).await;
    Called { name, id: response.topics[0].topic_id }
}

async fn delete(client: &mut Client, name: &str) {
    let topic_names = vec![name.into()];
    let request = delete_topics::Request { topic_names, ..Default::default() };
    client.call::<DeleteTopics>(5, &request).await;
}

/// The next request of a session: partitions of a topic, each from an offset.
fn request(session: (i32, i32), topic: &Called, wanted: &[(i32, i64)]) -> fetch::Request {
    let partition = |&(partition, fetch_offset): &(i32, i64)| fetch::Partition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let partitions: Vec<_> = wanted.iter().map(partition).collect();
    let topic = fetch::Topic { topic: topic.name.into(), topic_id: topic.id, partitions };
    let topics = if wanted.is_empty() { Vec::new() } else { vec![topic] };
    let (session_id, session_epoch) = session;
    fetch::Request { session_id, session_epoch, topics, ..Default::default() }
}

/// The partitions that an answer names, with their errors.
fn named(response: &fetch::Response) -> Vec<(i32, ErrorCode)> {
    assert_eq!(response.error_code, ErrorCode::NONE);
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| (partition.partition_index, partition.error_code)).collect()
}

async fn open(client: &mut Client, version: i16, topic: &Called, wanted: &[(i32, i64)]) -> i32 {
    let response = client.call::<Fetch>(version, &request((0, 0), topic, wanted)).await;
    assert_eq!(named(&response).len(), wanted.len());
    assert!(response.session_id > 0);
    response.session_id
}

async fn produce(client: &mut Client, topic: &Called, partition: i32) {
    let request = produce_request(topic.name, partition, -1, batch(&["v"]));
    let response = client.call::<Produce>(9, &request).await;
    assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::NONE);
}

#[tokio::test]
async fn an_idle_poll_of_a_thousand_partitions_takes_under_200_bytes_each_way() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let topic = make(&mut client, "wide", 1_000).await;
    let all: Vec<_> = (0..1_000).map(|index| (index, 0)).collect();
    for version in [BY_NAME, BY_ID] {
        let id = open(&mut client, version, &topic, &all).await;
        for epoch in 1..4 {
            let before = client.traffic;
            let poll = fetch::Request {
                min_bytes: 1,
                max_wait_ms: 20,
                ..request((id, epoch), &topic, &[])
            };
            let response = client.call::<Fetch>(version, &poll).await;
            assert_eq!((named(&response), response.session_id), (vec![], id));
            let sent = client.traffic.0 - before.0;
            let received = client.traffic.1 - before.1;
            assert!(sent < 200 && received < 200, "{sent} bytes sent, {received} received");
        }
    }
}

#[tokio::test]
async fn a_session_tells_what_changed() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let topic = make(&mut client, "t", 3).await;
    let id = open(&mut client, BY_ID, &topic, &[(0, 0), (1, 0), (2, 0)]).await;
    produce(&mut client, &topic, 1).await;
    let records = client.call::<Fetch>(BY_ID, &request((id, 1), &topic, &[])).await;
    assert_eq!(named(&records), [(1, ErrorCode::NONE)]);
    assert_eq!(records.topics[0].topic_id, topic.id);
    // Once the client has read on, there is nothing more to say.
    let read_on = client.call::<Fetch>(BY_ID, &request((id, 2), &topic, &[(1, 1)])).await;
    assert_eq!(named(&read_on), []);
    // A client that is at the end of a log hears of it only through its records; one that asks
    // beyond it is told each time.
    let beyond = (2, ErrorCode::OFFSET_OUT_OF_RANGE);
    for epoch in [3, 4] {
        let response = client.call::<Fetch>(BY_ID, &request((id, epoch), &topic, &[(2, 9)])).await;
        assert_eq!(named(&response), [beyond]);
    }
    let forget = |epoch| {
        let partitions = vec![2];
        let forgotten =
            fetch::ForgottenTopic { topic_id: topic.id, partitions, ..Default::default() };
        fetch::Request { forgotten_topics: vec![forgotten], ..request((id, epoch), &topic, &[]) }
    };
    assert_eq!(named(&client.call::<Fetch>(BY_ID, &forget(5)).await), []);
}

#[tokio::test]
async fn a_session_outlives_its_connection_until_it_is_closed() {
    let broker = ephemeral().await;
    let mut first = Client::connect(&broker).await;
    let topic = make(&mut first, "t", 1).await;
    let id = open(&mut first, BY_NAME, &topic, &[(0, 0)]).await;
    drop(first);
    let mut client = Client::connect(&broker).await;
    produce(&mut client, &topic, 0).await;
    let response = client.call::<Fetch>(BY_NAME, &request((id, 1), &topic, &[])).await;
    assert_eq!(named(&response).len(), 1);
    // Closing it is a fetch without a session.
    let last = client.call::<Fetch>(BY_NAME, &request((id, -1), &topic, &[(0, 0)])).await;
    assert_eq!((named(&last).len(), last.session_id), (1, 0));
    let response = client.call::<Fetch>(BY_NAME, &request((id, 2), &topic, &[])).await;
    assert_eq!(response.error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
}

#[tokio::test]
async fn what_does_not_fit_the_session_is_refused_and_leaves_it_alone() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let topic = make(&mut client, "t", 1).await;
    let id = open(&mut client, BY_NAME, &topic, &[(0, 0)]).await;
    let wrong = [
        (BY_NAME, (id, 2), ErrorCode::INVALID_FETCH_SESSION_EPOCH),
        (BY_ID, (id, 1), ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR),
        (BY_NAME, (id ^ 1, 1), ErrorCode::FETCH_SESSION_ID_NOT_FOUND),
        (BY_NAME, (0, 1), ErrorCode::FETCH_SESSION_ID_NOT_FOUND),
    ];
    for (version, session, error) in wrong {
        let response = client.call::<Fetch>(version, &request(session, &topic, &[])).await;
        assert_eq!((response.error_code, response.session_id), (error, 0));
    }
    let response = client.call::<Fetch>(BY_NAME, &request((id, 1), &topic, &[])).await;
    assert_eq!((named(&response), response.session_id), (vec![], id));
}

#[tokio::test]
async fn a_topic_that_is_made_anew_is_not_taken_for_the_old_one() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let topic = make(&mut client, "t", 1).await;
    let id = open(&mut client, BY_ID, &topic, &[(0, 0)]).await;
    delete(&mut client, "t").await;
    let gone = client.call::<Fetch>(BY_ID, &request((id, 1), &topic, &[])).await;
    assert_eq!(named(&gone), [(0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)]);
    let anew = make(&mut client, "t", 1).await;
    let other = client.call::<Fetch>(BY_ID, &request((id, 2), &topic, &[])).await;
    assert_eq!(named(&other), [(0, ErrorCode::INCONSISTENT_TOPIC_ID)]);
    let id = open(&mut client, BY_NAME, &anew, &[(0, 0)]).await;
    delete(&mut client, "t").await;
    make(&mut client, "t", 1).await;
    // Those who go by name see the new one.
    let response = client.call::<Fetch>(BY_NAME, &request((id, 1), &topic, &[])).await;
    assert_eq!(named(&response), []);
}

#[tokio::test]
async fn a_topic_that_is_made_later_is_found() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let topic = Called { name: "later", id: Uuid::ZERO };
    let id = open(&mut client, BY_NAME, &topic, &[(0, 0)]).await;
    let unknown = client.call::<Fetch>(BY_NAME, &request((id, 1), &topic, &[])).await;
    assert_eq!(named(&unknown), [(0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)]);
    make(&mut client, "later", 1).await;
    let found = client.call::<Fetch>(BY_NAME, &request((id, 2), &topic, &[])).await;
    assert_eq!(named(&found), [(0, ErrorCode::NONE)]);
}

#[tokio::test]
async fn busy_partitions_take_turns() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let topic = make(&mut client, "t", 3).await;
    let id = open(&mut client, BY_ID, &topic, &[(0, 0), (1, 0), (2, 0)]).await;
    for partition in 0..3 {
        produce(&mut client, &topic, partition).await;
    }
    let mut gave = Vec::new();
    for epoch in 1..7 {
        let poll = fetch::Request { max_bytes: 1, ..request((id, epoch), &topic, &[]) };
        let response = client.call::<Fetch>(BY_ID, &poll).await;
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        let with_records =
            partitions.filter(|it| it.records.as_ref().is_some_and(|records| !records.is_empty()));
        gave.extend(with_records.map(|partition| partition.partition_index));
    }
    assert_eq!(gave, [0, 1, 2, 0, 1, 2]);
}

#[tokio::test]
async fn requests_of_a_session_that_are_sent_together_are_served_in_turn() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let topic = make(&mut client, "t", 1).await;
    let id = open(&mut client, BY_ID, &topic, &[(0, 0)]).await;
    let mut sent = Vec::new();
    for epoch in 1..6 {
        let poll =
            fetch::Request { min_bytes: 1, max_wait_ms: 5, ..request((id, epoch), &topic, &[]) };
        sent.push(client.send::<Fetch>(BY_ID, &poll).await);
    }
    for correlation_id in sent {
        let response = client.answer::<Fetch>(BY_ID, correlation_id).await;
        assert_eq!((named(&response), response.session_id), (vec![], id));
    }
}

#[tokio::test]
async fn a_session_waits_for_all_its_partitions_and_serves_the_newest_connection() {
    let broker = ephemeral().await;
    let mut reader = Client::connect(&broker).await;
    let topic = make(&mut reader, "t", 100).await;
    let all: Vec<_> = (0..100).map(|index| (index, 0)).collect();
    let id = open(&mut reader, BY_ID, &topic, &all).await;
    let waiting = |epoch| fetch::Request {
        min_bytes: 1,
        max_wait_ms: 15_000,
        ..request((id, epoch), &topic, &[])
    };
    let stale = reader.send::<Fetch>(BY_ID, &waiting(1)).await;
    let mut other = Client::connect(&broker).await;
    // Until the first request has begun to wait, this one comes too early.
    loop {
        let response = other.call::<Fetch>(BY_ID, &request((id, 2), &topic, &[])).await;
        if response.error_code.is_none() {
            break;
        }
        assert_eq!(response.error_code, ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        tokio::task::yield_now().await;
    }
    let newest = other.send::<Fetch>(BY_ID, &waiting(3)).await;
    let mut writer = Client::connect(&broker).await;
    produce(&mut writer, &topic, 77).await;
    let response = reader.answer::<Fetch>(BY_ID, stale).await;
    assert_eq!(response.error_code, ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    assert_eq!(named(&other.answer::<Fetch>(BY_ID, newest).await), [(77, ErrorCode::NONE)]);
}

#[tokio::test]
async fn without_slots_there_are_no_sessions() {
    let none = ("max.incremental.fetch.session.cache.slots", "0");
    let broker = Broker::builder().ephemeral().set(none.0, none.1).start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    let topic = make(&mut client, "t", 1).await;
    let response = client.call::<Fetch>(BY_ID, &request((0, 0), &topic, &[(0, 0)])).await;
    assert_eq!((named(&response).len(), response.session_id), (1, 0));
}
