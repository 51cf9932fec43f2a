//! CreateDelegationToken: creates a token that lets others act for a user for some time.
//!
//! | version | adds |
//! |---|---|
//! | 2 | flexible form |
//! | 3 | tokens on behalf of another user (KIP-373) |
//!
//! Tokens are of KIP-48. All timestamps are milliseconds since 1970.

crate::api! {
    /// Creates a token that lets others act for a user for some time.
    CreateDelegationToken = 38, versions 1..=3, flexible 2..;

    struct Request {
        /// Null where the owner is the one who asks.
        owner_principal_type: Option<Str> [3..; must],
        /// Null where the owner is the one who asks.
        owner_principal_name: Option<Str> [3..; must],
        /// Who may renew the token besides its owner.
        renewers: Vec<Renewer>,
        /// -1 leaves it to the broker.
        max_lifetime_ms: i64,
    }
    struct Renewer {
        principal_type: Str,
        principal_name: Str,
    }

    struct Response {
        error_code: ErrorCode,
        /// Of the owner.
        principal_type: Str,
        /// Of the owner.
        principal_name: Str,
        token_requester_principal_type: Str [3..],
        token_requester_principal_name: Str [3..],
        issue_timestamp_ms: i64,
        /// When the token ends unless it is renewed.
        expiry_timestamp_ms: i64,
        /// Past which it cannot be renewed.
        max_timestamp_ms: i64,
        token_id: Str,
        /// The secret, which is also the handle for renewing and expiring the token.
        hmac: Bytes,
        throttle_time_ms: i32,
    }
}
