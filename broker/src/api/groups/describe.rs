//! DescribeGroups: describes groups. Versions 0 to 6.
//!
//! A group that does not exist is in the state Dead: without an error up to version 5, and with
//! GROUP_ID_NOT_FOUND later. So is one of the consumer protocol. One that is named twice is answered
//! once.

use klamm_protocol::api::describe_groups::{GroupAnswer, Member, Request, Response};
use klamm_protocol::wire::Str;

use crate::api::{once, operations};
use crate::group::classic::{Description, MemberDescription};
use crate::group::shard::command::{Command, Refused};
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let node = &call.node;
    let mut asked = Vec::with_capacity(request.groups.len());
    for group in once(request.groups, Str::clone) {
        let command = |answer| Command::Describe(group.clone(), answer);
        let answer = node.groups.shards.ask(node, &group, command).await;
        asked.push((group, answer));
    }
    let version = call.version;
    let authorized_operations = match request.include_authorized_operations {
        true => operations::GROUP,
        false => operations::NOT_ASKED,
    };
    Reply::later(async move {
        let mut groups = Vec::with_capacity(asked.len());
        for (group_id, answer) in asked {
            let mut group = match answer.answer().await {
                Ok(Ok(description)) => describe(description),
                Ok(Err(refused)) => unknown(version, refused),
                Err(error_code) => GroupAnswer { error_code, ..GroupAnswer::default() },
            };
            if group.error_code.is_none() {
                group.authorized_operations = authorized_operations;
            }
            groups.push(GroupAnswer { group_id, ..group });
        }
        Response { groups, ..Response::default() }
    })
}

fn describe(description: Description) -> GroupAnswer {
    let member = |member: MemberDescription| Member {
        member_id: member.member_id,
        group_instance_id: member.instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    };
    GroupAnswer {
        group_state: Str::from_static(description.state.name()),
        protocol_type: description.protocol_type,
        protocol_data: description.protocol,
        members: description.members.into_iter().map(member).collect(),
        ..GroupAnswer::default()
    }
}

fn unknown(version: i16, refused: Refused) -> GroupAnswer {
    let dead = GroupAnswer { group_state: Str::from_static("Dead"), ..GroupAnswer::default() };
    match version {
        ..6 => dead,
        _ => GroupAnswer {
            error_code: refused.code,
            error_message: Some(refused.message.into()),
            ..dead
        },
    }
}
