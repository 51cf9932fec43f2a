//! AddOffsetsToTxn: tells a transaction that it will commit offsets of a group. Versions 0 to 4.
//!
//! - The partition that keeps the group's offsets takes part in the transaction from then on. Clients
//!   ask this before they look for the group's coordinator, so that the partition is made if need be.
//! - A fenced producer is told so from version 2 on; before, that its epoch is not valid.

use klamm_protocol::api::add_offsets_to_txn::{Request, Response};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::{check_transactional_id, for_version};
use crate::api::find_coordinator;
use crate::group::OFFSETS_TOPIC;
use crate::server::{Call, Reply};
use crate::txn::machine::{Generation, Partitions, Producer};
use crate::txn::shard::command::{Add, Command};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let id = request.transactional_id;
    if let Err(code) = check_transactional_id(&id) {
        return Reply::Now(respond(&call, Err(code)));
    }
    let node = &call.node;
    if let Err(code) = find_coordinator::make(node, OFFSETS_TOPIC).await {
        return Reply::Now(respond(&call, Err(code)));
    }
    let Some(partition) = node.groups.shards.partition(node, &request.group_id) else {
        return Reply::Now(respond(&call, Err(ErrorCode::COORDINATOR_NOT_AVAILABLE)));
    };
    let topic = Str::from_static(OFFSETS_TOPIC);
    let add = Add {
        producer: Producer { id: request.producer_id, epoch: request.producer_epoch },
        partitions: Partitions::from([(topic, [partition.index].into())]),
        generation: Generation::First,
        is_patient: false,
    };
    let command = |answer| Command::Add(id.clone(), add, answer);
    let asked = node.transactions.ask(node, &id, command).await;
    Reply::later(async move { respond(&call, asked.answer().await) })
}

fn respond(call: &Call, added: Result<(), ErrorCode>) -> Response {
    let code = added.err().unwrap_or(ErrorCode::NONE);
    Response { error_code: for_version(code, call.version, 2), ..Response::default() }
}
