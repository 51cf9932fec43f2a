//! ShareFetch: to be described.

crate::api! {
    /// To be described.
    ShareFetch = 78, versions 1..=2, flexible 0..;

    struct Request {
        group_id: Option<Str>,
        member_id: Option<Str>,
        share_session_epoch: i32,
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 = i32::MAX,
        max_records: i32,
        batch_size: i32,
        share_acquire_mode: i8          [2..],
        is_renew_ack: bool              [2..; must],
        topics: Vec<Topic>,
        forgotten_topics: Vec<ForgottenTopic>,
    }
    struct Topic {
        topic_id: Uuid,
        partitions: Vec<Partition>,
    }
    struct Partition {
        partition_index: i32,
        acknowledgement_batches: Vec<AcknowledgementBatch>,
    }
    struct AcknowledgementBatch {
        first_offset: i64,
        last_offset: i64,
        acknowledge_types: Vec<i8>,
    }
    struct ForgottenTopic {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        acquisition_lock_timeout_ms: i32,
        topics: Vec<TopicAnswer>,
        node_endpoints: Vec<NodeEndpoint>,
    }
    struct TopicAnswer {
        topic_id: Uuid,
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        acknowledge_error_code: ErrorCode,
        acknowledge_error_message: Option<Str>,
        current_leader: Leader,
        records: Records,
        acquired_records: Vec<AcquiredBatch>,
    }
    struct Leader {
        leader_id: i32,
        leader_epoch: i32,
    }
    struct AcquiredBatch {
        first_offset: i64,
        last_offset: i64,
        delivery_count: i16,
    }
    struct NodeEndpoint {
        node_id: i32,
        host: Str,
        port: i32,
        rack: Option<Str>,
    }
}
