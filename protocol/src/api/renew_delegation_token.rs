//! RenewDelegationToken: lets a delegation token live longer.
//!
//! | version | adds |
//! |---|---|
//! | 2 | flexible form |

crate::api! {
    /// Lets a delegation token live longer.
    RenewDelegationToken = 39, versions 1..=2, flexible 2..;

    struct Request {
        /// As the answer to CreateDelegationToken gave it.
        hmac: Bytes,
        /// Counted from now; below 0 leaves it to the broker.
        renew_period_ms: i64,
    }

    struct Response {
        error_code: ErrorCode,
        /// The new end, in milliseconds since 1970.
        expiry_timestamp_ms: i64,
        throttle_time_ms: i32,
    }
}
