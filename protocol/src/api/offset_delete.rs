//! OffsetDelete: forgets what a group has read of some partitions.
//!
//! The group may go on with its other topics, but must not be subscribed to these (KIP-496).

crate::api! {
    /// Forgets what a group has read of some partitions.
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
        /// What is wrong with the group as a whole; then there are no topics.
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
        /// GROUP_SUBSCRIBED_TO_TOPIC where the group still reads it.
        error_code: ErrorCode,
    }
}
