//! LeaveGroup: takes members out of a group.
//!
//! | version | adds |
//! |---|---|
//! | 1 | throttle time |
//! | 3 | many members at once, also static ones by their instance id (KIP-345) |
//! | 4 | flexible form |
//! | 5 | why each member leaves (KIP-800) |
//!
//! A member that leaves spares the others the wait for its session to time out.

crate::api! {
    /// Takes members out of a group.
    LeaveGroup = 13, versions 0..=5, flexible 4..;

    struct Request {
        group_id: Str,
        member_id: Str                  [..=2; must],
        members: Vec<Member>            [3..; must],
    }
    struct Member {
        /// Empty where the instance id says it all.
        member_id: Str,
        /// Null for a member that is not static.
        group_instance_id: Option<Str>,
        /// For the log of the coordinator only.
        reason: Option<Str>             [5..],
    }

    struct Response {
        throttle_time_ms: i32           [1..],
        error_code: ErrorCode,
        members: Vec<MemberAnswer>      [3..],
    }
    struct MemberAnswer {
        member_id: Str,
        /// Null for a member that is not static.
        group_instance_id: Option<Str>,
        error_code: ErrorCode,
    }
}
