//! EndTxn: commits or aborts a transaction.
//!
//! | version | adds |
//! |---|---|
//! | 2 | the error PRODUCER_FENCED (KIP-588) |
//! | 3 | flexible form |
//! | 4 | the error TRANSACTION_ABORTABLE (KIP-890) |
//! | 5 | a new producer epoch after every transaction (KIP-890) |
//!
//! The answer comes once the outcome is decided for good; the markers that tell the partitions are
//! written afterwards.

crate::api! {
    /// Commits or aborts a transaction.
    EndTxn = 26, versions 0..=5, flexible 3..;

    struct Request {
        transactional_id: Str,
        producer_id: i64,
        producer_epoch: i16,
        /// Whether to commit it rather than to abort it.
        committed: bool,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        /// For the next transaction; -1 on error.
        producer_id: i64                [5..] = -1,
        /// For the next transaction; -1 on error.
        producer_epoch: i16             [5..] = -1,
    }
}
