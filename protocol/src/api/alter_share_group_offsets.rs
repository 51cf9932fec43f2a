//! AlterShareGroupOffsets: moves a share group to other places in its partitions.
//!
//! Only for a group without members (KIP-932).

crate::api! {
    /// Moves a share group to other places in its partitions.
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
        /// The first record to hand out.
        start_offset: i64,
    }

    struct Response {
        throttle_time_ms: i32,
        /// What is wrong with the request as a whole.
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
