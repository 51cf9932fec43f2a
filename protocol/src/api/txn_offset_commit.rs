//! TxnOffsetCommit: stores how far a group has read, as part of a transaction.
//!
//! | version | adds |
//! |---|---|
//! | 2 | the leader epoch of the last record read (KIP-320) |
//! | 3 | flexible form, and who in the group commits, so that old members are fenced (KIP-447) |
//! | 4 | the error TRANSACTION_ABORTABLE (KIP-890) |
//! | 5 | the group joins the transaction by itself, without AddOffsetsToTxn (KIP-890) |
//!
//! Sent to the coordinator of the group. The offsets count once the transaction is committed.

crate::api! {
    /// Stores how far a group has read, as part of a transaction.
    TxnOffsetCommit = 28, versions 0..=5, flexible 3..;

    struct Request {
        transactional_id: Str,
        group_id: Str,
        producer_id: i64,
        producer_epoch: i16,
        /// -1 where membership is not checked.
        generation_id: i32              [3..; must] = -1,
        /// Empty where membership is not checked.
        member_id: Str                  [3..; must],
        /// Null for a member that is not static.
        group_instance_id: Option<Str>  [3..; must],
        topics: Vec<Topic>,
    }
    struct Topic {
        name: Str,
        partitions: Vec<Partition>,
    }
    struct Partition {
        partition_index: i32,
        /// The next record to read.
        committed_offset: i64,
        /// The leader epoch of the last record read; -1 where unknown.
        committed_leader_epoch: i32     [2..] = -1,
        /// Whatever the client wants to find again beside the offset.
        committed_metadata: Option<Str>,
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
        error_code: ErrorCode,
    }
}
