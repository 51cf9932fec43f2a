//! RenewDelegationToken: to be described.

crate::api! {
    /// To be described.
    RenewDelegationToken = 39, versions 1..=2, flexible 2..;

    struct Request {
        hmac: Bytes,
        renew_period_ms: i64,
    }

    struct Response {
        error_code: ErrorCode,
        expiry_timestamp_ms: i64,
        throttle_time_ms: i32,
    }
}
