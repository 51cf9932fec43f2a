//! DescribeShareGroupOffsets: tells where share groups stand in their partitions.
//!
//! | version | adds |
//! |---|---|
//! | 1 | how far each is behind (KIP-1226) |
//!
//! Part of KIP-932.

crate::api! {
    /// Tells where share groups stand in their partitions.
    DescribeShareGroupOffsets = 90, versions 0..=1, flexible 0..;

    struct Request {
        groups: Vec<Group>,
    }
    struct Group {
        group_id: Str,
        /// Null asks for all.
        topics: Option<Vec<Topic>>,
    }
    struct Topic {
        topic_name: Str,
        partitions: Vec<i32>,
    }

    struct Response {
        throttle_time_ms: i32,
        groups: Vec<GroupAnswer>,
    }
    struct GroupAnswer {
        group_id: Str,
        topics: Vec<TopicAnswer>,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
    struct TopicAnswer {
        topic_name: Str,
        topic_id: Uuid,
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        /// Every record below it is done with; -1 where the group has not begun.
        start_offset: i64,
        leader_epoch: i32,
        /// How many records are still to be done; -1 where unknown.
        lag: i64                        [1..] = -1,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
