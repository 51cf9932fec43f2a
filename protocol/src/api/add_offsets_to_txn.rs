//! AddOffsetsToTxn: tells a transaction that it will commit offsets of a group.
//!
//! | version | adds |
//! |---|---|
//! | 2 | the error PRODUCER_FENCED (KIP-588) |
//! | 3 | flexible form |
//! | 4 | the error TRANSACTION_ABORTABLE (KIP-890) |
//!
//! The coordinator of the transaction adds the partition that keeps the offsets of the group. The
//! offsets themselves follow with [`txn_offset_commit`](super::txn_offset_commit).

crate::api! {
    /// Tells a transaction that it will commit offsets of a group.
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
