//! CreateDelegationToken: to be described.

crate::api! {
    /// To be described.
    CreateDelegationToken = 38, versions 1..=3, flexible 2..;

    struct Request {
        owner_principal_type: Option<Str> [3..; must],
        owner_principal_name: Option<Str> [3..; must],
        renewers: Vec<Renewer>,
        max_lifetime_ms: i64,
    }
    struct Renewer {
        principal_type: Str,
        principal_name: Str,
    }

    struct Response {
        error_code: ErrorCode,
        principal_type: Str,
        principal_name: Str,
        token_requester_principal_type: Str [3..],
        token_requester_principal_name: Str [3..],
        issue_timestamp_ms: i64,
        expiry_timestamp_ms: i64,
        max_timestamp_ms: i64,
        token_id: Str,
        hmac: Bytes,
        throttle_time_ms: i32,
    }
}
