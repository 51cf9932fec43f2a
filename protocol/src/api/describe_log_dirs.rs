//! DescribeLogDirs: to be described.

crate::api! {
    /// To be described.
    DescribeLogDirs = 35, versions 1..=5, flexible 2..;

    struct Request {
        topics: Option<Vec<Topic>>,
    }
    struct Topic {
        topic: Str,
        partitions: Vec<i32>,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode           [3..],
        results: Vec<DirAnswer>,
    }
    struct DirAnswer {
        error_code: ErrorCode,
        log_dir: Str,
        topics: Vec<TopicAnswer>,
        total_bytes: i64                [4..] = -1,
        usable_bytes: i64               [4..] = -1,
        is_cordoned: bool               [5..],
    }
    struct TopicAnswer {
        name: Str,
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        partition_size: i64,
        offset_lag: i64,
        is_future_key: bool,
    }
}
