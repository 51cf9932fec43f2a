//! InitProducerId: gives a producer its id and epoch. Versions 0 to 5.
//!
//! - A producer that is only idempotent gets a new id, which is never given twice, also after a
//!   crash: see [`crate::producer_ids`]. An id and epoch that it still has are of no use to it, as
//!   in Kafka.
//! - With a transactional id it gets that one's producer id with a new epoch, which fences whoever
//!   had it. A transaction that is open is aborted, and the client told to come back.
//! - Version 3 lets a producer say which id and epoch it has, and go on with them (KIP-360).
//! - A fenced producer is told so from version 4 on; before, that its epoch is not valid.

use klamm_protocol::api::init_producer_id::{Request, Response};
use klamm_protocol::error_code::ErrorCode;

use super::for_version;
use crate::server::{Call, Reply};
use crate::txn::machine::{Init, Producer};
use crate::txn::shard::command::Command;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let is_half = (request.producer_id < 0) != (request.producer_epoch < 0);
    let Some(id) = request.transactional_id.clone().filter(|_| !is_half) else {
        let given = match is_half {
            true => Err(ErrorCode::INVALID_REQUEST),
            false => call.node.producer_ids.next(&call.node.catalog).await,
        };
        return Reply::Now(respond(&call, given.map(|id| Producer { id, epoch: 0 })));
    };
    let init = match check(&call, &id, &request) {
        Ok(init) => init,
        Err(code) => return Reply::Now(respond(&call, Err(code))),
    };
    let command = |answer| Command::Init(id.clone(), init, answer);
    let asked = call.node.transactions.ask(&call.node, &id, command).await;
    Reply::later(async move { respond(&call, asked.answer().await) })
}

fn check(call: &Call, id: &str, request: &Request) -> Result<Init, ErrorCode> {
    super::check_transactional_id(id)?;
    let timeout_max = call.node.config().transactions.timeout_max.as_millis();
    let timeout = u128::try_from(request.transaction_timeout_ms).unwrap_or(0);
    if timeout == 0 || timeout > timeout_max {
        return Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    }
    let known = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let known = (known.id >= 0).then_some(known);
    Ok(Init { known, timeout_ms: request.transaction_timeout_ms })
}

fn respond(call: &Call, given: Result<Producer, ErrorCode>) -> Response {
    match given {
        Ok(Producer { id, epoch }) => {
            Response { producer_id: id, producer_epoch: epoch, ..Response::default() }
        }
        Err(code) => {
            let error_code = for_version(code, call.version, 4);
            Response { error_code, producer_id: -1, producer_epoch: -1, ..Response::default() }
        }
    }
}
