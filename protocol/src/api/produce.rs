//! Produce: appends record batches to topic partitions.
//!
//! | version | adds |
//! |---|---|
//! | 3 | transactions (KIP-98); the oldest that Kafka 4 serves |
//! | 5 | the log start offset in answers |
//! | 7 | zstd batches (KIP-110) |
//! | 8 | which records were refused, and why (KIP-467) |
//! | 9 | flexible form |
//! | 10 | the current leader, for clients that ask the wrong broker (KIP-951) |
//! | 11 | the answer that a transaction can only be aborted (KIP-890) |
//! | 12 | partitions join their transaction without being announced (KIP-890) |
//! | 13 | topics by id instead of by name (KIP-516) |

crate::api! {
    /// Appends record batches to topic partitions.
    Produce = 0, versions 3..=13, flexible 9..;

    struct Request {
        /// Set when the batches belong to a transaction.
        transactional_id: Option<Str>,
        /// How many replicas must hold the batches before the broker answers: 0 (no answer), 1,
        /// or -1 (all).
        acks: i16,
        timeout_ms: i32,
        topics: Vec<Topic>,
    }
    struct Topic {
        name: Str                           [..=12],
        topic_id: Uuid                      [13..],
        partitions: Vec<Partition>,
    }
    struct Partition {
        index: i32,
        records: Option<Records>,
    }

    struct Response {
        topics: Vec<TopicAnswer>,
        throttle_time_ms: i32;
        tagged {
            0 => node_endpoints: Vec<NodeEndpoint> [10..],
        }
    }
    struct TopicAnswer {
        name: Str                           [..=12],
        topic_id: Uuid                      [13..],
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        index: i32,
        error_code: ErrorCode,
        base_offset: i64,
        /// When the broker appended the batch; -1 where the topic keeps the producer's timestamps.
        log_append_time_ms: i64             = -1,
        log_start_offset: i64               [5..] = -1,
        record_errors: Vec<RecordError>     [8..],
        error_message: Option<Str>          [8..];
        tagged {
            0 => current_leader: Leader     [10..],
        }
    }
    struct RecordError {
        /// The place of the record in its batch.
        batch_index: i32,
        error_message: Option<Str>,
    }
    struct Leader {
        leader_id: i32 = -1,
        leader_epoch: i32 = -1,
    }
    struct NodeEndpoint {
        node_id: i32,
        host: Str,
        port: i32,
        rack: Option<Str>,
    }
}
