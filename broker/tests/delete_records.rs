//! DeleteRecords, through real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use klamm_broker::Broker;
use klamm_protocol::api::{DeleteRecords, ListOffsets};
use klamm_protocol::api::{delete_records, list_offsets};
use klamm_protocol::error_code::ErrorCode;
use support::{Client, batch, ephemeral, values};

/// Deletes what lies before an offset of a topic's first partition. Gives the new start.
async fn delete(client: &mut Client, topic: &str, offset: i64) -> Result<i64, ErrorCode> {
    let partitions = vec![delete_records::Partition { partition_index: 0, offset }];
    let topics = vec![delete_records::Topic { name: topic.into(), partitions }];
    let request = delete_records::Request { topics, timeout_ms: 10_000 };
    let response = client.call::<DeleteRecords>(2, &request).await;
    let answer = &response.topics[0].partitions[0];
    match answer.error_code.is_none() {
        true => Ok(answer.low_watermark),
        false => {
            assert_eq!(answer.low_watermark, -1);
            Err(answer.error_code)
        }
    }
}

async fn earliest(client: &mut Client, topic: &str) -> i64 {
    let partition = list_offsets::Partition { timestamp: -2, ..Default::default() };
    let topics = vec![list_offsets::Topic { name: topic.into(), partitions: vec![partition] }];
    let request = list_offsets::Request { replica_id: -1, topics, ..Default::default() };
    client.call::<ListOffsets>(7, &request).await.topics[0].partitions[0].offset
}

/// What a reader sees that begins at an offset: the start of the log and the records.
async fn read(client: &mut Client, offset: i64) -> Result<(i64, usize), ErrorCode> {
    let answer = client.fetch("t", offset).await;
    answer.error_code.ok().map(|()| (answer.log_start_offset, values(&answer).len()))
}

#[tokio::test]
async fn readers_see_the_new_start() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 1, &[]).await;
    client.produce("t", batch(&["a", "b", "c"])).await;
    client.produce("t", batch(&["d", "e", "f"])).await;
    assert_eq!(delete(&mut client, "t", 2).await, Ok(2));
    assert_eq!(earliest(&mut client, "t").await, 2);
    assert_eq!(read(&mut client, 1).await, Err(ErrorCode::OFFSET_OUT_OF_RANGE));
    // The batch that the start lies in is given whole, as ever.
    assert_eq!(read(&mut client, 2).await, Ok((2, 6)));
    assert_eq!(read(&mut client, 3).await, Ok((2, 3)));
    // What is gone does not come back, and what is not there cannot go.
    assert_eq!(delete(&mut client, "t", 1).await, Ok(2));
    assert_eq!(delete(&mut client, "t", 7).await, Err(ErrorCode::OFFSET_OUT_OF_RANGE));
    assert_eq!(delete(&mut client, "t", -1).await, Ok(6));
    assert_eq!(read(&mut client, 6).await, Ok((6, 0)));
    assert_eq!(client.produce("t", batch(&["g"])).await.base_offset, 6);
    assert_eq!(read(&mut client, 6).await, Ok((6, 1)));
}

#[tokio::test]
async fn the_new_start_survives_a_stop_and_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Broker::builder().ephemeral().data_dir(folder.path()).start();
    let broker = start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 1, &[]).await;
    client.produce("t", batch(&["a", "b", "c"])).await;
    assert_eq!(delete(&mut client, "t", 1).await, Ok(1));
    broker.kill().await;
    let broker = start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    assert_eq!(earliest(&mut client, "t").await, 1);
    assert_eq!(delete(&mut client, "t", -1).await, Ok(3));
    broker.stop().await;
    let broker = start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    assert_eq!(earliest(&mut client, "t").await, 3);
    assert_eq!(read(&mut client, 2).await, Err(ErrorCode::OFFSET_OUT_OF_RANGE));
    assert_eq!(client.produce("t", batch(&["d"])).await.base_offset, 3);
    broker.stop().await;
}

#[tokio::test]
async fn what_is_not_deleted_otherwise_is_not_deleted_so() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let policy = "cleanup.policy";
    client.create_topic("compacted", 1, &[(policy, "compact")]).await;
    client.create_topic("both", 1, &[(policy, "compact,delete")]).await;
    client.produce("both", batch(&["a"])).await;
    let refused = delete(&mut client, "compacted", 0).await;
    assert_eq!(refused, Err(ErrorCode::POLICY_VIOLATION));
    assert_eq!(delete(&mut client, "both", 1).await, Ok(1));
    // Where nothing is cleaned up, this alone makes room (KAFKA-19112).
    client.create_topic("kept", 1, &[(policy, "")]).await;
    client.produce("kept", batch(&["a"])).await;
    assert_eq!(delete(&mut client, "kept", 1).await, Ok(1));
    let unknown = delete(&mut client, "nowhere", 0).await;
    assert_eq!(unknown, Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
}
