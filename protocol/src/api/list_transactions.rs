//! ListTransactions: to be described.

crate::api! {
    /// To be described.
    ListTransactions = 66, versions 0..=2, flexible 0..;

    struct Request {
        state_filters: Vec<Str>,
        producer_id_filters: Vec<i64>,
        duration_filter: i64            [1..; must] = -1,
        transactional_id_pattern: Option<Str> [2..; must],
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        unknown_state_filters: Vec<Str>,
        transaction_states: Vec<Transaction>,
    }
    struct Transaction {
        transactional_id: Str,
        producer_id: i64,
        transaction_state: Str,
    }
}
