//! DeleteRecords: deletes the records below an offset.
//!
//! | version | adds |
//! |---|---|
//! | 2 | flexible form |

crate::api! {
    /// Deletes the records below an offset.
    DeleteRecords = 21, versions 0..=2, flexible 2..;

    struct Request {
        topics: Vec<Topic>,
        timeout_ms: i32,
    }
    struct Topic {
        name: Str,
        partitions: Vec<Partition>,
    }
    struct Partition {
        partition_index: i32,
        /// The new log start offset; -1 for the high watermark.
        offset: i64,
    }

    struct Response {
        throttle_time_ms: i32,
        topics: Vec<TopicAnswer>,
    }
    struct TopicAnswer {
        name: Str,
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        /// The log start offset after the deletion.
        low_watermark: i64,
        error_code: ErrorCode,
    }
}
