//! DescribeTransactions: to be described.

crate::api! {
    /// To be described.
    DescribeTransactions = 65, versions 0..=0, flexible 0..;

    struct Request {
        transactional_ids: Vec<Str>,
    }

    struct Response {
        throttle_time_ms: i32,
        transaction_states: Vec<Transaction>,
    }
    struct Transaction {
        error_code: ErrorCode,
        transactional_id: Str,
        transaction_state: Str,
        transaction_timeout_ms: i32,
        transaction_start_time_ms: i64,
        producer_id: i64,
        producer_epoch: i16,
        topics: Vec<Topic>,
    }
    struct Topic {
        topic: Str,
        partitions: Vec<i32>,
    }
}
