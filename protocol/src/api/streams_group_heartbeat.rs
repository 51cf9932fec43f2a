//! StreamsGroupHeartbeat: keeps a Kafka Streams client in its group, and tells it which tasks to
//! run.
//!
//! Part of KIP-1071, and built like [`consumer_group_heartbeat`](super::consumer_group_heartbeat):
//! both sides send in full what changed, and null (or -1) for all that did not. The first heartbeat
//! brings the topology, from which the coordinator makes the internal topics.
//!
//! A task is one partition number of a subtopology. Active tasks do the work, standby tasks keep a
//! copy of the state, warm-up tasks build one up before they take over.

crate::api! {
    /// Keeps a Kafka Streams client in its group, and tells it which tasks to run.
    StreamsGroupHeartbeat = 88, versions 0..=0, flexible 0..;

    struct Request {
        group_id: Str,
        /// Chosen by the client.
        member_id: Str,
        /// 0 to join, -1 to leave, -2 where a static member leaves for a while, else as last
        /// answered.
        member_epoch: i32,
        /// The last one that was answered.
        endpoint_information_epoch: i32,
        /// Null where there is none, or it did not change.
        instance_id: Option<Str>,
        /// Null where there is none, or it did not change.
        rack_id: Option<Str>,
        /// How long the member may take to give tasks up; -1 where it did not change.
        rebalance_timeout_ms: i32 = -1,
        /// Only when the member joins.
        topology: Option<Topology>,
        /// What the member runs now; null where it did not change.
        active_tasks: Option<Vec<TaskIds>>,
        /// What the member runs now; null where it did not change.
        standby_tasks: Option<Vec<TaskIds>>,
        /// What the member runs now; null where it did not change.
        warmup_tasks: Option<Vec<TaskIds>>,
        /// Shared by the members of one process; null where it did not change.
        process_id: Option<Str>,
        /// Where others can query its state; null where there is none, or it did not change.
        user_endpoint: Option<Endpoint>,
        /// For spreading copies over racks; null where it did not change.
        client_tags: Option<Vec<KeyValue>>,
        /// Summed over the changelogs of each task; null where it did not change.
        task_offsets: Option<Vec<TaskOffset>>,
        /// Summed over the changelogs of each task; null where it did not change.
        task_end_offsets: Option<Vec<TaskOffset>>,
        /// Whether every member shall stop.
        shutdown_application: bool,
    }
    struct Topology {
        /// Tells one version of the application's topology from another.
        epoch: i32,
        subtopologies: Vec<Subtopology>,
    }
    struct Subtopology {
        subtopology_id: Str,
        source_topics: Vec<Str>,
        /// Patterns of topics it reads.
        source_topic_regex: Vec<Str>,
        /// Made by the coordinator.
        state_changelog_topics: Vec<TopicInfo>,
        /// Internal topics it writes to.
        repartition_sink_topics: Vec<Str>,
        /// Internal topics it reads; made by the coordinator.
        repartition_source_topics: Vec<TopicInfo>,
        /// Sources that must have as many partitions as each other.
        copartition_groups: Vec<CopartitionGroup>,
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
    struct CopartitionGroup {
        /// Places in the list of the same name of the subtopology.
        source_topics: Vec<i16>,
        /// As `source_topics`.
        source_topic_regex: Vec<i16>,
        /// As `source_topics`.
        repartition_source_topics: Vec<i16>,
    }
    struct TaskIds {
        subtopology_id: Str,
        partitions: Vec<i32>,
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

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        member_id: Str,
        /// To be sent with the next heartbeat.
        member_epoch: i32,
        /// When to send the next one.
        heartbeat_interval_ms: i32,
        /// How far behind a warm-up task may be and still take over.
        acceptable_recovery_lag: i32,
        /// How often to send `task_offsets`.
        task_offset_interval_ms: i32,
        /// What keeps the group from working, if anything.
        status: Option<Vec<Status>>,
        /// What the member shall run; null where it did not change.
        active_tasks: Option<Vec<TaskIds>>,
        /// What the member shall run; null where it did not change.
        standby_tasks: Option<Vec<TaskIds>>,
        /// What the member shall run; null where it did not change.
        warmup_tasks: Option<Vec<TaskIds>>,
        /// Rises whenever `partitions_by_user_endpoint` changes.
        endpoint_information_epoch: i32,
        /// Who holds the state of which partitions; null where it did not change.
        partitions_by_user_endpoint: Option<Vec<EndpointToPartitions>>,
    }
    struct Status {
        /// 0 old topology, 1 source topics missing, 2 topics with unfit numbers of partitions, 3
        /// internal topics missing, 4 the application shall stop, 5 assignment delayed.
        status_code: i8,
        status_detail: Str,
    }
    struct EndpointToPartitions {
        user_endpoint: Endpoint,
        active_partitions: Vec<TopicPartition>,
        standby_partitions: Vec<TopicPartition>,
    }
    struct TopicPartition {
        topic: Str,
        partitions: Vec<i32>,
    }
}
