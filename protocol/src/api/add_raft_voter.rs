//! AddRaftVoter: to be described.

crate::api! {
    /// To be described.
    AddRaftVoter = 80, versions 0..=1, flexible 0..;

    struct Request {
        cluster_id: Option<Str>,
        timeout_ms: i32,
        voter_id: i32,
        voter_directory_id: Uuid,
        listeners: Vec<Listener>,
        ack_when_committed: bool        [1..; must] = true,
    }
    struct Listener {
        name: Str,
        host: Str,
        port: u16,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
