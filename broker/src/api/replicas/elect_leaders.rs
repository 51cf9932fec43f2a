//! ElectLeaders: lets partitions elect their leaders anew. Versions 0 to 2.
//!
//! The only replica leads already, so that no election is ever needed. Where all are asked for, the
//! partitions that need none are left out, which leaves the topics.

use klamm_protocol::api::elect_leaders::{PartitionAnswer, Request, Response, Topic, TopicAnswer};
use klamm_protocol::error_code::ErrorCode;

use crate::server::{Call, Reply};

/// The preferred replica, and any replica.
const ELECTION_TYPES: [i8; 2] = [0, 1];

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let Request { election_type, topic_partitions, .. } = request;
    let is_known = ELECTION_TYPES.contains(&election_type);
    let judge = |topic: &Topic, partition: i32| match is_known {
        true => judge(&call, topic, partition),
        false => (ErrorCode::INVALID_REQUEST, format!("Unknown election type {election_type}")),
    };
    let replica_election_results = match topic_partitions {
        None => all(&call),
        Some(topics) => topics.into_iter().map(|topic| answer(topic, judge)).collect(),
    };
    let error_code = if is_known { ErrorCode::NONE } else { ErrorCode::INVALID_REQUEST };
    Reply::Now(Response { error_code, replica_election_results, ..Response::default() })
}

fn answer(topic: Topic, judge: impl Fn(&Topic, i32) -> (ErrorCode, String)) -> TopicAnswer {
    let answer = |partition_id: &i32| {
        let (error_code, message) = judge(&topic, *partition_id);
        let error_message = Some(message.into());
        PartitionAnswer { partition_id: *partition_id, error_code, error_message }
    };
    let partition_result = topic.partitions.iter().map(answer).collect();
    TopicAnswer { topic: topic.topic, partition_result }
}

fn judge(call: &Call, wanted: &Topic, partition: i32) -> (ErrorCode, String) {
    let (name, unknown) = (&wanted.topic, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    match call.node.topics.by_name(name) {
        None => (unknown, format!("No such topic as {name}")),
        Some(topic) if topic.partition(partition).is_none() => {
            (unknown, format!("No such partition as {name}-{partition}"))
        }
        Some(_) => {
            let message = "Leader election not needed for topic partition.";
            (ErrorCode::ELECTION_NOT_NEEDED, message.to_owned())
        }
    }
}

fn all(call: &Call) -> Vec<TopicAnswer> {
    let topics = call.node.topics.all();
    let bare = |name| TopicAnswer { topic: name, partition_result: Vec::new() };
    topics.iter().map(|topic| bare(topic.name.clone())).collect()
}
