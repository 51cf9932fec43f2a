//! DeleteRecords: deletes the records before an offset. Versions 0 to 2.
//!
//! - The new start is durable when the answer comes; segments that lie before it go by and by.
//! - A partition can only lose what is committed, and only where its topic's records are deleted at
//!   all: never where only their keys' older values are.
//! - A partition that is named twice is cut once, where it was named last.

use std::collections::BTreeMap;
use std::pin::pin;

use futures_util::stream::{self, StreamExt as _};
use klamm_protocol::api::delete_records::{PartitionAnswer, Request, Response, TopicAnswer};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::server::{Call, Reply};
use crate::topics::{Topic, is_internal};

/// Stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;
/// Partitions that are cut side by side: their syncs share some of the device's time.
const AT_ONCE: usize = 16;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let mut wanted: BTreeMap<Str, BTreeMap<i32, i64>> = BTreeMap::new();
    for topic in request.topics {
        let cuts = topic.partitions.into_iter().map(|it| (it.partition_index, it.offset));
        wanted.entry(topic.name).or_default().extend(cuts);
    }
    let cuts = wanted.into_iter().flat_map(|(name, cuts)| {
        cuts.into_iter().map(move |(index, offset)| (name.clone(), index, offset))
    });
    let answers = stream::iter(cuts).map(|(name, index, offset)| {
        let topic = call.node.topics.by_name(&name);
        async move { (name, answer(topic.as_deref(), index, offset).await) }
    });
    // Each waits for the device.
    let mut answers = pin!(answers.buffered(AT_ONCE));
    let mut topics: Vec<TopicAnswer> = Vec::new();
    while let Some((name, partition)) = answers.next().await {
        match topics.last_mut().filter(|topic| topic.name == name) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(TopicAnswer { name, partitions: vec![partition] }),
        }
    }
    Reply::Now(Response { throttle_time_ms: 0, topics })
}

async fn answer(topic: Option<&Topic>, partition_index: i32, offset: i64) -> PartitionAnswer {
    let (low_watermark, error_code) = match delete(topic, partition_index, offset).await {
        Ok(start) => (start, ErrorCode::NONE),
        Err(error_code) => (-1, error_code),
    };
    PartitionAnswer { partition_index, low_watermark, error_code }
}

async fn delete(topic: Option<&Topic>, index: i32, before: i64) -> Result<i64, ErrorCode> {
    let partition = topic.and_then(|topic| topic.partition(index));
    let partition = partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if is_internal(&partition.topic.name) {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    let cleanup = &partition.topic.config().cleanup;
    // Where nothing is cleaned up it is the one way to make room (KAFKA-19112).
    if cleanup.compact && !cleanup.delete {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    partition.delete_records(Some(before).filter(|offset| *offset != HIGH_WATERMARK)).await
}
