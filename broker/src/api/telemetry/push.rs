//! PushTelemetry: takes in what a client tells of itself. Version 0.

use klamm_protocol::api::push_telemetry::{Request, Response};
use klamm_protocol::error_code::ErrorCode;

use tokio::sync::oneshot;

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
            // A client's last push counts also if it has closed before it is its turn.
            let (told, taken) = oneshot::channel();
            let taking = node.telemetry.take_in(push);
            node.tasks.spawn("metrics of a client", async move {
                let _ = told.send(taking.await);
            });
            Reply::later(async move {
                answer(taken.await.unwrap_or(Err(ErrorCode::UNKNOWN_SERVER_ERROR)))
            })
        }
        Err(error_code) => Reply::Now(answer(Err(error_code))),
    }
}
