//! ShareGroupHeartbeat: to be described.

crate::api! {
    /// To be described.
    ShareGroupHeartbeat = 76, versions 1..=1, flexible 0..;

    struct Request {
        group_id: Str,
        member_id: Str,
        member_epoch: i32,
        rack_id: Option<Str>,
        subscribed_topic_names: Option<Vec<Str>>,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        member_id: Option<Str>,
        member_epoch: i32,
        heartbeat_interval_ms: i32,
        assignment: Option<Assignment>,
    }
    struct Assignment {
        topic_partitions: Vec<TopicPartitions>,
    }
    struct TopicPartitions {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }
}
