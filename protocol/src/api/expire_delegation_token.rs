//! ExpireDelegationToken: to be described.

crate::api! {
    /// To be described.
    ExpireDelegationToken = 40, versions 1..=2, flexible 2..;

    struct Request {
        hmac: Bytes,
        expiry_time_period_ms: i64,
    }

    struct Response {
        error_code: ErrorCode,
        expiry_timestamp_ms: i64,
        throttle_time_ms: i32,
    }
}
