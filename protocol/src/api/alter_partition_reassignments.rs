//! AlterPartitionReassignments: moves partitions to other brokers, or stops such a move.
//!
//! | version | adds |
//! |---|---|
//! | 1 | leave to change the number of replicas, which can be refused (KIP-860) |
//!
//! The answer says that the move has begun;
//! [`list_partition_reassignments`](super::list_partition_reassignments) shows how it goes on
//! (KIP-455).

crate::api! {
    /// Moves partitions to other brokers, or stops such a move.
    AlterPartitionReassignments = 45, versions 0..=1, flexible 0..;

    struct Request {
        timeout_ms: i32 = 60000,
        /// Whether a partition may end up with more or fewer replicas than it has.
        allow_replication_factor_change: bool [1..; must] = true,
        topics: Vec<Topic>,
    }
    struct Topic {
        name: Str,
        partitions: Vec<Partition>,
    }
    struct Partition {
        partition_index: i32,
        /// The brokers that shall hold it, the preferred leader first; null stops a move under way.
        replicas: Option<Vec<i32>>,
    }

    struct Response {
        throttle_time_ms: i32,
        allow_replication_factor_change: bool [1..] = true,
        /// What is wrong with the request as a whole.
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
        /// NO_REASSIGNMENT_IN_PROGRESS where there was none to stop.
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
