//! UnregisterBroker: makes the cluster forget a broker that is gone for good. Version 0.
//!
//! The only broker is the one that is asked. It cannot forget itself; of others it knows none.

use klamm_protocol::api::unregister_broker::{Request, Response};
use klamm_protocol::error_code::ErrorCode;

use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let id = request.broker_id;
    let (error_code, message) = if id == call.node.id() {
        let message = "The broker cannot be unregistered while it runs: it is the only one";
        (ErrorCode::INVALID_REQUEST, message.to_owned())
    } else {
        let message = format!("Broker ID {id} is not currently registered");
        (ErrorCode::BROKER_ID_NOT_REGISTERED, message)
    };
    Reply::Now(Response { error_code, error_message: Some(message.into()), ..Response::default() })
}
