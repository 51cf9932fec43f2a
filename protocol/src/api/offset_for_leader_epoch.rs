//! OffsetForLeaderEpoch: finds where a leader epoch ended, so that a client can tell whether
//! its log diverged.
//!
//! | version | adds |
//! |---|---|
//! | 2 | the current leader epoch, so that stale clients are fenced (KIP-320) |
//! | 3 | the replica that asks (KIP-392) |
//! | 4 | flexible form |

crate::api! {
    /// Finds where a leader epoch ended, so that a client can tell whether its log diverged.
    OffsetForLeaderEpoch = 23, versions 2..=4, flexible 4..;

    struct Request {
        /// -1 from a client; -2 from a tool that may see beyond the high watermark.
        replica_id: i32                 [3..] = -2,
        topics: Vec<Topic>,
    }
    struct Topic {
        topic: Str,
        partitions: Vec<Partition>,
    }
    struct Partition {
        partition: i32,
        /// -1 where the client does not know it.
        current_leader_epoch: i32 = -1,
        /// The epoch whose end is asked for.
        leader_epoch: i32,
    }

    struct Response {
        throttle_time_ms: i32,
        topics: Vec<TopicAnswer>,
    }
    struct TopicAnswer {
        topic: Str,
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        error_code: ErrorCode,
        partition: i32,
        /// The largest epoch not above the one asked for; -1 where there is none.
        leader_epoch: i32 = -1,
        /// The first offset after that epoch; -1 where there is none.
        end_offset: i64 = -1,
    }
}
