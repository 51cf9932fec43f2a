//! DescribeDelegationToken: lists delegation tokens.
//!
//! | version | adds |
//! |---|---|
//! | 2 | flexible form |
//! | 3 | who asked for each token (KIP-373) |
//!
//! Only tokens that the client may see are listed, each with its secret. All timestamps are
//! milliseconds since 1970.

crate::api! {
    /// Lists delegation tokens.
    DescribeDelegationToken = 41, versions 1..=3, flexible 2..;

    struct Request {
        /// Null asks for those of all owners, empty for none.
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
        /// Of the owner.
        principal_type: Str,
        /// Of the owner.
        principal_name: Str,
        token_requester_principal_type: Str [3..],
        token_requester_principal_name: Str [3..],
        issue_timestamp: i64,
        /// When the token ends unless it is renewed.
        expiry_timestamp: i64,
        /// Past which it cannot be renewed.
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
