//! AddRaftVoter: lets a controller vote on the leader of the metadata log.
//!
//! | version | adds |
//! |---|---|
//! | 1 | an early answer, before the new set of voters is committed |
//!
//! Part of KIP-853.

crate::api! {
    /// Lets a controller vote on the leader of the metadata log.
    AddRaftVoter = 80, versions 0..=1, flexible 0..;

    struct Request {
        /// Null where it is not checked.
        cluster_id: Option<Str>,
        timeout_ms: i32,
        voter_id: i32,
        /// So that a controller whose disk was wiped is not taken for the old one.
        voter_directory_id: Uuid,
        /// Where the other voters reach it.
        listeners: Vec<Listener>,
        /// Whether to answer only once the change is committed, not as soon as the leader wrote it.
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
