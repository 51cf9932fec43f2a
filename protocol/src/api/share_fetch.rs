//! ShareFetch: acquires records for a member of a share group, and acknowledges earlier ones.
//!
//! | version | adds |
//! |---|---|
//! | 2 | how strictly records are counted (KIP-1206), more time for records in work (KIP-1222) |
//!
//! Versions begin at 1; version 0 was a preview (KIP-932). Records acquired are locked for the
//! member until it acknowledges them or the lock times out; then others may get them.

crate::api! {
    /// Acquires records for a member of a share group, and acknowledges earlier ones.
    ShareFetch = 78, versions 1..=2, flexible 0..;

    struct Request {
        group_id: Option<Str>,
        member_id: Option<Str>,
        /// 0 to open a session, -1 to close it, else one more than in the last request.
        share_session_epoch: i32,
        /// How long the broker may wait for `min_bytes` to be there.
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 = i32::MAX,
        /// May be exceeded by the rest of a batch where `share_acquire_mode` is 0.
        max_records: i32,
        /// How many records a batch of acquired ones had best have.
        batch_size: i32,
        /// 0 whole batches, 1 never more than `max_records`.
        share_acquire_mode: i8          [2..],
        /// Whether some acknowledgements ask for more time.
        is_renew_ack: bool              [2..; must],
        topics: Vec<Topic>,
        /// What the session shall no longer contain.
        forgotten_topics: Vec<ForgottenTopic>,
    }
    struct Topic {
        topic_id: Uuid,
        partitions: Vec<Partition>,
    }
    struct Partition {
        partition_index: i32,
        acknowledgement_batches: Vec<AcknowledgementBatch>,
    }
    struct AcknowledgementBatch {
        first_offset: i64,
        /// Inclusive.
        last_offset: i64,
        /// 0 gap, 1 accept, 2 release, 3 reject, 4 renew; one for each record, or a single one for
        /// all.
        acknowledge_types: Vec<i8>,
    }
    struct ForgottenTopic {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        /// How long acquired records are locked.
        acquisition_lock_timeout_ms: i32,
        topics: Vec<TopicAnswer>,
        /// Where the leaders are that partitions were redirected to.
        node_endpoints: Vec<NodeEndpoint>,
    }
    struct TopicAnswer {
        topic_id: Uuid,
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        /// What is wrong with the fetching.
        error_code: ErrorCode,
        error_message: Option<Str>,
        /// What is wrong with the acknowledgements.
        acknowledge_error_code: ErrorCode,
        acknowledge_error_message: Option<Str>,
        /// Set where this broker does not lead the partition.
        current_leader: Leader,
        records: Records,
        /// Which of the records the member may work on; it skips the others.
        acquired_records: Vec<AcquiredBatch>,
    }
    struct Leader {
        /// -1 where unknown.
        leader_id: i32,
        leader_epoch: i32,
    }
    struct AcquiredBatch {
        first_offset: i64,
        /// Inclusive.
        last_offset: i64,
        /// How often they have been handed out, this time included.
        delivery_count: i16,
    }
    struct NodeEndpoint {
        node_id: i32,
        host: Str,
        port: i32,
        rack: Option<Str>,
    }
}
