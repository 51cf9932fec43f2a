//! When a fetch waits, what ends the wait, and what it gives, through real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use bytes::Bytes;
use klamm_broker::Broker;
use klamm_protocol::api::Fetch;
use klamm_protocol::api::fetch::{self, EpochEnd};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{BatchBuilder, BatchOptions, Compression};
use support::{Client, batch, ephemeral, fetch_request, values};

/// Longer than a test waits for an answer: who waits as long fails.
const FOR_EVER_MS: i32 = 3_600_000;

/// A fetch that would wait for ever for the end of an empty topic, and one thing beside.
fn beside(topic: &str, partition: fetch::Partition) -> fetch::Request {
    let mut request = fetch_request("idle", 0, FOR_EVER_MS);
    let (topic, partitions) = (topic.into(), vec![partition]);
    request.topics.push(fetch::Topic { topic, partitions, ..Default::default() });
    request
}

/// A broker with the topics of [`beside`]: that which stays idle, and `t` with these settings.
async fn with_topics(configs: &[(&str, &str)]) -> (Broker, Client) {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("idle", 1, &[]).await;
    client.create_topic("t", 1, configs).await;
    (broker, client)
}

#[tokio::test]
async fn what_the_client_must_know_is_told_at_once() {
    let (_broker, mut client) = with_topics(&[]).await;
    let plain = fetch::Partition { partition_max_bytes: 1 << 20, ..Default::default() };
    let partition = fetch::Partition { partition: 7, ..plain.clone() };
    let offset = fetch::Partition { fetch_offset: 1, ..plain.clone() };
    let epoch = fetch::Partition { current_leader_epoch: 9, ..plain.clone() };
    let cases = [
        ("nowhere", plain, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        ("t", partition, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        ("t", offset, ErrorCode::OFFSET_OUT_OF_RANGE),
        ("t", epoch, ErrorCode::UNKNOWN_LEADER_EPOCH),
    ];
    for (topic, partition, error) in cases {
        let response = client.call::<Fetch>(12, &beside(topic, partition)).await;
        assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::NONE);
        let answer = &response.topics[1].partitions[0];
        assert_eq!((answer.error_code, answer.high_watermark), (error, -1));
        assert_eq!(answer.diverging_epoch, EpochEnd::default());
    }
}

#[tokio::test]
async fn a_fetch_waits_until_enough_bytes_are_there() {
    let (broker, mut client) = with_topics(&[]).await;
    let mut writer = Client::connect(&broker).await;
    let one = batch(&["value"]);
    let min_bytes = i32::try_from(2 * one.len() + 1).unwrap();
    let partition = fetch::Partition { partition_max_bytes: 1 << 20, ..Default::default() };
    let request = fetch::Request { min_bytes, ..beside("t", partition) };
    let id = client.send::<Fetch>(12, &request).await;
    for topic in ["t", "idle", "t"] {
        writer.produce(topic, one.clone()).await;
    }
    let response = client.answer::<Fetch>(12, id).await;
    let counts: Vec<_> =
        response.topics.iter().map(|topic| values(&topic.partitions[0]).len()).collect();
    assert_eq!(counts, [1, 2]);
}

/// What was there before the last of it is not held meanwhile, and has to be there in the end.
#[tokio::test]
async fn a_fetch_that_waits_for_much_has_all_of_it() {
    let (broker, mut client) = with_topics(&[]).await;
    let mut writer = Client::connect(&broker).await;
    let large = batch(&[&"x".repeat(20_000)]);
    let min_bytes = i32::try_from(6 * large.len()).unwrap();
    let partition = fetch::Partition { partition_max_bytes: 1 << 20, ..Default::default() };
    let request = fetch::Request { min_bytes, ..beside("t", partition) };
    let id = client.send::<Fetch>(12, &request).await;
    for topic in ["t", "idle", "t", "idle", "t", "t"] {
        writer.produce(topic, large.clone()).await;
    }
    let response = client.answer::<Fetch>(12, id).await;
    let counts: Vec<_> =
        response.topics.iter().map(|topic| values(&topic.partitions[0]).len()).collect();
    assert_eq!(counts, [2, 4]);
}

/// A fetch of so many bytes at least and at most, that would wait for ever.
fn exactly(bytes: usize) -> fetch::Request {
    let bytes = i32::try_from(bytes).unwrap();
    let partition = fetch::Partition { partition_max_bytes: bytes, ..Default::default() };
    fetch::Request { min_bytes: bytes, ..beside("t", partition) }
}

#[tokio::test]
async fn what_a_limit_keeps_back_is_not_waited_for() {
    let (_broker, mut client) = with_topics(&[]).await;
    let one = batch(&["value"]);
    for _ in 0..3 {
        client.produce("t", one.clone()).await;
    }
    let response = client.call::<Fetch>(12, &exactly(2 * one.len() + 1)).await;
    assert_eq!(values(&response.topics[1].partitions[0]).len(), 2);
}

#[tokio::test]
async fn what_lies_in_the_next_segment_is_not_waited_for() {
    let (_broker, mut client) = with_topics(&[("segment.bytes", "1048576")]).await;
    let large = "x".repeat(600_000);
    for _ in 0..2 {
        client.produce("t", batch(&[&large])).await;
    }
    let response = client.call::<Fetch>(12, &exactly(2_000_000)).await;
    assert_eq!(values(&response.topics[1].partitions[0]).len(), 1);
}

#[tokio::test]
async fn limits_yield_to_the_first_batch_only() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("a", 1, &[]).await;
    client.create_topic("b", 1, &[]).await;
    let one = batch(&["value"]);
    for topic in ["a", "a", "b"] {
        client.produce(topic, one.clone()).await;
    }
    let bytes = |batches: usize| i32::try_from(batches * one.len()).unwrap();
    for (max_bytes, expected) in [(0, [1, 0]), (1, [1, 0]), (bytes(2), [2, 0]), (bytes(3), [2, 1])]
    {
        let mut request = fetch_request("a", 0, 0);
        request.topics.extend(fetch_request("b", 0, 0).topics);
        let response = client.call::<Fetch>(12, &fetch::Request { max_bytes, ..request }).await;
        let counts: Vec<_> =
            response.topics.iter().map(|topic| values(&topic.partitions[0]).len()).collect();
        assert_eq!(counts, expected, "{max_bytes} bytes at most");
    }
}

#[tokio::test]
async fn old_clients_are_not_given_zstd() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 1, &[]).await;
    let options = BatchOptions { compression: Compression::Zstd, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    builder.push(0, None, Some(b"value"), &[]).unwrap();
    let bytes: Bytes = builder.build(0).unwrap().bytes().clone();
    client.produce("t", bytes).await;
    let refused = ErrorCode::UNSUPPORTED_COMPRESSION_TYPE;
    for (version, error, count) in [(9, refused, 0), (10, ErrorCode::NONE, 1)] {
        let response = client.call::<Fetch>(version, &fetch_request("t", 0, 0)).await;
        let answer = &response.topics[0].partitions[0];
        assert_eq!((answer.error_code, values(answer).len()), (error, count));
    }
}
