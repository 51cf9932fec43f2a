//! JoinGroup: makes a client a member of a group, or starts another round of the group. Versions
//! 0 to 9.
//!
//! - The answer waits for the other members. The leader alone is told who they are.
//! - From version 4 on, a client without an id is given one and must come back with it, so that
//!   one that gave up leaves no member behind. Static members need not.
//! - In version 0 the session timeout is the rebalance timeout, too.

use std::net::IpAddr;
use std::time::Duration;

use klamm_protocol::api::join_group::{Member, Request, Response};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::random::Random;

use super::check_group_id;
use crate::group::classic::{Identity, Join, JoinRefusal, Joined, Limits, Protocol};
use crate::group::shard::command::Command;
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let version = call.version;
    let member_id = request.member_id.clone();
    let refuse = move |code| refused(version, JoinRefusal { code, member_id });
    if let Err(code) = check(&call, &request) {
        return Reply::Now(refuse(code));
    }
    let group = request.group_id.clone();
    let join = translate(&call, request);
    let command = |answer| Command::Join(group.clone(), join, answer);
    let asked = call.node.groups.shards.ask(&call.node, &group, command).await;
    Reply::later(async move {
        match asked.answer().await {
            Ok(Ok(joined)) => respond(joined),
            Ok(Err(refusal)) => refused(version, refusal),
            Err(code) => refuse(code),
        }
    })
}

fn check(call: &Call, request: &Request) -> Result<(), ErrorCode> {
    check_group_id(&request.group_id)?;
    let limits = Limits::from(&call.node.config().groups);
    match limits.allows_session(millis(request.session_timeout_ms)) {
        true => Ok(()),
        false => Err(ErrorCode::INVALID_SESSION_TIMEOUT),
    }
}

fn translate(call: &Call, request: Request) -> Join {
    let session_timeout = millis(request.session_timeout_ms);
    let rebalance_timeout = match request.rebalance_timeout_ms {
        ..0 => session_timeout,
        timeout => millis(timeout),
    };
    let protocol = |it: klamm_protocol::api::join_group::Protocol| Protocol {
        name: it.name,
        metadata: it.metadata,
    };
    Join {
        token: call.node.groups.next_token(),
        id_required: call.version >= 4 && request.group_instance_id.is_none(),
        member: Identity { member_id: request.member_id, instance_id: request.group_instance_id },
        uuid: Random::new().uuid(),
        client_id: call.client_id.clone(),
        client_host: host(call.peer.address.ip()),
        session_timeout,
        rebalance_timeout,
        protocol_type: request.protocol_type,
        protocols: request.protocols.into_iter().map(protocol).collect(),
        skips_assignment: call.version >= 9,
    }
}

fn millis(millis: i32) -> Duration {
    Duration::from_millis(millis.max(0).unsigned_abs().into())
}

/// An address as Java writes it, with the name that was not looked up before the slash.
pub(super) fn host(address: IpAddr) -> Str {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("/{address}").into(),
        IpAddr::V6(address) => {
            let parts = address.segments().map(|part| format!("{part:x}"));
            format!("/{}", parts.join(":")).into()
        }
    }
}

fn respond(joined: Joined) -> Response {
    let member = |member: crate::group::classic::JoinedMember| Member {
        member_id: member.member_id,
        group_instance_id: member.instance_id,
        metadata: member.metadata,
    };
    Response {
        generation_id: joined.generation,
        protocol_type: joined.protocol_type,
        protocol_name: joined.protocol,
        leader: joined.leader,
        skip_assignment: joined.skip_assignment,
        member_id: joined.member_id,
        members: joined.members.into_iter().map(member).collect(),
        ..Response::default()
    }
}

fn refused(version: i16, refusal: JoinRefusal) -> Response {
    Response {
        error_code: refusal.code,
        member_id: refusal.member_id,
        protocol_name: (version < 7).then(Str::default),
        ..Response::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_written_as_by_java() {
        let check = |address: &str, written| assert_eq!(host(address.parse().unwrap()), written);
        check("127.0.0.1", "/127.0.0.1");
        check("::ffff:10.0.0.7", "/10.0.0.7");
        check("::1", "/0:0:0:0:0:0:0:1");
        check("2001:db8::a0", "/2001:db8:0:0:0:0:0:a0");
    }
}
