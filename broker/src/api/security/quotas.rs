//! DescribeClientQuotas: lists the limits set for clients. Versions 0 and 1.

use std::collections::BTreeSet;

use klamm_protocol::api::describe_client_quotas::{Component, Request, Response};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::server::{Call, Reply};

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";
const ENTITY_TYPES: [&str; 3] = [USER, CLIENT_ID, IP];
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
        if entity_type.is_empty() {
            return invalid("Invalid empty entity type.");
        }
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
    check_combination(&seen)
}

/// Who is limited by an address is not limited by a name.
fn check_combination(kinds: &BTreeSet<&Str>) -> Result<(), (ErrorCode, String)> {
    let has = |kind: &str| kinds.iter().any(|it| it.as_str() == kind);
    if has(IP) && (has(USER) || has(CLIENT_ID)) {
        let message = "Invalid entity filter component combination. IP filter component should \
                       not be used with user or clientId filter component.";
        return Err((ErrorCode::INVALID_REQUEST, message.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_types(types: &[&str]) -> Result<(), (ErrorCode, String)> {
        let component = |entity_type: &&str| Component {
            entity_type: (*entity_type).into(),
            match_type: ANY,
            match_value: None,
        };
        check(&types.iter().map(component).collect::<Vec<_>>())
    }

    #[test]
    fn addresses_and_names_do_not_go_together() {
        for types in [&[][..], &["ip"], &["user"], &["client-id"], &["user", "client-id"]] {
            assert_eq!(check_types(types), Ok(()), "{types:?}");
        }
        let message = "Invalid entity filter component combination. IP filter component should \
                       not be used with user or clientId filter component.";
        let refused = Err((ErrorCode::INVALID_REQUEST, message.to_owned()));
        for types in [&["ip", "user"][..], &["client-id", "ip"], &["user", "ip", "client-id"]] {
            assert_eq!(check_types(types), refused, "{types:?}");
        }
    }

    #[test]
    fn an_entity_has_a_type_that_is_known_once() {
        let invalid = |message: &str| Err((ErrorCode::INVALID_REQUEST, message.to_owned()));
        assert_eq!(check_types(&[""]), invalid("Invalid empty entity type."));
        let twice = "Entity type user cannot appear more than once in the filter.";
        assert_eq!(check_types(&["user", "user"]), invalid(twice));
        let unknown = "Unsupported entity type dog".to_owned();
        assert_eq!(check_types(&["dog"]), Err((ErrorCode::UNSUPPORTED_VERSION, unknown)));
    }
}
