//! ShareAcknowledge: acknowledges records of a share group without fetching more.
//!
//! | version | adds |
//! |---|---|
//! | 2 | more time for records in work (KIP-1222) |
//!
//! Versions begin at 1; version 0 was a preview (KIP-932).

crate::api! {
    /// Acknowledges records of a share group without fetching more.
    ShareAcknowledge = 79, versions 1..=2, flexible 0..;

    struct Request {
        group_id: Option<Str>,
        member_id: Option<Str>,
        /// -1 to close the session, else one more than in the last request.
        share_session_epoch: i32,
        /// Whether some acknowledgements ask for more time.
        is_renew_ack: bool              [2..; must],
        topics: Vec<Topic>,
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

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        /// How long renewed records are locked.
        acquisition_lock_timeout_ms: i32 [2..],
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
        error_code: ErrorCode,
        error_message: Option<Str>,
        /// Set where this broker does not lead the partition.
        current_leader: Leader,
    }
    struct Leader {
        /// -1 where unknown.
        leader_id: i32,
        leader_epoch: i32,
    }
    struct NodeEndpoint {
        node_id: i32,
        host: Str,
        port: i32,
        rack: Option<Str>,
    }
}
