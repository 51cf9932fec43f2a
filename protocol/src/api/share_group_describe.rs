//! ShareGroupDescribe: describes share groups.
//!
//! Versions begin at 1; version 0 was a preview (KIP-932).

crate::api! {
    /// Describes share groups.
    ShareGroupDescribe = 77, versions 1..=1, flexible 0..;

    struct Request {
        group_ids: Vec<Str>,
        include_authorized_operations: bool,
    }

    struct Response {
        throttle_time_ms: i32,
        groups: Vec<GroupAnswer>,
    }
    struct GroupAnswer {
        error_code: ErrorCode,
        error_message: Option<Str>,
        group_id: Str,
        /// Empty, Stable or Dead; empty text on error.
        group_state: Str,
        /// Rises whenever members or subscriptions change.
        group_epoch: i32,
        /// The group epoch that the assignment was made for.
        assignment_epoch: i32,
        assignor_name: Str,
        members: Vec<Member>,
        /// One bit for each permitted operation; `i32::MIN` where it was not asked for.
        authorized_operations: i32 = i32::MIN,
    }
    struct Member {
        member_id: Str,
        rack_id: Option<Str>,
        member_epoch: i32,
        client_id: Str,
        client_host: Str,
        subscribed_topic_names: Vec<Str>,
        assignment: Assignment,
    }
    struct Assignment {
        topic_partitions: Vec<TopicPartitions>,
    }
    struct TopicPartitions {
        topic_id: Uuid,
        topic_name: Str,
        partitions: Vec<i32>,
    }
}
