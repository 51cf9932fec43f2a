//! StreamsGroupDescribe: describes groups of Kafka Streams.
//!
//! Part of KIP-1071; the terms are those of
//! [`streams_group_heartbeat`](super::streams_group_heartbeat).

crate::api! {
    /// Describes groups of Kafka Streams.
    StreamsGroupDescribe = 89, versions 0..=0, flexible 0..;

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
        /// Empty, NotReady, Assigning, Reconciling, Stable or Dead; empty text on error.
        group_state: Str,
        /// Rises whenever members or topology change.
        group_epoch: i32,
        /// The group epoch that the target assignment was made for.
        assignment_epoch: i32,
        /// Null on error.
        topology: Option<Topology>,
        members: Vec<Member>,
        /// One bit for each permitted operation; `i32::MIN` where it was not asked for.
        authorized_operations: i32 = i32::MIN,
    }
    struct Topology {
        epoch: i32,
        /// With patterns and partition numbers filled in; null while topics are missing or unfit.
        subtopologies: Option<Vec<Subtopology>>,
    }
    struct Subtopology {
        subtopology_id: Str,
        source_topics: Vec<Str>,
        repartition_sink_topics: Vec<Str>,
        state_changelog_topics: Vec<TopicInfo>,
        repartition_source_topics: Vec<TopicInfo>,
    }
    struct TopicInfo {
        name: Str,
        /// 0 leaves it to the coordinator, as always for changelogs.
        partitions: i32,
        /// 0 for the default.
        replication_factor: i16,
        topic_configs: Vec<KeyValue>,
    }
    struct KeyValue {
        key: Str,
        value: Str,
    }
    struct Member {
        member_id: Str,
        member_epoch: i32,
        /// Null for a member that is not static.
        instance_id: Option<Str>,
        rack_id: Option<Str>,
        client_id: Str,
        client_host: Str,
        /// That of the member, which may differ from the group's.
        topology_epoch: i32,
        /// Shared by the members of one process.
        process_id: Str,
        /// Where others can query its state; null where there is none.
        user_endpoint: Option<Endpoint>,
        client_tags: Vec<KeyValue>,
        /// Summed over the changelogs of each task.
        task_offsets: Vec<TaskOffset>,
        /// Summed over the changelogs of each task.
        task_end_offsets: Vec<TaskOffset>,
        /// What it runs now.
        assignment: Assignment,
        /// What it shall run in the end.
        target_assignment: Assignment,
        /// Whether it still speaks the classic protocol.
        is_classic: bool,
    }
    struct Endpoint {
        host: Str,
        port: u16,
    }
    struct TaskOffset {
        subtopology_id: Str,
        partition: i32,
        offset: i64,
    }
    struct Assignment {
        active_tasks: Vec<TaskIds>,
        standby_tasks: Vec<TaskIds>,
        warmup_tasks: Vec<TaskIds>,
    }
    struct TaskIds {
        subtopology_id: Str,
        partitions: Vec<i32>,
    }
}
