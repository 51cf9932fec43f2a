//! OffsetCommit: stores how far a group has read. Versions 2 to 10; topics by id in version 10.
//!
//! - Topics and partitions that do not exist are refused one by one, before the group is asked.
//! - Anything may be committed: offsets are neither compared with the log nor with older ones.
//! - The empty group id is one like any other, for whoever commits without joining.
//! - A member of a group that does not exist is told ILLEGAL_GENERATION up to version 8, and
//!   GROUP_ID_NOT_FOUND later.

use std::sync::Arc;

use klamm_protocol::api::offset_commit::{
    Partition, PartitionAnswer, Request, Response, Topic as Sent, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;

use super::fill_in;
use crate::group::classic::Identity;
use crate::group::shard::command::{Command, Commit, NewOffset, Outcomes};
use crate::server::{Call, Reply};
use crate::topics::Topic;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let mut offsets = Vec::new();
    let topics = request.topics.into_iter().map(|topic| check(&call, topic, &mut offsets));
    let topics: Vec<TopicAnswer> = topics.collect();
    if offsets.is_empty() {
        return Reply::Now(respond(topics, Vec::new()));
    }
    let commit = Commit {
        group: request.group_id.clone(),
        member: Identity { member_id: request.member_id, instance_id: request.group_instance_id },
        generation: request.generation_id_or_member_epoch,
        retention_ms: Some(request.retention_time_ms).filter(|retention| *retention >= 0),
        knows_epochs: call.version >= 9,
        no_group: match call.version {
            ..9 => ErrorCode::ILLEGAL_GENERATION,
            _ => ErrorCode::GROUP_ID_NOT_FOUND,
        },
        offsets,
    };
    let count = commit.offsets.len();
    let command = |answer| Command::Commit(commit, answer);
    let asked = call.node.groups.shards.ask(&call.node, &request.group_id, command).await;
    Reply::later(async move {
        // What is wrong with the group is said of each partition.
        let outcomes = asked.answer().await.unwrap_or_else(|code| vec![Err(code); count]);
        respond(topics, outcomes)
    })
}

/// Refuses what does not exist, and gathers the rest.
fn check(call: &Call, sent: Sent, offsets: &mut Vec<NewOffset>) -> TopicAnswer {
    let (found, unknown) = match call.version {
        ..10 => (call.node.topics.by_name(&sent.name), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        _ => (call.node.topics.by_id(sent.topic_id), ErrorCode::UNKNOWN_TOPIC_ID),
    };
    let partitions = sent.partitions.into_iter().map(|partition| {
        let partition_index = partition.partition_index;
        let error_code = match &found {
            None => unknown,
            Some(topic) if topic.partition(partition_index).is_none() => {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            }
            Some(topic) => {
                offsets.push(new_offset(topic, partition));
                ErrorCode::NONE
            }
        };
        PartitionAnswer { partition_index, error_code }
    });
    let partitions = partitions.collect();
    TopicAnswer { name: sent.name, topic_id: sent.topic_id, partitions }
}

fn new_offset(topic: &Arc<Topic>, partition: Partition) -> NewOffset {
    NewOffset {
        topic: topic.name.clone(),
        topic_id: topic.id,
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.unwrap_or_default(),
    }
}

fn respond(mut topics: Vec<TopicAnswer>, outcomes: Outcomes) -> Response {
    let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    fill_in(partitions.map(|partition| &mut partition.error_code), outcomes);
    Response { topics, ..Response::default() }
}
