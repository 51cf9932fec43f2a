//! DescribeTransactions: describes the state of transactions.
//!
//! Answered by the coordinator of each transactional id (KIP-664).

crate::api! {
    /// Describes the state of transactions.
    DescribeTransactions = 65, versions 0..=0, flexible 0..;

    struct Request {
        transactional_ids: Vec<Str>,
    }

    struct Response {
        throttle_time_ms: i32,
        transaction_states: Vec<TransactionAnswer>,
    }
    struct TransactionAnswer {
        error_code: ErrorCode,
        transactional_id: Str,
        /// Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort, Dead or
        /// PrepareEpochFence.
        transaction_state: Str,
        transaction_timeout_ms: i32,
        /// When it began; -1 where none is open.
        transaction_start_time_ms: i64,
        producer_id: i64,
        producer_epoch: i16,
        /// What takes part in the transaction and has no marker yet.
        topics: Vec<Topic>,
    }
    struct Topic {
        topic: Str,
        partitions: Vec<i32>,
    }
}
