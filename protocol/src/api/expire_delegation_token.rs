//! ExpireDelegationToken: lets a delegation token end sooner.
//!
//! | version | adds |
//! |---|---|
//! | 2 | flexible form |

crate::api! {
    /// Lets a delegation token end sooner.
    ExpireDelegationToken = 40, versions 1..=2, flexible 2..;

    struct Request {
        /// As the answer to CreateDelegationToken gave it.
        hmac: Bytes,
        /// Counted from now; below 0 ends it at once.
        expiry_time_period_ms: i64,
    }

    struct Response {
        error_code: ErrorCode,
        /// The new end, in milliseconds since 1970.
        expiry_timestamp_ms: i64,
        throttle_time_ms: i32,
    }
}
