//! DescribeLogDirs: describes the directories in which a broker keeps its logs.
//!
//! | version | adds |
//! |---|---|
//! | 2 | flexible form |
//! | 3 | an error for the request as a whole |
//! | 4 | the size of each volume and what is left of it (KIP-827) |
//! | 5 | whether a directory takes no new partitions (KIP-1066) |
//!
//! Answered by each broker for its own directories (KIP-113). Sizes leave out tiered storage.

crate::api! {
    /// Describes the directories in which a broker keeps its logs.
    DescribeLogDirs = 35, versions 1..=5, flexible 2..;

    struct Request {
        /// Null asks for all.
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
        /// KAFKA_STORAGE_ERROR where the directory has failed.
        error_code: ErrorCode,
        /// The absolute path.
        log_dir: Str,
        topics: Vec<TopicAnswer>,
        /// Of the volume; -1 where unknown.
        total_bytes: i64                [4..] = -1,
        /// Of the volume; -1 where unknown.
        usable_bytes: i64               [4..] = -1,
        /// Whether it takes no new partitions.
        is_cordoned: bool               [5..],
    }
    struct TopicAnswer {
        name: Str,
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        /// In bytes.
        partition_size: i64,
        /// How far the end of the log is behind the high watermark or, where the log is to replace
        /// another, behind the end of that one.
        offset_lag: i64,
        /// Whether the log is a copy under way, to replace the one in another directory.
        is_future_key: bool,
    }
}
