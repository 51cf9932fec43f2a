//! DeleteGroups: deletes groups with all that they have committed. Versions 0 to 2.
//!
//! Only a group without members can go. One that is named twice is answered once.

use klamm_protocol::api::delete_groups::{GroupAnswer, Request, Response};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::api::once;
use crate::group::shard::command::Command;
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let node = &call.node;
    let mut asked = Vec::with_capacity(request.groups_names.len());
    for group in once(request.groups_names, Str::clone) {
        let command = |answer| Command::DeleteGroup(group.clone(), answer);
        let answer = node.groups.shards.ask(node, &group, command).await;
        asked.push((group, answer));
    }
    Reply::later(async move {
        let mut results = Vec::with_capacity(asked.len());
        for (group_id, answer) in asked {
            let error_code = answer.answer().await.err().unwrap_or(ErrorCode::NONE);
            results.push(GroupAnswer { group_id, error_code });
        }
        Response { results, ..Response::default() }
    })
}
