//! OffsetCommit: to be described.

crate::api! {
    /// To be described.
    OffsetCommit = 8, versions 2..=10, flexible 8..;

    struct Request {
        group_id: Str,
        generation_id_or_member_epoch: i32 = -1,
        member_id: Str,
        group_instance_id: Option<Str>  [7..; must],
        retention_time_ms: i64          [..=4] = -1,
        topics: Vec<Topic>,
    }
    struct Topic {
        name: Str                       [..=9],
        topic_id: Uuid                  [10..],
        partitions: Vec<Partition>,
    }
    struct Partition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32     [6..] = -1,
        committed_metadata: Option<Str>,
    }

    struct Response {
        throttle_time_ms: i32           [3..],
        topics: Vec<TopicAnswer>,
    }
    struct TopicAnswer {
        name: Str                       [..=9],
        topic_id: Uuid                  [10..],
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        error_code: ErrorCode,
    }
}
