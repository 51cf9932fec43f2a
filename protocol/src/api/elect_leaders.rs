//! ElectLeaders: to be described.

crate::api! {
    /// To be described.
    ElectLeaders = 43, versions 0..=2, flexible 2..;

    struct Request {
        election_type: i8               [1..; must],
        topic_partitions: Option<Vec<Topic>>,
        timeout_ms: i32 = 60000,
    }
    struct Topic {
        topic: Str,
        partitions: Vec<i32>,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode           [1..],
        replica_election_results: Vec<TopicAnswer>,
    }
    struct TopicAnswer {
        topic: Str,
        partition_result: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_id: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
