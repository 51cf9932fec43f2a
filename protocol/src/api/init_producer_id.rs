//! InitProducerId: gives a producer its id and epoch.
//!
//! | version | adds |
//! |---|---|
//! | 2 | flexible form |
//! | 3 | the id and epoch that a producer already has, so that it can go on with them (KIP-360) |
//! | 4 | the error PRODUCER_FENCED (KIP-588) |
//! | 5 | the error TRANSACTION_ABORTABLE (KIP-890) |
//!
//! A transaction of the same transactional id that is still open is aborted, and its producer
//! fenced.

crate::api! {
    /// Gives a producer its id and epoch.
    InitProducerId = 22, versions 0..=5, flexible 2..;

    struct Request {
        /// Null for a producer that is only idempotent.
        transactional_id: Option<Str>,
        transaction_timeout_ms: i32,
        /// -1 for a producer that has none.
        producer_id: i64                [3..; must] = -1,
        /// -1 for a producer that has none.
        producer_epoch: i16             [3..; must] = -1,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        /// -1 on error.
        producer_id: i64 = -1,
        producer_epoch: i16,
    }
}
