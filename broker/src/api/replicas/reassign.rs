//! AlterPartitionReassignments: moves partitions to other brokers, or stops such a move. Versions 0
//! and 1.
//!
//! There are no other brokers: a partition may be sent to where it is, and no move is under way.

use klamm_protocol::api::alter_partition_reassignments::{
    Partition, PartitionAnswer, Request, Response, Topic, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::server::{Call, Reply};

/// Kafka's code, and its words where it has any.
type Refused = (ErrorCode, Option<String>);

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let topics: Vec<_> = request.topics.into_iter().map(|topic| answer(&call, topic)).collect();
    Reply::Now(Response {
        allow_replication_factor_change: request.allow_replication_factor_change,
        // Whoever asks for nothing gets an empty text from Kafka.
        error_message: topics.is_empty().then(Str::default),
        topics,
        ..Response::default()
    })
}

fn answer(call: &Call, topic: Topic) -> TopicAnswer {
    let answer = |partition: &Partition| {
        let judged = judge(call, &topic.name, partition);
        let (error_code, message) = judged.err().unwrap_or((ErrorCode::NONE, None));
        PartitionAnswer {
            partition_index: partition.partition_index,
            error_code,
            error_message: message.map(Into::into),
        }
    };
    let partitions = topic.partitions.iter().map(answer).collect();
    TopicAnswer { name: topic.name, partitions }
}

fn judge(call: &Call, name: &Str, wanted: &Partition) -> Result<(), Refused> {
    let (index, unknown) = (wanted.partition_index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let Some(topic) = call.node.topics.by_name(name) else {
        return Err((unknown, Some(format!("Unable to find a topic named {name}."))));
    };
    if topic.partition(index).is_none() {
        return Err((unknown, Some(format!("Unable to find partition {name}:{index}."))));
    }
    let replicas = wanted.replicas.as_deref();
    let replicas = replicas.ok_or((ErrorCode::NO_REASSIGNMENT_IN_PROGRESS, None))?;
    check_replicas(replicas, call.node.id())
        .map_err(|message| (ErrorCode::INVALID_REPLICA_ASSIGNMENT, Some(message)))
}

/// The replicas must be this broker. Kafka looks at them in the order of their ids.
fn check_replicas(replicas: &[i32], own: i32) -> Result<(), String> {
    if replicas.is_empty() {
        return Err("The manual partition assignment includes an empty replica list.".to_owned());
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    let mut before = None;
    for broker in sorted {
        if before == Some(broker) {
            return Err(format!(
                "The manual partition assignment includes the broker {broker} more than once."
            ));
        }
        if broker != own {
            return Err(format!(
                "The manual partition assignment includes broker {broker}, but no such broker is \
                 registered."
            ));
        }
        before = Some(broker);
    }
    Ok(())
}
