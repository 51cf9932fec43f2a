//! ListPartitionReassignments: lists the partitions that are moving to other brokers.
//!
//! Part of KIP-455.

crate::api! {
    /// Lists the partitions that are moving to other brokers.
    ListPartitionReassignments = 46, versions 0..=0, flexible 0..;

    struct Request {
        timeout_ms: i32 = 60000,
        /// Null asks for all.
        topics: Option<Vec<Topic>>,
    }
    struct Topic {
        name: Str,
        partition_indexes: Vec<i32>,
    }

    struct Response {
        throttle_time_ms: i32,
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
        /// All that hold it now, also those on their way in or out.
        replicas: Vec<i32>,
        adding_replicas: Vec<i32>,
        removing_replicas: Vec<i32>,
    }
}
