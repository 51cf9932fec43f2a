//! SyncGroup: to be described.

crate::api! {
    /// To be described.
    SyncGroup = 14, versions 0..=5, flexible 4..;

    struct Request {
        group_id: Str,
        generation_id: i32,
        member_id: Str,
        group_instance_id: Option<Str>  [3..; must],
        protocol_type: Option<Str>      [5..],
        protocol_name: Option<Str>      [5..],
        assignments: Vec<Assignment>,
    }
    struct Assignment {
        member_id: Str,
        assignment: Bytes,
    }

    struct Response {
        throttle_time_ms: i32           [1..],
        error_code: ErrorCode,
        protocol_type: Option<Str>      [5..],
        protocol_name: Option<Str>      [5..],
        assignment: Bytes,
    }
}
