//! EndTxn: to be described.

crate::api! {
    /// To be described.
    EndTxn = 26, versions 0..=5, flexible 3..;

    struct Request {
        transactional_id: Str,
        producer_id: i64,
        producer_epoch: i16,
        committed: bool,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        producer_id: i64                [5..] = -1,
        producer_epoch: i16             [5..] = -1,
    }
}
