//! ListGroups: lists the groups that this broker coordinates. Versions 0 to 5.
//!
//! - Groups of which only offsets are left, or that never had members, are among them.
//! - States and types are compared without regard to case. A name that is none lists nothing.
//! - While a part of the groups is still being read, the whole answer is an error, as in Kafka.

use std::collections::HashSet;

use klamm_protocol::api::list_groups::{Group, Request, Response};
use klamm_protocol::wire::Str;

use crate::group::shard::command::{Command, Listed};
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let asked = call.node.groups.shards.ask_all(Command::List).await;
    Reply::later(async move {
        let (states, types) =
            (Filter::new(&request.states_filter), Filter::new(&request.types_filter));
        let is_meant = |it: &Listed| states.includes(it.state) && types.includes(it.kind);
        let mut groups = Vec::new();
        for asked in asked {
            match asked.answer().await {
                Ok(listed) => groups.extend(listed.into_iter().filter(is_meant)),
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

/// Names of which one is wanted, in small letters; none for any.
struct Filter(HashSet<String>);

impl Filter {
    fn new(wanted: &[Str]) -> Self {
        Self(wanted.iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    fn includes(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.contains(&name.to_ascii_lowercase())
    }
}
