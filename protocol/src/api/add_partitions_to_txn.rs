//! AddPartitionsToTxn: to be described.

crate::api! {
    /// To be described.
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
        verify_only: bool,
        topics: Vec<Topic>,
    }
    struct Topic {
        name: Str,
        partitions: Vec<i32>,
    }

    struct Response {
        throttle_time_ms: i32,
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
        partition_error_code: ErrorCode,
    }
}
