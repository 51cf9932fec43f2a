//! Heartbeat: says that a member of a group is alive.
//!
//! | version | adds |
//! |---|---|
//! | 1 | throttle time |
//! | 3 | static members (KIP-345) |
//! | 4 | flexible form |
//!
//! REBALANCE_IN_PROGRESS is how a member learns that it must join again.

crate::api! {
    /// Says that a member of a group is alive.
    Heartbeat = 12, versions 0..=4, flexible 4..;

    struct Request {
        group_id: Str,
        /// As the answer to JoinGroup gave it.
        generation_id: i32,
        member_id: Str,
        /// Null for a member that is not static.
        group_instance_id: Option<Str>  [3..; must],
    }

    struct Response {
        throttle_time_ms: i32           [1..],
        error_code: ErrorCode,
    }
}
