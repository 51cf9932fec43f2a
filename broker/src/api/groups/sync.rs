//! SyncGroup: hands the partitions out to the members of a group. Versions 0 to 5.
//!
//! The answer waits for the leader, who brings what everybody gets. It is passed on as it came.

use klamm_protocol::api::sync_group::{Request, Response};
use klamm_protocol::error_code::ErrorCode;

use super::check_group_id;
use crate::group::classic::{Identity, Sync, Synced};
use crate::group::shard::command::Command;
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    if let Err(error_code) = check(call.version, &request) {
        return Reply::Now(Response { error_code, ..Response::default() });
    }
    let group = request.group_id.clone();
    let assignments = request.assignments.into_iter();
    let sync = Sync {
        token: call.node.groups.next_token(),
        member: Identity { member_id: request.member_id, instance_id: request.group_instance_id },
        generation: request.generation_id,
        protocol_type: request.protocol_type,
        protocol: request.protocol_name,
        assignments: assignments.map(|it| (it.member_id, it.assignment)).collect(),
    };
    let command = |answer| Command::Sync(group.clone(), sync, answer);
    let asked = call.node.groups.shards.ask(&call.node, &group, command).await;
    Reply::later(async move {
        match asked.answer().await {
            Ok(Synced { protocol_type, protocol, assignment }) => {
                let protocol_name = protocol;
                Response { protocol_type, protocol_name, assignment, ..Response::default() }
            }
            // Clients do not expect this code here. The round is lost: they join again.
            Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) => {
                Response { error_code: ErrorCode::REBALANCE_IN_PROGRESS, ..Response::default() }
            }
            Err(error_code) => Response { error_code, ..Response::default() },
        }
    })
}

fn check(version: i16, request: &Request) -> Result<(), ErrorCode> {
    check_group_id(&request.group_id)?;
    let is_typed = request.protocol_type.is_some() && request.protocol_name.is_some();
    if version >= 5 && !is_typed {
        return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    }
    Ok(())
}
