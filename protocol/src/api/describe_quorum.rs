//! DescribeQuorum: to be described.

crate::api! {
    /// To be described.
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
        leader_id: i32,
        leader_epoch: i32,
        high_watermark: i64,
        current_voters: Vec<Replica>,
        observers: Vec<Replica>,
    }
    struct Replica {
        replica_id: i32,
        replica_directory_id: Uuid      [2..],
        log_end_offset: i64,
        last_fetch_timestamp: i64       [1..] = -1,
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
