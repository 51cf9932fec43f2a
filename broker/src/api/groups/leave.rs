//! LeaveGroup: takes members out of a group. Versions 0 to 5.
//!
//! Up to version 2 there is one member, and what became of it is the error of the whole answer.
//! Later each member has an error of its own; an operator may name static ones by their instance
//! alone.

use klamm_protocol::api::leave_group::{Member, MemberAnswer, Request, Response};
use klamm_protocol::error_code::ErrorCode;

use super::check_group_id;
use crate::group::classic::Identity;
use crate::group::shard::command::{Command, Outcomes};
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    if let Err(error_code) = check_group_id(&request.group_id) {
        return Reply::Now(Response { error_code, ..Response::default() });
    }
    let version = call.version;
    let members = match version {
        ..3 => vec![Member { member_id: request.member_id, ..Member::default() }],
        _ => request.members,
    };
    let identity = |member: &Member| Identity {
        member_id: member.member_id.clone(),
        instance_id: member.group_instance_id.clone(),
    };
    let identities = members.iter().map(identity).collect();
    let group = request.group_id;
    let command = |answer| Command::Leave(group.clone(), identities, answer);
    let asked = call.node.groups.shards.ask(&call.node, &group, command).await;
    Reply::later(async move {
        match asked.answer().await {
            Ok(outcomes) => respond(version, members, outcomes),
            Err(error_code) => Response { error_code, ..Response::default() },
        }
    })
}

fn respond(version: i16, members: Vec<Member>, outcomes: Outcomes) -> Response {
    let code = |outcome: Result<(), ErrorCode>| outcome.err().unwrap_or(ErrorCode::NONE);
    let answer = |(member, outcome): (Member, Result<(), ErrorCode>)| MemberAnswer {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        error_code: code(outcome),
    };
    let answers: Vec<_> = members.into_iter().zip(outcomes).map(answer).collect();
    match answers.first() {
        Some(only) if version < 3 => {
            Response { error_code: only.error_code, ..Response::default() }
        }
        _ => Response { members: answers, ..Response::default() },
    }
}
