//! ListPartitionReassignments: to be described.

crate::api! {
    /// To be described.
    ListPartitionReassignments = 46, versions 0..=0, flexible 0..;

    struct Request {
        timeout_ms: i32 = 60000,
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
        replicas: Vec<i32>,
        adding_replicas: Vec<i32>,
        removing_replicas: Vec<i32>,
    }
}
