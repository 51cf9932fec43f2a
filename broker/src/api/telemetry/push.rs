//! PushTelemetry: takes in what a client tells of itself. Version 0.

use klamm_protocol::api::push_telemetry::{Request, Response};
use klamm_protocol::error_code::ErrorCode;

use super::facts;
use crate::server::{Call, Reply};
use crate::telemetry::Push;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let node = &call.node;
    let facts = facts(&call, request.client_instance_id);
    let push = Push {
        subscription_id: request.subscription_id,
        is_last: request.terminating,
        compression: request.compression_type,
        metrics: request.metrics,
    };
    let answer = |taken: Result<(), ErrorCode>| {
        let error_code = taken.err().unwrap_or(ErrorCode::NONE);
        Response { error_code, ..Response::default() }
    };
    let image = node.catalog.image();
    match node.telemetry.admit(&image, &facts, push, node.clock.elapsed()) {
        Ok(push) => {
            let telemetry = node.telemetry.clone();
            Reply::later(async move { answer(telemetry.take_in(push).await) })
        }
        Err(error_code) => Reply::Now(answer(Err(error_code))),
    }
}
