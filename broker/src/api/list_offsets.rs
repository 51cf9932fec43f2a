//! ListOffsets: finds the offset that belongs to a time or to a special place. Versions 1 to 11.
//!
//! - A time is answered with the first record that is not older, and with -1 where there is none.
//! - Nothing is tiered: the earliest local offset is the earliest, and no offset is the latest
//!   tiered or pending upload.

use std::collections::BTreeMap;

use klamm_protocol::api::list_offsets::{
    Partition as Wanted, PartitionAnswer, Request, Response, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;

use crate::partition::{Isolation, Place};
use crate::server::{Call, Reply};
use crate::topics::Topic;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let isolation = Isolation::from_wire(request.isolation_level).unwrap_or_default();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let found = call.node.topics.by_name(&topic.name);
        let mut counts: BTreeMap<i32, usize> = BTreeMap::new();
        for wanted in &topic.partitions {
            *counts.entry(wanted.partition_index).or_default() += 1;
        }
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in topic.partitions {
            let partition_index = wanted.partition_index;
            let answer = match counts.remove(&partition_index) {
                Some(1) => find(&call, found.as_deref(), &wanted, isolation).await,
                // A partition that is asked for twice is refused, once.
                Some(_) => Err(ErrorCode::INVALID_REQUEST),
                None => continue,
            };
            let refuse = |error_code| PartitionAnswer { error_code, ..Default::default() };
            let answer = answer.unwrap_or_else(refuse);
            partitions.push(PartitionAnswer { partition_index, ..answer });
        }
        topics.push(TopicAnswer { name: topic.name, partitions });
    }
    Reply::Now(Response { throttle_time_ms: 0, topics })
}

async fn find(
    call: &Call,
    topic: Option<&Topic>,
    wanted: &Wanted,
    isolation: Isolation,
) -> Result<PartitionAnswer, ErrorCode> {
    let place = place(call.version, wanted.timestamp)?;
    let partition = topic.and_then(|topic| topic.partition(wanted.partition_index));
    let partition = partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    partition.check_leader_epoch(wanted.current_leader_epoch)?;
    let Some(found) = partition.find(place, isolation, &call.node.cold_reads).await? else {
        return Ok(PartitionAnswer::default());
    };
    Ok(PartitionAnswer {
        timestamp: found.timestamp.unwrap_or(-1),
        offset: found.offset,
        leader_epoch: found.leader_epoch,
        ..PartitionAnswer::default()
    })
}

/// What the negative times stand for, from the version on that knows them.
fn place(version: i16, timestamp: i64) -> Result<Place, ErrorCode> {
    match timestamp {
        -1 => Ok(Place::Latest),
        -2 => Ok(Place::Earliest),
        -3 if version >= 7 => Ok(Place::LargestTimestamp),
        -4 if version >= 8 => Ok(Place::Earliest),
        -5 if version >= 9 => Ok(Place::Nowhere),
        -6 if version >= 11 => Ok(Place::Nowhere),
        ..0 => Err(ErrorCode::UNSUPPORTED_VERSION),
        timestamp => Ok(Place::Timestamp(timestamp)),
    }
}
