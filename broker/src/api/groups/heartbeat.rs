//! Heartbeat: says that a member of a group is alive. Versions 0 to 4.
//!
//! REBALANCE_IN_PROGRESS tells the member that it must join again.

use klamm_protocol::api::heartbeat::{Request, Response};
use klamm_protocol::error_code::ErrorCode;

use super::check_group_id;
use crate::group::classic::Identity;
use crate::group::shard::command::Command;
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    if let Err(error_code) = check_group_id(&request.group_id) {
        return Reply::Now(respond(Err(error_code)));
    }
    let group = request.group_id.clone();
    let member = Identity { member_id: request.member_id, instance_id: request.group_instance_id };
    let generation = request.generation_id;
    let asked = call.node.groups.shards.ask(&call.node, &request.group_id, |answer| {
        Command::Heartbeat { group, member, generation, answer }
    });
    let asked = asked.await;
    Reply::later(async move {
        respond(match asked.answer().await {
            // Nothing is known of the member yet, so nothing speaks against it.
            Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) => Ok(()),
            answer => answer,
        })
    })
}

fn respond(answer: Result<(), ErrorCode>) -> Response {
    let error_code = answer.err().unwrap_or(ErrorCode::NONE);
    Response { error_code, ..Response::default() }
}
