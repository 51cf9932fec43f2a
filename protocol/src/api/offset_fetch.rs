//! OffsetFetch: to be described.

crate::api! {
    /// To be described.
    OffsetFetch = 9, versions 1..=10, flexible 6..;

    struct Request {
        group_id: Str                   [..=7; must],
        topics: Option<Vec<Topic>>      [..=7, null 2..=7; must] = Some(Vec::new()),
        groups: Vec<Group>              [8..; must],
        require_stable: bool            [7..; must],
    }
    struct Topic {
        name: Str,
        partition_indexes: Vec<i32>,
    }
    struct Group {
        group_id: Str,
        member_id: Option<Str>          [9..],
        member_epoch: i32               [9..] = -1,
        topics: Option<Vec<GroupTopic>>,
    }
    struct GroupTopic {
        name: Str                       [..=9],
        topic_id: Uuid                  [10..],
        partition_indexes: Vec<i32>,
    }

    struct Response {
        throttle_time_ms: i32           [3..],
        topics: Vec<TopicAnswer>        [..=7],
        error_code: ErrorCode           [2..=7],
        groups: Vec<GroupAnswer>        [8..],
    }
    struct TopicAnswer {
        name: Str,
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32     [5..] = -1,
        metadata: Option<Str>,
        error_code: ErrorCode,
    }
    struct GroupAnswer {
        group_id: Str,
        topics: Vec<GroupTopicAnswer>,
        error_code: ErrorCode,
    }
    struct GroupTopicAnswer {
        name: Str                       [..=9],
        topic_id: Uuid                  [10..],
        partitions: Vec<GroupPartitionAnswer>,
    }
    struct GroupPartitionAnswer {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 = -1,
        metadata: Option<Str>,
        error_code: ErrorCode,
    }
}
