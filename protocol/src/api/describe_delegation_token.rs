//! DescribeDelegationToken: to be described.

crate::api! {
    /// To be described.
    DescribeDelegationToken = 41, versions 1..=3, flexible 2..;

    struct Request {
        owners: Option<Vec<Owner>>,
    }
    struct Owner {
        principal_type: Str,
        principal_name: Str,
    }

    struct Response {
        error_code: ErrorCode,
        tokens: Vec<Token>,
        throttle_time_ms: i32,
    }
    struct Token {
        principal_type: Str,
        principal_name: Str,
        token_requester_principal_type: Str [3..],
        token_requester_principal_name: Str [3..],
        issue_timestamp: i64,
        expiry_timestamp: i64,
        max_timestamp: i64,
        token_id: Str,
        hmac: Bytes,
        renewers: Vec<Renewer>,
    }
    struct Renewer {
        principal_type: Str,
        principal_name: Str,
    }
}
