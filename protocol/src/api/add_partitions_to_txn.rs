//! AddPartitionsToTxn: adds partitions to a transaction before anything is written to them.
//!
//! | version | adds |
//! |---|---|
//! | 2 | the error PRODUCER_FENCED (KIP-588) |
//! | 3 | flexible form |
//! | 4 | many transactions at once, and a mere check (KIP-890) |
//! | 5 | the error TRANSACTION_ABORTABLE (KIP-890) |
//!
//! Clients send versions up to 3, in which the only transaction stands in the message itself. From
//! version 4 on brokers send it to a coordinator, with `transactions`.

crate::api! {
    /// Adds partitions to a transaction before anything is written to them.
    AddPartitionsToTxn = 24, versions 0..=5, flexible 3..;

    struct Request {
        transactions: Vec<Transaction>  [4..; must],
        v3_and_below_transactional_id: Str [..=3; must],
        v3_and_below_producer_id: i64   [..=3; must],
        v3_and_below_producer_epoch: i16 [..=3; must],
        v3_and_below_topics: Vec<Topic> [..=3; must],
    }
    struct Transaction {
        transactional_id: Str,
        producer_id: i64,
        producer_epoch: i16,
        /// Asks whether the partitions are part of the transaction, and adds none.
        verify_only: bool,
        topics: Vec<Topic>,
    }
    struct Topic {
        name: Str,
        partitions: Vec<i32>,
    }

    struct Response {
        throttle_time_ms: i32,
        /// What is wrong with the request as a whole.
        error_code: ErrorCode           [4..],
        results_by_transaction: Vec<TransactionAnswer> [4..],
        results_by_topic_v3_and_below: Vec<TopicAnswer> [..=3],
    }
    struct TransactionAnswer {
        transactional_id: Str,
        topic_results: Vec<TopicAnswer>,
    }
    struct TopicAnswer {
        name: Str,
        results_by_partition: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        /// OPERATION_NOT_ATTEMPTED where another partition was refused: all are added, or none.
        partition_error_code: ErrorCode,
    }
}
