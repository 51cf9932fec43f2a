//! OffsetForLeaderEpoch: says where the records of a leader epoch end. Versions 2 to 4.

use klamm_protocol::api::offset_for_leader_epoch::{
    Partition as Wanted, PartitionAnswer, Request, Response, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;

use crate::server::{Call, Reply};
use crate::topics::Topic;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let topics = request.topics.into_iter().map(|topic| {
        let found = call.node.topics.by_name(&topic.topic);
        let partitions = topic.partitions.iter().map(|wanted| {
            let partition = wanted.partition;
            let refuse = |error_code| PartitionAnswer { error_code, ..PartitionAnswer::default() };
            let end = find(found.as_deref(), wanted).unwrap_or_else(refuse);
            PartitionAnswer { partition, ..end }
        });
        let partitions = partitions.collect();
        TopicAnswer { topic: topic.topic, partitions }
    });
    let topics = topics.collect();
    Reply::Now(Response { throttle_time_ms: 0, topics })
}

fn find(topic: Option<&Topic>, wanted: &Wanted) -> Result<PartitionAnswer, ErrorCode> {
    let partition = topic.and_then(|topic| topic.partition(wanted.partition));
    let partition = partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    partition.check_leader_epoch(wanted.current_leader_epoch)?;
    let (leader_epoch, end_offset) = partition.epoch_end(wanted.leader_epoch).unwrap_or((-1, -1));
    Ok(PartitionAnswer { leader_epoch, end_offset, ..PartitionAnswer::default() })
}
