//! ListOffsets: finds the offset that belongs to a time or to a special place in the log.
//!
//! | version | adds |
//! |---|---|
//! | 1 | one offset with its timestamp, instead of a list of segment starts (KIP-79) |
//! | 2 | isolation level and throttle time (KIP-98) |
//! | 4 | the leader epoch of the offset, and fencing of stale clients (KIP-320) |
//! | 5 | the error for a leader that does not yet know its high watermark (KIP-207) |
//! | 6 | flexible form |
//! | 7 | the offset of the largest timestamp (KIP-734) |
//! | 8 | the first offset on the local disk (KIP-405) |
//! | 9 | the last offset in tiered storage (KIP-1005) |
//! | 10 | a timeout for lookups in tiered storage (KIP-1075) |
//! | 11 | the first offset that is not yet uploaded (KIP-1023) |
//!
//! Version 0 has another shape and is not declared.

crate::api! {
    /// Finds the offset that belongs to a time or to a special place in the log.
    ListOffsets = 2, versions 1..=11, flexible 6..;

    struct Request {
        /// -1 from a client.
        replica_id: i32,
        /// 0 shows every record, 1 only those of committed transactions.
        isolation_level: i8             [2..; must],
        topics: Vec<Topic>,
        /// How long the broker may look into tiered storage.
        timeout_ms: i32                 [10..],
    }
    struct Topic {
        name: Str,
        partitions: Vec<Partition>,
    }
    struct Partition {
        partition_index: i32,
        /// -1 where the client does not know it.
        current_leader_epoch: i32       [4..] = -1,
        /// In milliseconds; or -1 latest, -2 earliest, -3 the largest timestamp, -4 earliest local,
        /// -5 latest tiered, -6 earliest pending upload.
        timestamp: i64,
    }

    struct Response {
        throttle_time_ms: i32           [2..],
        topics: Vec<TopicAnswer>,
    }
    struct TopicAnswer {
        name: Str,
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        error_code: ErrorCode,
        /// -1 where no record was found, or a special place was asked for.
        timestamp: i64 = -1,
        /// -1 where no record was found.
        offset: i64 = -1,
        leader_epoch: i32               [4..] = -1,
    }
}
