//! ConsumerGroupDescribe: to be described.

crate::api! {
    /// To be described.
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
        group_state: Str,
        group_epoch: i32,
        assignment_epoch: i32,
        assignor_name: Str,
        members: Vec<Member>,
        /// One bit for each permitted operation; `i32::MIN` where it was not asked for.
        authorized_operations: i32 = i32::MIN,
    }
    struct Member {
        member_id: Str,
        instance_id: Option<Str>,
        rack_id: Option<Str>,
        member_epoch: i32,
        client_id: Str,
        client_host: Str,
        subscribed_topic_names: Vec<Str>,
        subscribed_topic_regex: Option<Str>,
        assignment: Assignment,
        target_assignment: Assignment,
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
