//! RemoveRaftVoter: takes a controller's vote on the leader of the metadata log.
//!
//! Part of KIP-853.

crate::api! {
    /// Takes a controller's vote on the leader of the metadata log.
    RemoveRaftVoter = 81, versions 0..=0, flexible 0..;

    struct Request {
        /// Null where it is not checked.
        cluster_id: Option<Str>,
        voter_id: i32,
        /// Must be that of the voter, as DescribeQuorum tells it.
        voter_directory_id: Uuid,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
