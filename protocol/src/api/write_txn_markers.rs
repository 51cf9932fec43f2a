//! WriteTxnMarkers: tells partitions how a transaction ended.
//!
//! | version | adds |
//! |---|---|
//! | 1 | flexible form |
//! | 2 | the version of the transaction protocol (KIP-1228) |
//!
//! Sent by the coordinator of the transaction to the leaders of its partitions; no client has a use
//! for it.

crate::api! {
    /// Tells partitions how a transaction ended.
    WriteTxnMarkers = 27, versions 1..=2, flexible 1..;

    struct Request {
        markers: Vec<Marker>,
    }
    struct Marker {
        producer_id: i64,
        producer_epoch: i16,
        /// Whether it was committed; aborted otherwise.
        transaction_result: bool,
        topics: Vec<Topic>,
        /// So that a coordinator that has been replaced is refused.
        coordinator_epoch: i32,
        /// 2 where every transaction has a producer epoch of its own; less before.
        transaction_version: i8         [2..],
    }
    struct Topic {
        name: Str,
        partition_indexes: Vec<i32>,
    }

    struct Response {
        markers: Vec<MarkerAnswer>,
    }
    struct MarkerAnswer {
        producer_id: i64,
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
