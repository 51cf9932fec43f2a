//! Metadata: says which brokers there are, and who leads which partitions.
//!
//! | version | adds |
//! |---|---|
//! | 1 | null for all topics, racks, the controller, and whether a topic is internal |
//! | 2 | the cluster id (KIP-78) |
//! | 3 | throttle time |
//! | 4 | leave to create topics that are missing (KIP-204) |
//! | 5 | offline replicas (KIP-112) |
//! | 7 | leader epochs (KIP-320) |
//! | 8 | authorized operations (KIP-430) |
//! | 9 | flexible form |
//! | 10 | topic ids in answers (KIP-516) |
//! | 11 | no more authorized operations of the cluster: DescribeCluster has them (KIP-700) |
//! | 12 | topics can be asked for by id |
//! | 13 | one error for the whole answer |
//!
//! At version 0 no topics means all of them; from version 1 on it means none, and null means all.

crate::api! {
    /// Says which brokers there are, and who leads which partitions.
    Metadata = 3, versions 0..=13, flexible 9..;

    struct Request {
        /// Null asks for all.
        topics: Option<Vec<Topic>>      [.., null 1..] = Some(Vec::new()),
        allow_auto_topic_creation: bool [4..; must] = true,
        include_cluster_authorized_operations: bool [8..=10; must],
        include_topic_authorized_operations: bool [8..; must],
    }
    struct Topic {
        topic_id: Uuid                  [10..],
        /// Null where the id is given.
        name: Option<Str>               [.., null 10..] = Some(Str::default()),
    }

    struct Response {
        throttle_time_ms: i32           [3..],
        brokers: Vec<Broker>,
        cluster_id: Option<Str>         [2..],
        /// -1 where none is known.
        controller_id: i32              [1..] = -1,
        topics: Vec<TopicAnswer>,
        /// One bit for each permitted operation; `i32::MIN` where it was not asked for.
        cluster_authorized_operations: i32 [8..=10] = i32::MIN,
        error_code: ErrorCode           [13..],
    }
    struct Broker {
        node_id: i32,
        host: Str,
        port: i32,
        rack: Option<Str>               [1..],
    }
    struct TopicAnswer {
        error_code: ErrorCode,
        /// Null where an id is not known.
        name: Option<Str>               [.., null 12..] = Some(Str::default()),
        topic_id: Uuid                  [10..],
        is_internal: bool               [1..],
        partitions: Vec<PartitionAnswer>,
        /// One bit for each permitted operation; `i32::MIN` where it was not asked for.
        topic_authorized_operations: i32 [8..] = i32::MIN,
    }
    struct PartitionAnswer {
        error_code: ErrorCode,
        partition_index: i32,
        /// -1 where there is none.
        leader_id: i32,
        /// -1 where unknown.
        leader_epoch: i32               [7..] = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        offline_replicas: Vec<i32>      [5..],
    }
}
