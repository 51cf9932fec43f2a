//! DescribeTransactions: describes the state of transactions. Version 0.
//!
//! While the end of a transaction is being told, those of its partitions are named that do not know
//! yet.

use klamm_protocol::api::describe_transactions::{Request, Response, Topic, TransactionAnswer};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::check_transactional_id;
use crate::server::{Call, Reply};
use crate::txn::machine::Snapshot;
use crate::txn::shard::command::Command;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let mut asked = Vec::with_capacity(request.transactional_ids.len());
    for id in request.transactional_ids {
        let command = |answer| Command::Describe(id.clone(), answer);
        asked.push((id.clone(), call.node.transactions.ask(&call.node, &id, command).await));
    }
    Reply::later(async move {
        let mut transaction_states = Vec::with_capacity(asked.len());
        for (id, asked) in asked {
            let found = match check_transactional_id(&id) {
                Ok(()) => asked.answer().await,
                Err(code) => Err(code),
            };
            transaction_states.push(describe(id, found));
        }
        Response { transaction_states, ..Response::default() }
    })
}

fn describe(transactional_id: Str, found: Result<Snapshot, ErrorCode>) -> TransactionAnswer {
    let found = match found {
        Ok(found) => found,
        Err(error_code) => {
            return TransactionAnswer {
                error_code,
                transactional_id,
                ..TransactionAnswer::default()
            };
        }
    };
    let topics = found
        .partitions
        .into_iter()
        .map(|(topic, partitions)| Topic { topic, partitions: partitions.into_iter().collect() });
    TransactionAnswer {
        error_code: ErrorCode::NONE,
        transactional_id,
        transaction_state: Str::from_static(found.state.name()),
        transaction_timeout_ms: found.timeout_ms,
        transaction_start_time_ms: found.started_ms.unwrap_or(-1),
        producer_id: found.producer.id,
        producer_epoch: found.producer.epoch,
        topics: topics.collect(),
    }
}
