//! InitProducerId: gives an idempotent producer its id. Versions 0 to 5.
//!
//! An id is never given twice, also after a crash: see [`crate::producer_ids`]. Transactions are
//! not served yet; a transactional id is refused with a code that clients do not retry. An id and
//! epoch that the client still has are of use to transactions only: a new id is given, as in Kafka.

use klamm_protocol::api::init_producer_id::{Request, Response};
use klamm_protocol::error_code::ErrorCode;

use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let is_half = (request.producer_id < 0) != (request.producer_epoch < 0);
    let given = match request.transactional_id.as_deref() {
        _ if is_half => Err(ErrorCode::INVALID_REQUEST),
        None => call.node.producer_ids.next(&call.node.catalog).await,
        Some("") => Err(ErrorCode::INVALID_REQUEST),
        Some(_) => Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
    };
    Reply::Now(match given {
        Ok(producer_id) => Response { producer_id, producer_epoch: 0, ..Response::default() },
        Err(error_code) => {
            Response { error_code, producer_id: -1, producer_epoch: -1, ..Response::default() }
        }
    })
}
