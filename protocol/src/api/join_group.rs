//! JoinGroup: to be described.

crate::api! {
    /// To be described.
    JoinGroup = 11, versions 0..=9, flexible 6..;

    struct Request {
        group_id: Str,
        session_timeout_ms: i32,
        rebalance_timeout_ms: i32       [1..] = -1,
        member_id: Str,
        group_instance_id: Option<Str>  [5..; must],
        protocol_type: Str,
        protocols: Vec<Protocol>,
        reason: Option<Str>             [8..],
    }
    struct Protocol {
        name: Str,
        metadata: Bytes,
    }

    struct Response {
        throttle_time_ms: i32           [2..],
        error_code: ErrorCode,
        generation_id: i32 = -1,
        protocol_type: Option<Str>      [7..],
        protocol_name: Option<Str>      [.., null 7..] = Some(Str::default()),
        leader: Str,
        skip_assignment: bool           [9..],
        member_id: Str,
        members: Vec<Member>,
    }
    struct Member {
        member_id: Str,
        group_instance_id: Option<Str>  [5..],
        metadata: Bytes,
    }
}
