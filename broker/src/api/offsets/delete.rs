//! OffsetDelete: forgets what a group has read of some partitions. Version 0.
//!
//! The group may have members, as long as none of them reads the topic.

use klamm_protocol::api::offset_delete::{PartitionAnswer, Request, Response, Topic, TopicAnswer};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::fill_in;
use crate::group::shard::command::Command;
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let error_code = ErrorCode::INVALID_GROUP_ID;
    if request.group_id.is_empty() {
        return Reply::Now(Response { error_code, ..Response::default() });
    }
    let mut wanted = Vec::new();
    let topics = request.topics.into_iter().map(|topic| check(&call, topic, &mut wanted));
    let mut topics: Vec<TopicAnswer> = topics.collect();
    let group = request.group_id;
    let command = |answer| Command::DeleteOffsets(group.clone(), wanted, answer);
    let asked = call.node.groups.shards.ask(&call.node, &group, command).await;
    Reply::later(async move {
        let outcomes = match asked.answer().await {
            Ok(outcomes) => outcomes,
            Err(error_code) => return Response { error_code, ..Response::default() },
        };
        let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        fill_in(partitions.map(|partition| &mut partition.error_code), outcomes);
        topics.retain(|topic| !topic.partitions.is_empty());
        Response { topics, ..Response::default() }
    })
}

/// Refuses what does not exist, and gathers the rest.
fn check(call: &Call, sent: Topic, wanted: &mut Vec<(Str, i32)>) -> TopicAnswer {
    let found = call.node.topics.by_name(&sent.name);
    let partitions = sent.partitions.into_iter().map(|partition| {
        let partition_index = partition.partition_index;
        let exists = found.as_ref().is_some_and(|it| it.partition(partition_index).is_some());
        let error_code = if exists {
            wanted.push((sent.name.clone(), partition_index));
            ErrorCode::NONE
        } else {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        };
        PartitionAnswer { partition_index, error_code }
    });
    let partitions = partitions.collect();
    TopicAnswer { name: sent.name, partitions }
}
