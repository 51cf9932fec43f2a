//! DescribeTopicPartitions: describes topics page by page.
//!
//! Unlike Metadata it bounds the size of an answer, and tells the replicas that may lead although
//! they are not in sync (KIP-966).

crate::api! {
    /// Describes topics page by page.
    DescribeTopicPartitions = 75, versions 0..=0, flexible 0..;

    struct Request {
        /// Empty asks for all.
        topics: Vec<Topic>,
        /// The broker may stop sooner.
        response_partition_limit: i32 = 2000,
        /// Where to begin; null at the first topic.
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
        /// Where the next request shall begin; null where this was all.
        next_cursor: Option<Cursor>,
    }
    struct TopicAnswer {
        error_code: ErrorCode,
        /// Null only where an error says why.
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
        /// -1 where there is none.
        leader_id: i32,
        /// -1 where unknown.
        leader_epoch: i32 = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        /// Out of sync, yet with every committed record; null where it is not known.
        eligible_leader_replicas: Option<Vec<i32>>,
        /// The last such replicas before all were lost; null where it is not known.
        last_known_elr: Option<Vec<i32>>,
        offline_replicas: Vec<i32>,
    }
}
