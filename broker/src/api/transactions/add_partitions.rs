//! AddPartitionsToTxn: adds partitions to a transaction before anything is written to them.
//! Versions 0 to 5.
//!
//! - All partitions of a transaction are added, or none: one that does not exist has the others
//!   answered with OPERATION_NOT_ATTEMPTED. So does one of a topic in which the broker keeps its
//!   own records; the code is Kafka's for it.
//! - Clients send versions up to 3, with one transaction. Later ones, with many, are sent by
//!   brokers; they may also ask only whether partitions take part.
//! - A fenced producer is told so from version 2 on; before, that its epoch is not valid.

use std::collections::BTreeMap;

use klamm_protocol::api::add_partitions_to_txn::{
    PartitionAnswer, Request, Response, Topic, TopicAnswer, Transaction, TransactionAnswer,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::{check_transactional_id, for_version, generation};
use crate::server::{Call, Reply};
use crate::shard::Asked;
use crate::topics::is_internal;
use crate::txn::machine::{Partitions, Producer};
use crate::txn::shard::command::{Add, Command, Outcomes};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    if call.version >= 4 {
        let mut pending = Vec::with_capacity(request.transactions.len());
        for transaction in request.transactions {
            pending.push(begin(&call, transaction).await);
        }
        return Reply::later(async move {
            let mut results = Vec::with_capacity(pending.len());
            for pending in pending {
                results.push(pending.end(&call).await);
            }
            Response { results_by_transaction: results, ..Response::default() }
        });
    }
    let only = Transaction {
        transactional_id: request.v3_and_below_transactional_id,
        producer_id: request.v3_and_below_producer_id,
        producer_epoch: request.v3_and_below_producer_epoch,
        verify_only: false,
        topics: request.v3_and_below_topics,
    };
    let pending = begin(&call, only).await;
    Reply::later(async move {
        let results_by_topic_v3_and_below = pending.end(&call).await.topic_results;
        Response { results_by_topic_v3_and_below, ..Response::default() }
    })
}

/// A transaction whose partitions are on their way to its coordinator.
struct Pending {
    transactional_id: Str,
    topics: Vec<Topic>,
    asked: Question,
}

/// What is known, or asked, of the partitions of a transaction.
enum Question {
    /// Nobody needs to be asked.
    None(Outcomes),
    Added(Asked<()>),
    Verified(Asked<Outcomes>),
}

async fn begin(call: &Call, transaction: Transaction) -> Pending {
    let Transaction { transactional_id, producer_id, producer_epoch, verify_only, topics } =
        transaction;
    let producer = Producer { id: producer_id, epoch: producer_epoch };
    let places: Vec<(Str, i32)> = places(&topics).collect();
    let (node, id) = (&call.node, transactional_id.clone());
    let asked = if let Err(code) = check_transactional_id(&id) {
        Question::None(vec![Err(code); places.len()])
    } else if verify_only {
        let command = |answer| Command::Verify(id.clone(), producer, places, answer);
        Question::Verified(node.transactions.ask(node, &id, command).await)
    } else if let Some(refused) = check(call, &places) {
        Question::None(refused)
    } else {
        let mut partitions: Partitions = BTreeMap::new();
        for (topic, index) in places {
            partitions.entry(topic).or_default().insert(index);
        }
        let generation = generation(call.version, 4);
        let add = Add { producer, partitions, generation, is_patient: false };
        let command = |answer| Command::Add(id.clone(), add, answer);
        Question::Added(node.transactions.ask(node, &id, command).await)
    };
    Pending { transactional_id, topics, asked }
}

/// Refuses all partitions if one does not exist, or is none that clients write to.
fn check(call: &Call, places: &[(Str, i32)]) -> Option<Outcomes> {
    let refusal = |(topic, index): &(Str, i32)| {
        if is_internal(topic) {
            return Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        }
        let found = call.node.topics.by_name(topic).and_then(|topic| topic.partition(*index));
        found.is_none().then_some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    };
    let refusals: Vec<_> = places.iter().map(refusal).collect();
    let spared = ErrorCode::OPERATION_NOT_ATTEMPTED;
    let is_refused = refusals.iter().any(Option::is_some);
    is_refused.then(|| refusals.into_iter().map(|code| Err(code.unwrap_or(spared))).collect())
}

fn places(topics: &[Topic]) -> impl Iterator<Item = (Str, i32)> {
    topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|index| (topic.name.clone(), *index)))
}

impl Pending {
    async fn end(self, call: &Call) -> TransactionAnswer {
        let count = self.topics.iter().map(|topic| topic.partitions.len()).sum();
        let outcomes = match self.asked {
            Question::None(outcomes) => outcomes,
            Question::Added(asked) => vec![asked.answer().await; count],
            Question::Verified(asked) => {
                asked.answer().await.unwrap_or_else(|code| vec![Err(code); count])
            }
        };
        let mut outcomes = outcomes.into_iter();
        let mut answer = |partition_index| {
            let code = outcomes.next().and_then(Result::err).unwrap_or(ErrorCode::NONE);
            let partition_error_code = for_version(code, call.version, 2);
            PartitionAnswer { partition_index, partition_error_code }
        };
        let topic_results = self.topics.into_iter().map(|topic| TopicAnswer {
            name: topic.name,
            results_by_partition: topic.partitions.into_iter().map(&mut answer).collect(),
        });
        let topic_results = topic_results.collect();
        TransactionAnswer { transactional_id: self.transactional_id, topic_results }
    }
}
