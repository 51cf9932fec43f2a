//! DescribeClientQuotas: lists the limits set for clients. Versions 0 and 1.

use std::collections::BTreeSet;

use klamm_protocol::api::describe_client_quotas::{Component, Request, Response};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::server::{Call, Reply};

const ENTITY_TYPES: [&str; 3] = ["user", "client-id", "ip"];
/// How a component matches: the name given, the default, any name.
const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;

pub(crate) async fn handle(_call: Call, request: Request) -> Reply<Response> {
    Reply::Now(match check(&request.components) {
        Ok(()) => Response {
            entries: Some(Vec::new()),
            error_message: Some(Str::default()),
            ..Response::default()
        },
        Err((error_code, message)) => {
            Response { error_code, error_message: Some(message.into()), ..Response::default() }
        }
    })
}

fn check(components: &[Component]) -> Result<(), (ErrorCode, String)> {
    let mut seen = BTreeSet::new();
    for component in components {
        let Component { entity_type, match_type, match_value } = component;
        let invalid = |message: &str| Err((ErrorCode::INVALID_REQUEST, message.to_owned()));
        if !ENTITY_TYPES.contains(&entity_type.as_str()) {
            let message = format!("Unsupported entity type {entity_type}");
            return Err((ErrorCode::UNSUPPORTED_VERSION, message));
        }
        if !seen.insert(entity_type) {
            return invalid(&format!(
                "Entity type {entity_type} cannot appear more than once in the filter."
            ));
        }
        match (*match_type, match_value) {
            (EXACT, Some(_)) | (DEFAULT | ANY, None) => {}
            (EXACT, None) => {
                return invalid(
                    "Request specified MATCH_TYPE_EXACT, but set match string to null.",
                );
            }
            (DEFAULT, Some(_)) => {
                return invalid(
                    "Request specified MATCH_TYPE_DEFAULT, but also specified a match string.",
                );
            }
            (ANY, Some(_)) => {
                return invalid(
                    "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.",
                );
            }
            (unknown, _) => return invalid(&format!("Unknown match type {unknown}")),
        }
    }
    Ok(())
}
