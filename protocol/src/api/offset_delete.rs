//! OffsetDelete: to be described.

crate::api! {
    /// To be described.
    OffsetDelete = 47, versions 0..=0;

    struct Request {
        group_id: Str,
        topics: Vec<Topic>,
    }
    struct Topic {
        name: Str,
        partitions: Vec<Partition>,
    }
    struct Partition {
        partition_index: i32,
    }

    struct Response {
        error_code: ErrorCode,
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
    }
}
