//! Fetch: reads record batches from topic partitions.
//!
//! | version | adds |
//! |---|---|
//! | 4 | only committed records if asked so, and the aborted transactions among them (KIP-98) |
//! | 5 | log start offsets |
//! | 7 | sessions, in which only changes are sent (KIP-227) |
//! | 9 | the current leader epoch, so that stale clients are fenced (KIP-320) |
//! | 10 | zstd batches (KIP-110) |
//! | 11 | the client's rack, and a replica nearer to it (KIP-392) |
//! | 12 | flexible form, detection of diverged logs (KIP-595) |
//! | 13 | topics by id instead of by name (KIP-516) |
//! | 14 | the error for records that moved to tiered storage (KIP-405) |
//! | 15 | the state of a fetching replica in a structure of its own (KIP-903) |
//! | 16 | where the current leaders can be reached (KIP-951) |
//! | 17 | the directory of a fetching replica (KIP-853) |
//! | 18 | the high watermark that a replica knows (KIP-1166) |
//!
//! Partitions are read in the order of the request. The limits are soft: the first batch is sent
//! whole, whatever its size.

crate::api! {
    /// Reads record batches from topic partitions.
    Fetch = 1, versions 4..=18, flexible 12..;

    struct Request {
        /// -1 from a client.
        replica_id: i32                 [..=14; must] = -1,
        /// How long the broker may wait for `min_bytes` to be there.
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 = i32::MAX,
        /// 0 shows every record, 1 only those of committed transactions.
        isolation_level: i8,
        /// 0 for no session, or for one to be opened.
        session_id: i32                 [7..],
        /// -1 for no session, 0 to open one, else one more than in the last request.
        session_epoch: i32              [7..] = -1,
        topics: Vec<Topic>,
        /// What a session shall no longer contain.
        forgotten_topics: Vec<ForgottenTopic> [7..; must],
        rack_id: Str                    [11..];
        tagged {
            0 => cluster_id: Option<Str> [12..],
            1 => replica_state: ReplicaState [15..; must],
        }
    }
    struct ReplicaState {
        /// -1 from a client.
        replica_id: i32 = -1,
        /// -1 from a client.
        replica_epoch: i64 = -1,
    }
    struct Topic {
        topic: Str                      [..=12],
        topic_id: Uuid                  [13..],
        partitions: Vec<Partition>,
    }
    struct Partition {
        partition: i32,
        /// -1 where the client does not know it.
        current_leader_epoch: i32       [9..] = -1,
        fetch_offset: i64,
        /// The leader epoch of the last record the client has; -1 where it does not check.
        last_fetched_epoch: i32         [12..; must] = -1,
        /// Of a fetching replica; -1 from a client.
        log_start_offset: i64           [5..] = -1,
        partition_max_bytes: i32;
        tagged {
            0 => replica_directory_id: Uuid [17..],
            /// What a fetching replica knows; `i64::MAX` from a client.
            1 => high_watermark: i64    [18..] = i64::MAX,
        }
    }
    struct ForgottenTopic {
        topic: Str                      [..=12],
        topic_id: Uuid                  [13..],
        partitions: Vec<i32>,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode           [7..],
        /// 0 where there is no session.
        session_id: i32                 [7..],
        topics: Vec<TopicAnswer>;
        tagged {
            0 => node_endpoints: Vec<NodeEndpoint> [16..],
        }
    }
    struct TopicAnswer {
        topic: Str                      [..=12],
        topic_id: Uuid                  [13..],
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        error_code: ErrorCode,
        high_watermark: i64,
        /// Every transaction below it is over; -1 where unknown.
        last_stable_offset: i64 = -1,
        /// -1 where unknown.
        log_start_offset: i64           [5..] = -1,
        /// Null where every record is asked for.
        aborted_transactions: Option<Vec<AbortedTransaction>>,
        /// The broker to read from instead; -1 for this one.
        preferred_read_replica: i32     [11..] = -1,
        records: Option<Records>;
        tagged {
            /// Where the log of the client and that of the broker part; set when they do.
            0 => diverging_epoch: EpochEnd [12..],
            1 => current_leader: Leader [12..],
            2 => snapshot_id: SnapshotId [12..],
        }
    }
    struct EpochEnd {
        epoch: i32 = -1,
        end_offset: i64 = -1,
    }
    struct Leader {
        leader_id: i32 = -1,
        leader_epoch: i32 = -1,
    }
    struct SnapshotId {
        end_offset: i64 = -1,
        epoch: i32 = -1,
    }
    struct AbortedTransaction {
        producer_id: i64,
        /// The first record of the transaction.
        first_offset: i64,
    }
    struct NodeEndpoint {
        node_id: i32,
        host: Str,
        port: i32,
        rack: Option<Str>,
    }
}
