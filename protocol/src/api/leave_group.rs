//! LeaveGroup: to be described.

crate::api! {
    /// To be described.
    LeaveGroup = 13, versions 0..=5, flexible 4..;

    struct Request {
        group_id: Str,
        member_id: Str                  [..=2; must],
        members: Vec<Member>            [3..; must],
    }
    struct Member {
        member_id: Str,
        group_instance_id: Option<Str>,
        reason: Option<Str>             [5..],
    }

    struct Response {
        throttle_time_ms: i32           [1..],
        error_code: ErrorCode,
        members: Vec<MemberAnswer>      [3..],
    }
    struct MemberAnswer {
        member_id: Str,
        group_instance_id: Option<Str>,
        error_code: ErrorCode,
    }
}
