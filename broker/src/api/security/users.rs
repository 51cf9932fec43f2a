//! DescribeUserScramCredentials: lists which users have SCRAM credentials. Version 0.

use std::collections::BTreeMap;

use klamm_protocol::api::describe_user_scram_credentials::{Request, Response, UserAnswer};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::server::{Call, Reply};

pub(crate) async fn handle(_call: Call, request: Request) -> Reply<Response> {
    let mut named: Vec<(Str, usize)> = Vec::new();
    let mut places = BTreeMap::<Str, usize>::new();
    for user in request.users.unwrap_or_default() {
        let at = *places.entry(user.name.clone()).or_insert(named.len());
        match named.get_mut(at) {
            Some((_, times)) => *times += 1,
            None => named.push((user.name, 1)),
        }
    }
    let results = named.into_iter().map(|(user, times)| refuse(user, times > 1)).collect();
    Reply::Now(Response { results, error_message: Some(Str::default()), ..Response::default() })
}

fn refuse(user: Str, is_twice: bool) -> UserAnswer {
    let (error_code, message) = if is_twice {
        let message = "Cannot describe SCRAM credentials for the same user twice in a single \
                       request";
        (ErrorCode::DUPLICATE_RESOURCE, message)
    } else {
        let message = "Attempt to describe a user credential that does not exist";
        (ErrorCode::RESOURCE_NOT_FOUND, message)
    };
    let error_message = Some(format!("{message}: {user}").into());
    UserAnswer { user, error_code, error_message, ..UserAnswer::default() }
}
