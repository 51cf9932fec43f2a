//! AddOffsetsToTxn: to be described.

crate::api! {
    /// To be described.
    AddOffsetsToTxn = 25, versions 0..=4, flexible 3..;

    struct Request {
        transactional_id: Str,
        producer_id: i64,
        producer_epoch: i16,
        group_id: Str,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
    }
}
