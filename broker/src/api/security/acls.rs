//! DescribeAcls, CreateAcls and DeleteAcls, versions 1 to 3: there is no authorizer that would
//! keep rules.

use klamm_protocol::api::{create_acls, delete_acls, describe_acls};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::server::{Call, Reply};

pub(crate) async fn describe(
    _call: Call,
    _request: describe_acls::Request,
) -> Reply<describe_acls::Response> {
    Reply::Now(describe_acls::Response {
        error_code: ErrorCode::SECURITY_DISABLED,
        error_message: Some(Str::from_static("No Authorizer is configured on the broker")),
        ..describe_acls::Response::default()
    })
}

pub(crate) async fn create(
    _call: Call,
    request: create_acls::Request,
) -> Reply<create_acls::Response> {
    let refuse = |_| create_acls::CreationAnswer {
        error_code: ErrorCode::SECURITY_DISABLED,
        error_message: Some(NO_AUTHORIZER),
    };
    let results = request.creations.into_iter().map(refuse).collect();
    Reply::Now(create_acls::Response { results, ..create_acls::Response::default() })
}

pub(crate) async fn delete(
    _call: Call,
    request: delete_acls::Request,
) -> Reply<delete_acls::Response> {
    let refuse = |_| delete_acls::FilterAnswer {
        error_code: ErrorCode::SECURITY_DISABLED,
        error_message: Some(NO_AUTHORIZER),
        ..delete_acls::FilterAnswer::default()
    };
    let filter_results = request.filters.into_iter().map(refuse).collect();
    Reply::Now(delete_acls::Response { filter_results, ..delete_acls::Response::default() })
}

const NO_AUTHORIZER: Str = Str::from_static("No Authorizer is configured.");
