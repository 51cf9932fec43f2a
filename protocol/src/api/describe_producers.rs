//! DescribeProducers: to be described.

crate::api! {
    /// To be described.
    DescribeProducers = 61, versions 0..=0, flexible 0..;

    struct Request {
        topics: Vec<Topic>,
    }
    struct Topic {
        name: Str,
        partition_indexes: Vec<i32>,
    }

    struct Response {
        throttle_time_ms: i32,
        topics: Vec<TopicAnswer>,
    }
    struct TopicAnswer {
        name: Str,
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        active_producers: Vec<Producer>,
    }
    struct Producer {
        producer_id: i64,
        producer_epoch: i32,
        last_sequence: i32 = -1,
        last_timestamp: i64 = -1,
        coordinator_epoch: i32,
        current_txn_start_offset: i64 = -1,
    }
}
