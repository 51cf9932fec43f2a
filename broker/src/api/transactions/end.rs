//! EndTxn: commits or aborts a transaction. Versions 0 to 5.
//!
//! - It is answered once the outcome is decided for good. The partitions are told afterwards; who
//!   comes with the next transaction before they know is told to come back.
//! - From version 5 on, a producer gets a new epoch by it, or a new id, and may repeat the request.
//! - A fenced producer is told so from version 2 on; before, that its epoch is not valid.

use klamm_protocol::api::end_txn::{Request, Response};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::Outcome;

use super::{check_transactional_id, for_version, generation};
use crate::server::{Call, Reply};
use crate::txn::machine::{End, Producer};
use crate::txn::shard::command::Command;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let id = request.transactional_id;
    if let Err(code) = check_transactional_id(&id) {
        return Reply::Now(respond(&call, Err(code)));
    }
    let end = End {
        producer: Producer { id: request.producer_id, epoch: request.producer_epoch },
        outcome: if request.committed { Outcome::Commit } else { Outcome::Abort },
        generation: generation(call.version, 5),
    };
    let command = |answer| Command::End(id.clone(), end, answer);
    let asked = call.node.transactions.ask(&call.node, &id, command).await;
    Reply::later(async move { respond(&call, asked.answer().await) })
}

fn respond(call: &Call, next: Result<Producer, ErrorCode>) -> Response {
    match next {
        Ok(Producer { id, epoch }) => {
            Response { producer_id: id, producer_epoch: epoch, ..Response::default() }
        }
        Err(code) => {
            let error_code = for_version(code, call.version, 2);
            Response { error_code, ..Response::default() }
        }
    }
}
