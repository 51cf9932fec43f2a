//! ListGroups: lists the groups that this broker coordinates. Versions 0 to 5.
//!
//! - Groups of which only offsets are left, or that never had members, are among them.
//! - States and types are compared without regard to case. A name that is none lists nothing.
//! - While a part of the groups is still being read, the whole answer is an error, as in Kafka.

use klamm_protocol::api::list_groups::{Group, Request, Response};
use klamm_protocol::wire::Str;

use crate::group::shard::command::{Command, Listed};
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let asked = call.node.groups.shards.ask_all(Command::List).await;
    Reply::later(async move {
        let mut groups = Vec::new();
        for asked in asked {
            match asked.answer().await {
                Ok(listed) => groups.extend(listed.into_iter().filter(|it| is_meant(&request, it))),
                Err(error_code) => return Response { error_code, ..Response::default() },
            }
        }
        let groups = groups.into_iter().map(|it| Group {
            group_id: it.group,
            protocol_type: it.protocol_type,
            group_state: Str::from_static(it.state),
            group_type: Str::from_static(it.kind),
        });
        Response { groups: groups.collect(), ..Response::default() }
    })
}

fn is_meant(request: &Request, listed: &Listed) -> bool {
    let is_among = |filter: &[Str], value: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    is_among(&request.states_filter, listed.state) && is_among(&request.types_filter, listed.kind)
}
