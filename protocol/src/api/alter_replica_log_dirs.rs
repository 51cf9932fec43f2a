//! AlterReplicaLogDirs: to be described.

crate::api! {
    /// To be described.
    AlterReplicaLogDirs = 34, versions 1..=2, flexible 2..;

    struct Request {
        dirs: Vec<Dir>,
    }
    struct Dir {
        path: Str,
        topics: Vec<Topic>,
    }
    struct Topic {
        name: Str,
        partitions: Vec<i32>,
    }

    struct Response {
        throttle_time_ms: i32,
        results: Vec<TopicAnswer>,
    }
    struct TopicAnswer {
        topic_name: Str,
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        error_code: ErrorCode,
    }
}
