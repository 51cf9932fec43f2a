//! AlterPartitionReassignments: to be described.

crate::api! {
    /// To be described.
    AlterPartitionReassignments = 45, versions 0..=1, flexible 0..;

    struct Request {
        timeout_ms: i32 = 60000,
        allow_replication_factor_change: bool [1..; must] = true,
        topics: Vec<Topic>,
    }
    struct Topic {
        name: Str,
        partitions: Vec<Partition>,
    }
    struct Partition {
        partition_index: i32,
        replicas: Option<Vec<i32>>,
    }

    struct Response {
        throttle_time_ms: i32,
        allow_replication_factor_change: bool [1..] = true,
        error_code: ErrorCode,
        error_message: Option<Str>,
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
    }
}
