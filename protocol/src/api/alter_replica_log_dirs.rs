//! AlterReplicaLogDirs: moves replicas to other directories of the same broker.
//!
//! | version | adds |
//! |---|---|
//! | 2 | flexible form |
//!
//! Answered by each broker for its own replicas, once the copy has begun (KIP-113).

crate::api! {
    /// Moves replicas to other directories of the same broker.
    AlterReplicaLogDirs = 34, versions 1..=2, flexible 2..;

    struct Request {
        dirs: Vec<Dir>,
    }
    struct Dir {
        /// Absolute, and one of those the broker was configured with.
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
