//! DescribeTopicPartitions: to be described.

crate::api! {
    /// To be described.
    DescribeTopicPartitions = 75, versions 0..=0, flexible 0..;

    struct Request {
        topics: Vec<Topic>,
        response_partition_limit: i32 = 2000,
        cursor: Option<Cursor>,
    }
    struct Topic {
        name: Str,
    }
    struct Cursor {
        topic_name: Str,
        partition_index: i32,
    }

    struct Response {
        throttle_time_ms: i32,
        topics: Vec<TopicAnswer>,
        next_cursor: Option<Cursor>,
    }
    struct TopicAnswer {
        error_code: ErrorCode,
        name: Option<Str>,
        topic_id: Uuid,
        is_internal: bool,
        partitions: Vec<PartitionAnswer>,
        /// One bit for each permitted operation; `i32::MIN` where it was not asked for.
        topic_authorized_operations: i32 = i32::MIN,
    }
    struct PartitionAnswer {
        error_code: ErrorCode,
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32 = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        eligible_leader_replicas: Option<Vec<i32>>,
        last_known_elr: Option<Vec<i32>>,
        offline_replicas: Vec<i32>,
    }
}
