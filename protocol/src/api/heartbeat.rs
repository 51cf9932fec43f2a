//! Heartbeat: to be described.

crate::api! {
    /// To be described.
    Heartbeat = 12, versions 0..=4, flexible 4..;

    struct Request {
        group_id: Str,
        generation_id: i32,
        member_id: Str,
        group_instance_id: Option<Str>  [3..; must],
    }

    struct Response {
        throttle_time_ms: i32           [1..],
        error_code: ErrorCode,
    }
}
