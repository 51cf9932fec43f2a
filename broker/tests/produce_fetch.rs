//! Records in, records out, through real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use klamm_broker::Broker;
use klamm_protocol::api::{Fetch, Metadata, Produce, metadata};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{BatchProducer, crc32c};
use support::{Client, batch, batch_of, ephemeral, fetch_request, produce_request, values};

fn texts(values: &[(i64, String)]) -> Vec<(i64, &str)> {
    values.iter().map(|(offset, text)| (*offset, text.as_str())).collect()
}

#[tokio::test]
async fn what_is_produced_is_fetched() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[]).await;
    assert_eq!(client.produce("orders", batch(&["a", "b"])).await.base_offset, 0);
    assert_eq!(client.produce("orders", batch(&["c"])).await.base_offset, 2);
    let answer = client.fetch("orders", 0).await;
    assert_eq!(texts(&values(&answer)), [(0, "a"), (1, "b"), (2, "c")]);
    assert_eq!((answer.high_watermark, answer.log_start_offset), (3, 0));
    broker.stop().await;
}

#[tokio::test]
async fn a_fetch_from_within_a_batch_gets_the_whole_batch() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[]).await;
    client.produce("orders", batch(&["a", "b", "c"])).await;
    assert_eq!(values(&client.fetch("orders", 2).await).len(), 3);
    assert_eq!(values(&client.fetch("orders", 3).await).len(), 0);
    let beyond = client.fetch("orders", 4).await;
    assert_eq!(beyond.error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(beyond.high_watermark, -1);
}

#[tokio::test]
async fn a_fetch_waits_until_records_come() {
    let broker = ephemeral().await;
    let mut reader = Client::connect(&broker).await;
    let mut writer = Client::connect(&broker).await;
    writer.create_topic("orders", 1, &[]).await;
    let id = reader.send::<Fetch>(12, &fetch_request("orders", 0, 15_000)).await;
    // Two requests on another connection: the first proves that the broker goes on meanwhile.
    writer.call::<Metadata>(9, &metadata::Request::default()).await;
    writer.produce("orders", batch(&["late"])).await;
    let response = reader.answer::<Fetch>(12, id).await;
    assert_eq!(texts(&values(&response.topics[0].partitions[0])), [(0, "late")]);
}

#[tokio::test]
async fn a_fetch_with_nothing_to_read_ends_with_its_time() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[]).await;
    let response = client.call::<Fetch>(12, &fetch_request("orders", 0, 10)).await;
    assert_eq!(values(&response.topics[0].partitions[0]), []);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[("durability", "synced")]).await;
    let mut ids = Vec::new();
    for at in 0..500 {
        let request = produce_request("orders", 0, -1, batch(&[&at.to_string()]));
        ids.push(client.send::<Produce>(9, &request).await);
    }
    for (at, id) in (0..).zip(ids) {
        let response = client.answer::<Produce>(9, id).await;
        assert_eq!(response.topics[0].partitions[0].base_offset, at);
    }
}

#[tokio::test]
async fn acks_0_gets_no_answer_and_a_refusal_ends_the_connection() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[]).await;
    client.send::<Produce>(9, &produce_request("orders", 0, 0, batch(&["silent"]))).await;
    assert_eq!(texts(&values(&client.fetch("orders", 0).await)), [(0, "silent")]);
    client.send::<Produce>(9, &produce_request("missing", 0, 0, batch(&["lost"]))).await;
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_batch_sent_again_is_stored_once() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[]).await;
    let sent = |sequence, values: &[&str]| {
        batch_of(BatchProducer { id: 7, epoch: 0, base_sequence: sequence }, values)
    };
    assert_eq!(client.produce("orders", sent(0, &["a", "b"])).await.base_offset, 0);
    assert_eq!(client.produce("orders", sent(2, &["c"])).await.base_offset, 2);
    let again = client.produce("orders", sent(0, &["a", "b"])).await;
    assert_eq!((again.error_code, again.base_offset), (ErrorCode::NONE, 0));
    let gap = client.produce("orders", sent(5, &["f"])).await;
    assert_eq!(gap.error_code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(values(&client.fetch("orders", 0).await).len(), 3);
}

