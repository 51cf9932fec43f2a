//! AlterShareGroupOffsets: to be described.

crate::api! {
    /// To be described.
    AlterShareGroupOffsets = 91, versions 0..=0, flexible 0..;

    struct Request {
        group_id: Str,
        topics: Vec<Topic>,
    }
    struct Topic {
        topic_name: Str,
        partitions: Vec<Partition>,
    }
    struct Partition {
        partition_index: i32,
        start_offset: i64,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        topics: Vec<TopicAnswer>,
    }
    struct TopicAnswer {
        topic_name: Str,
        topic_id: Uuid,
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
