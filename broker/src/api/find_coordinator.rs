//! FindCoordinator: says which broker coordinates a group or a transaction. Versions 0 to 6.
//!
//! - It is this broker, at the address of the listener that the client came in by.
//! - The first question for a group makes `__consumer_offsets`, the first for a transaction
//!   `__transaction_state`; they are there when the answer comes.
//! - Any group id is answered, also the empty one: the other APIs refuse it, each in its way.
//! - Share groups are not served; Kafka without them answers INVALID_REQUEST.

use std::sync::Arc;

use klamm_protocol::api::find_coordinator::{Coordinator, Request, Response};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::group::OFFSETS_TOPIC;
use crate::node::Node;
use crate::server::{Call, Reply};
use crate::txn::STATE_TOPIC;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let found = find(&call, request.key_type).await;
    let keys = if call.version >= 4 { request.coordinator_keys } else { vec![request.key] };
    let answers = keys.into_iter().map(|key| match found {
        Ok(()) => here(&call, key),
        Err(error_code) => nowhere(&call, key, error_code, request.key_type),
    });
    let mut answers: Vec<Coordinator> = answers.collect();
    if call.version >= 4 {
        return Reply::Now(Response { coordinators: answers, ..Response::default() });
    }
    let only = answers.pop().unwrap_or_default();
    Reply::Now(Response {
        error_code: only.error_code,
        error_message: only.error_message,
        node_id: only.node_id,
        host: only.host,
        port: only.port,
        ..Response::default()
    })
}

/// Has the coordinator be there.
async fn find(call: &Call, key_type: i8) -> Result<(), ErrorCode> {
    let node = &call.node;
    match key_type {
        GROUP => make(node, OFFSETS_TOPIC).await,
        TRANSACTION => make(node, STATE_TOPIC).await,
        _ => Err(ErrorCode::INVALID_REQUEST),
    }
}

/// Has the topic be there in which the coordinator keeps what it knows.
pub(super) async fn make(node: &Arc<Node>, topic: &'static str) -> Result<(), ErrorCode> {
    if node.topics.by_name(topic).is_some() {
        return Ok(());
    }
    let made = node.auto_create(&Str::from_static(topic)).await;
    made.map(drop).map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)
}

fn here(call: &Call, key: Str) -> Coordinator {
    let advertised = &call.peer.advertised;
    // Older versions are given the name of the code.
    let message = if call.version >= 4 { "" } else { "NONE" };
    Coordinator {
        key,
        node_id: call.node.id(),
        host: advertised.host.as_str().into(),
        port: i32::from(advertised.port),
        error_code: ErrorCode::NONE,
        error_message: Some(Str::from_static(message)),
    }
}

fn nowhere(call: &Call, key: Str, error_code: ErrorCode, key_type: i8) -> Coordinator {
    let is_silent = call.version >= 4 && key_type == SHARE;
    let message = if is_silent { "" } else { error_code.meaning() };
    Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code,
        error_message: Some(Str::from_static(message)),
        ..Coordinator::default()
    }
}
