//! RemoveRaftVoter: to be described.

crate::api! {
    /// To be described.
    RemoveRaftVoter = 81, versions 0..=0, flexible 0..;

    struct Request {
        cluster_id: Option<Str>,
        voter_id: i32,
        voter_directory_id: Uuid,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
