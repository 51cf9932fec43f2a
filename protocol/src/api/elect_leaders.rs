//! ElectLeaders: lets partitions elect their leaders anew.
//!
//! | version | adds |
//! |---|---|
//! | 1 | unclean elections (KIP-460) |
//! | 2 | flexible form |
//!
//! Used to give leadership back to the preferred replicas (KIP-183).

crate::api! {
    /// Lets partitions elect their leaders anew.
    ElectLeaders = 43, versions 0..=2, flexible 2..;

    struct Request {
        /// 0 the preferred replica, 1 a replica that may lack records, where no other is alive.
        election_type: i8               [1..; must],
        /// Null asks for all.
        topic_partitions: Option<Vec<Topic>>,
        timeout_ms: i32 = 60000,
    }
    struct Topic {
        topic: Str,
        partitions: Vec<i32>,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode           [1..],
        replica_election_results: Vec<TopicAnswer>,
    }
    struct TopicAnswer {
        topic: Str,
        partition_result: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_id: i32,
        /// ELECTION_NOT_NEEDED where the leader is the right one already.
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
