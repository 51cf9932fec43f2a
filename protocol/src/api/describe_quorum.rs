//! DescribeQuorum: describes the controllers and how far each has followed the metadata log.
//!
//! | version | adds |
//! |---|---|
//! | 1 | when each replica last fetched and last was caught up (KIP-836) |
//! | 2 | messages, directories of replicas, and where controllers can be reached (KIP-853) |
//!
//! The only partition to ask for is 0 of `__cluster_metadata` (KIP-595).

crate::api! {
    /// Describes the controllers and how far each has followed the metadata log.
    DescribeQuorum = 55, versions 0..=2, flexible 0..;

    struct Request {
        topics: Vec<Topic>,
    }
    struct Topic {
        topic_name: Str,
        partitions: Vec<Partition>,
    }
    struct Partition {
        partition_index: i32,
    }

    struct Response {
        error_code: ErrorCode,
        error_message: Option<Str>      [2..],
        topics: Vec<TopicAnswer>,
        nodes: Vec<Node>                [2..],
    }
    struct TopicAnswer {
        topic_name: Str,
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<Str>      [2..],
        /// -1 where there is none.
        leader_id: i32,
        leader_epoch: i32,
        high_watermark: i64,
        /// Those that elect the leader.
        current_voters: Vec<Replica>,
        /// Those that only follow, such as brokers.
        observers: Vec<Replica>,
    }
    struct Replica {
        replica_id: i32,
        replica_directory_id: Uuid      [2..],
        /// -1 where unknown.
        log_end_offset: i64,
        /// By the clock of the leader, in milliseconds; -1 for the leader itself and where unknown.
        last_fetch_timestamp: i64       [1..] = -1,
        /// When it last had all that the leader had, in milliseconds; -1 where unknown.
        last_caught_up_timestamp: i64   [1..] = -1,
    }
    struct Node {
        node_id: i32,
        listeners: Vec<Listener>,
    }
    struct Listener {
        name: Str,
        host: Str,
        port: u16,
    }
}
