//! ListTransactions: lists the transactions that a broker coordinates.
//!
//! | version | adds |
//! |---|---|
//! | 1 | a choice by duration (KIP-994) |
//! | 2 | a choice by a pattern of the transactional id (KIP-1152) |
//!
//! Each broker knows only its own transactions (KIP-664): to see them all, ask every broker.

crate::api! {
    /// Lists the transactions that a broker coordinates.
    ListTransactions = 66, versions 0..=2, flexible 0..;

    struct Request {
        /// Empty lists transactions in any state.
        state_filters: Vec<Str>,
        /// Empty lists those of any producer.
        producer_id_filters: Vec<i64>,
        /// Lists only what has been open for longer than so many milliseconds; below 0 for all.
        duration_filter: i64            [1..; must] = -1,
        /// A regular expression; null or empty lists any.
        transactional_id_pattern: Option<Str> [2..; must],
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        /// The states asked for that do not exist.
        unknown_state_filters: Vec<Str>,
        transaction_states: Vec<Transaction>,
    }
    struct Transaction {
        transactional_id: Str,
        producer_id: i64,
        /// As in [`describe_transactions`](super::describe_transactions).
        transaction_state: Str,
    }
}
