//! ShareGroupHeartbeat: keeps a client in a share group, and tells it what to read.
//!
//! Versions begin at 1; version 0 was a preview (KIP-932). Both sides send only what changed, as in
//! [`consumer_group_heartbeat`](super::consumer_group_heartbeat).

crate::api! {
    /// Keeps a client in a share group, and tells it what to read.
    ShareGroupHeartbeat = 76, versions 1..=1, flexible 0..;

    struct Request {
        group_id: Str,
        /// Chosen by the client.
        member_id: Str,
        /// 0 to join, -1 to leave, else as last answered.
        member_epoch: i32,
        /// Null where there is none, or it did not change.
        rack_id: Option<Str>,
        /// Null where it did not change.
        subscribed_topic_names: Option<Vec<Str>>,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        member_id: Option<Str>,
        /// To be sent with the next heartbeat.
        member_epoch: i32,
        /// When to send the next one.
        heartbeat_interval_ms: i32,
        /// What the member reads; null where it did not change.
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
