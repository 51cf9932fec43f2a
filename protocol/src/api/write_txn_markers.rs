//! WriteTxnMarkers: to be described.

crate::api! {
    /// To be described.
    WriteTxnMarkers = 27, versions 1..=2, flexible 1..;

    struct Request {
        markers: Vec<Marker>,
    }
    struct Marker {
        producer_id: i64,
        producer_epoch: i16,
        transaction_result: bool,
        topics: Vec<Topic>,
        coordinator_epoch: i32,
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
