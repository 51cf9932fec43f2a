//! DescribeProducers: lists the producers that write to a partition.
//!
//! For finding transactions that hang (KIP-664). Answered by the leader of the partition.

crate::api! {
    /// Lists the producers that write to a partition.
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
        /// Of the last record; -1 where unknown.
        last_sequence: i32 = -1,
        /// When it last wrote, in milliseconds; -1 where unknown.
        last_timestamp: i64 = -1,
        /// Of the coordinator that last wrote a marker; -1 where there was none.
        coordinator_epoch: i32,
        /// The first record of the open transaction; -1 where none is open.
        current_txn_start_offset: i64 = -1,
    }
}
