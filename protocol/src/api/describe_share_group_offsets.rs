//! DescribeShareGroupOffsets: to be described.

crate::api! {
    /// To be described.
    DescribeShareGroupOffsets = 90, versions 0..=1, flexible 0..;

    struct Request {
        groups: Vec<Group>,
    }
    struct Group {
        group_id: Str,
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
        start_offset: i64,
        leader_epoch: i32,
        lag: i64                        [1..] = -1,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