#[tokio::test]
async fn producers_are_remembered_over_a_stop_and_over_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let broker = Broker::builder().ephemeral().data_dir(folder.path());
        broker.set("durability", "synced").start()
    };
    let sent = |sequence, value: &str| {
        batch_of(BatchProducer { id: 7, epoch: 0, base_sequence: sequence }, &[value])
    };
    for (round, stops_well) in [true, false, true].into_iter().enumerate() {
        let round = i32::try_from(round).unwrap();
        let broker = start().await.unwrap();
        let mut client = Client::connect(&broker).await;
        if round == 0 {
            client.create_topic("orders", 1, &[]).await;
        } else {
            let again = client.produce("orders", sent(round - 1, "again")).await;
            assert_eq!(again.base_offset, i64::from(round - 1), "round {round}: {again:?}");
        }
        assert_eq!(
            client.produce("orders", sent(round, "new")).await.base_offset,
            i64::from(round)
        );
        drop(client);
        if stops_well {
            broker.stop().await
        } else {
            broker.kill().await
        };
    }
}

#[tokio::test]
async fn each_partition_is_answered_alone() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[("max.message.bytes", "200")]).await;
    let mut request = produce_request("orders", 0, -1, batch(&["fits"]));
    let large = "x".repeat(300);
    request.topics.extend(produce_request("orders", 0, -1, batch(&[&large])).topics);
    request.topics.extend(produce_request("orders", 9, -1, batch(&["nowhere"])).topics);
    let mut broken = batch(&["broken"]).to_vec();
    *broken.last_mut().unwrap() ^= 1;
    request.topics.extend(produce_request("orders", 0, -1, broken.into()).topics);
    let response = client.call::<Produce>(9, &request).await;
    let codes: Vec<_> =
        response.topics.iter().map(|topic| topic.partitions[0].error_code).collect();
    let expected = [
        ErrorCode::NONE,
        ErrorCode::MESSAGE_TOO_LARGE,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::CORRUPT_MESSAGE,
    ];
    assert_eq!(codes, expected);
}

#[tokio::test]
async fn a_client_sends_no_batch_that_is_larger_than_a_segment() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let configs = [("segment.bytes", "1048576"), ("max.message.bytes", "2000000")];
    client.create_topic("orders", 1, &configs).await;
    let refused = client.produce("orders", batch(&[&"x".repeat(1 << 20)])).await;
    assert_eq!(refused.error_code, ErrorCode::RECORD_LIST_TOO_LARGE);
}

#[tokio::test]
async fn the_brokers_time_is_given_where_the_topic_asks_for_it() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[("message.timestamp.type", "LogAppendTime")]).await;
    let answer = client.produce("orders", batch(&["a"])).await;
    assert!(answer.log_append_time_ms > 1_700_000_000_000);
    assert_eq!(values(&client.fetch("orders", 0).await).len(), 1);
}

#[tokio::test]
async fn compacted_topics_name_the_records_without_a_key() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[("cleanup.policy", "compact")]).await;
    let mut builder = klamm_protocol::records::BatchBuilder::new(Default::default());
    builder.push(1, Some(b"key"), Some(b"a"), &[]).unwrap();
    builder.push(1, None, Some(b"b"), &[]).unwrap();
    let answer = client.produce("orders", builder.build(0).unwrap().bytes().clone()).await;
    assert_eq!(answer.error_code, ErrorCode::INVALID_RECORD);
    let named: Vec<_> = answer.record_errors.iter().map(|error| error.batch_index).collect();
    assert_eq!(named, [1]);
}

/// The greatest timestamp in the header that is stored of a batch which came with this one, and
/// whose newest record has 1001.
async fn greatest_timestamp_stored(client: &mut Client, topic: &str, sent: i64) -> i64 {
    client.create_topic(topic, 1, &[]).await;
    let mut lying = batch(&["a", "b"]).to_vec();
    lying[35..43].copy_from_slice(&sent.to_be_bytes());
    let crc = crc32c(&lying[21..]);
    lying[17..21].copy_from_slice(&crc.to_be_bytes());
    let answer = client.produce(topic, lying.into()).await;
    assert_eq!(answer.error_code, ErrorCode::NONE);
    let fetched = client.fetch(topic, 0).await;
    assert_eq!(texts(&values(&fetched)), [(0, "a"), (1, "b")]);
    let stored = fetched.records.unwrap().into_bytes();
    i64::from_be_bytes(stored[35..43].try_into().unwrap())
}

/// Whatever came with it would never have been old.
#[tokio::test]
async fn a_header_that_claims_a_record_of_the_far_future_is_corrected() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    assert_eq!(greatest_timestamp_stored(&mut client, "orders", i64::MAX).await, 1_001);
    broker.stop().await;
}

/// Sarama sent such: its records were as old as their segment, and not found by time.
#[tokio::test]
async fn a_header_without_its_greatest_timestamp_gets_it() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    assert_eq!(greatest_timestamp_stored(&mut client, "unset", -1).await, 1_001);
    assert_eq!(greatest_timestamp_stored(&mut client, "zero", 0).await, 1_001);
}
