//! TxnOffsetCommit: stores how far a group has read, as part of a transaction. Versions 0 to 5.
//!
//! - The offsets count once the transaction is committed. Until then, who asks for what is certain
//!   is told that it is not.
//! - The coordinator of the transaction is asked whether the group's partition takes part. From
//!   version 5 on it is added.
//! - Topics and partitions that do not exist are refused one by one, before anybody is asked.

use std::sync::Arc;

use klamm_protocol::api::txn_offset_commit::{
    Partition as Sent, PartitionAnswer, Request, Response, Topic as SentTopic, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::BatchProducer;

use super::check_transactional_id;
use crate::api::offsets::fill_in;
use crate::group::classic::Identity;
use crate::group::shard::command::{Command, NewOffset, Outcomes, TransactionalCommit};
use crate::partition::{Partition, Verification};
use crate::server::{Call, Reply};
use crate::shard::Asked;
use crate::topics::Topic;
use crate::txn::inclusion::{Asking, Inclusion, include};
use crate::txn::machine::Producer;

/// From this version on, the group's partition is added to the transaction.
const ADDS_PARTITION: i16 = 5;
/// From this version on, clients know TRANSACTION_ABORTABLE.
const KNOWS_ABORTABLE: i16 = 4;

pub(crate) async fn handle(call: Call, mut request: Request) -> Reply<Response> {
    let mut offsets = Vec::new();
    let sent = std::mem::take(&mut request.topics);
    let topics = sent.into_iter().map(|topic| check(&call, topic, &mut offsets));
    let topics: Vec<TopicAnswer> = topics.collect();
    if offsets.is_empty() {
        return Reply::Now(respond(topics, Vec::new()));
    }
    let count = offsets.len();
    match begin(&call, request, offsets).await {
        Err(code) => Reply::Now(respond(topics, vec![Err(told(code, call.version)); count])),
        Ok(asked) => Reply::later(async move {
            // What is wrong with the group is said of each partition.
            let outcomes = asked.answer().await;
            let outcomes =
                outcomes.unwrap_or_else(|code| vec![Err(told(code, call.version)); count]);
            respond(topics, outcomes)
        }),
    }
}

/// Has the transaction include the group's partition, and asks the group.
async fn begin(
    call: &Call,
    request: Request,
    offsets: Vec<NewOffset>,
) -> Result<Asked<Outcomes>, ErrorCode> {
    let (node, group) = (&call.node, request.group_id.clone());
    if group.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    check_transactional_id(&request.transactional_id)?;
    let partition = node.groups.shards.partition(node, &group).ok_or(ErrorCode::NOT_COORDINATOR)?;
    let producer = BatchProducer {
        id: request.producer_id,
        epoch: request.producer_epoch,
        base_sequence: BatchProducer::NONE.base_sequence,
    };
    let verification = verify(call, &request, &partition, producer).await?;
    let commit = TransactionalCommit {
        group: group.clone(),
        member: Identity { member_id: request.member_id, instance_id: request.group_instance_id },
        generation: request.generation_id,
        producer,
        verification,
        offsets,
    };
    let command = |answer| Command::CommitInTransaction(commit, answer);
    Ok(node.groups.shards.ask(node, &group, command).await)
}

/// Asks the coordinator of the transaction, unless the partition takes part in it for sure.
async fn verify(
    call: &Call,
    request: &Request,
    partition: &Arc<Partition>,
    producer: BatchProducer,
) -> Result<Option<Verification>, ErrorCode> {
    let producer = Producer { id: producer.id, epoch: producer.epoch };
    // What a coordinator writes for a producer has no sequence.
    let askings = Asking::begin(partition, producer, -1).into_iter().collect();
    let inclusion = match call.version {
        ADDS_PARTITION.. => Inclusion::ByWrite,
        _ => Inclusion::ByClient,
    };
    let mut included = include(&call.node, &request.transactional_id, askings, inclusion).await;
    included.pop().transpose()
}

/// What a client is told of it: codes on which it does what Kafka's clients do.
fn told(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::TRANSACTION_ABORTABLE if version < KNOWS_ABORTABLE => {
            ErrorCode::INVALID_TXN_STATE
        }
        ErrorCode::CONCURRENT_TRANSACTIONS if version < ADDS_PARTITION => {
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        }
        code => code,
    }
}

/// Refuses what does not exist, and gathers the rest.
fn check(call: &Call, sent: SentTopic, offsets: &mut Vec<NewOffset>) -> TopicAnswer {
    let found = call.node.topics.by_name(&sent.name);
    let partitions = sent.partitions.into_iter().map(|partition| {
        let partition_index = partition.partition_index;
        let exists = |topic: &&Arc<Topic>| topic.partition(partition_index).is_some();
        let error_code = match found.as_ref().filter(exists) {
            None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Some(topic) => {
                offsets.push(new_offset(topic, partition));
                ErrorCode::NONE
            }
        };
        PartitionAnswer { partition_index, error_code }
    });
    let partitions = partitions.collect();
    TopicAnswer { name: sent.name, partitions }
}

fn new_offset(topic: &Arc<Topic>, partition: Sent) -> NewOffset {
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
