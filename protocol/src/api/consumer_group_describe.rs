//! ConsumerGroupDescribe: describes groups of the new consumer protocol.
//!
//! | version | adds |
//! |---|---|
//! | 1 | whether a member speaks the classic protocol (KIP-1099) |
//!
//! Part of KIP-848.

crate::api! {
    /// Describes groups of the new consumer protocol.
    ConsumerGroupDescribe = 69, versions 0..=1, flexible 0..;

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
        /// Empty, Assigning, Reconciling, Stable or Dead; empty text on error.
        group_state: Str,
        /// Rises whenever members or subscriptions change.
        group_epoch: i32,
        /// The group epoch that the target assignment was made for.
        assignment_epoch: i32,
        assignor_name: Str,
        members: Vec<Member>,
        /// One bit for each permitted operation; `i32::MIN` where it was not asked for.
        authorized_operations: i32 = i32::MIN,
    }
    struct Member {
        member_id: Str,
        /// Null for a member that is not static.
        instance_id: Option<Str>,
        rack_id: Option<Str>,
        member_epoch: i32,
        client_id: Str,
        client_host: Str,
        subscribed_topic_names: Vec<Str>,
        /// Null where it did not give one.
        subscribed_topic_regex: Option<Str>,
        /// What it holds now.
        assignment: Assignment,
        /// What it shall hold in the end.
        target_assignment: Assignment,
        /// 0 classic, 1 consumer; -1 unknown.
        member_type: i8                 [1..] = -1,
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
