//! ConsumerGroupHeartbeat: keeps a client in a group of the new protocol, and tells it what to
//! read.
//!
//! | version | adds |
//! |---|---|
//! | 1 | subscription by pattern (KIP-848), member ids chosen by clients (KIP-1082) |
//!
//! The one request of the protocol of KIP-848: it joins, stays and leaves. Client and coordinator
//! each send in full what changed since the last time, and null (or -1) for all that did not. The
//! first heartbeat says everything.

crate::api! {
    /// Keeps a client in a group of the new protocol, and tells it what to read.
    ConsumerGroupHeartbeat = 68, versions 0..=1, flexible 0..;

    struct Request {
        group_id: Str,
        /// Chosen by the client from version 1 on; at version 0 it may be empty at first, and the
        /// coordinator chooses.
        member_id: Str,
        /// 0 to join, -1 to leave, -2 where a static member leaves for a while, else as last
        /// answered.
        member_epoch: i32,
        /// Null where there is none, or it did not change.
        instance_id: Option<Str>,
        /// Null where there is none, or it did not change.
        rack_id: Option<Str>,
        /// How long the member may take to give partitions up; -1 where it did not change.
        rebalance_timeout_ms: i32 = -1,
        /// Null where it did not change.
        subscribed_topic_names: Option<Vec<Str>>,
        /// Null where it did not change.
        subscribed_topic_regex: Option<Str> [1..; must],
        /// Null where the coordinator may choose, or it did not change.
        server_assignor: Option<Str>,
        /// What the member holds now; null where it did not change.
        topic_partitions: Option<Vec<TopicPartitions>>,
    }
    struct TopicPartitions {
        topic_id: Uuid,
        partitions: Vec<i32>,
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
        /// What the member shall hold; null where it did not change.
        assignment: Option<Assignment>,
    }
    struct Assignment {
        topic_partitions: Vec<TopicPartitions>,
    }
}
