//! TxnOffsetCommit: to be described.

crate::api! {
    /// To be described.
    TxnOffsetCommit = 28, versions 0..=5, flexible 3..;

    struct Request {
        transactional_id: Str,
        group_id: Str,
        producer_id: i64,
        producer_epoch: i16,
        generation_id: i32              [3..; must] = -1,
        member_id: Str                  [3..; must],
        group_instance_id: Option<Str>  [3..; must],
        topics: Vec<Topic>,
    }
    struct Topic {
        name: Str,
        partitions: Vec<Partition>,
    }
    struct Partition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32     [2..] = -1,
        committed_metadata: Option<Str>,
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
    }
}
