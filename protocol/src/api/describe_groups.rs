//! DescribeGroups: describes groups of the classic protocol.
//!
//! | version | adds |
//! |---|---|
//! | 1 | throttle time |
//! | 3 | authorized operations (KIP-430) |
//! | 4 | the instance ids of static members (KIP-345) |
//! | 5 | flexible form |
//! | 6 | an error for a group that does not exist, with a message (KIP-1043) |
//!
//! Up to version 5 a group that does not exist is answered as one in the state Dead, without an
//! error. Consumer groups of the new protocol are left to
//! [`consumer_group_describe`](super::consumer_group_describe).

crate::api! {
    /// Describes groups of the classic protocol.
    DescribeGroups = 15, versions 0..=6, flexible 5..;

    struct Request {
        groups: Vec<Str>,
        include_authorized_operations: bool [3..; must],
    }

    struct Response {
        throttle_time_ms: i32           [1..],
        groups: Vec<GroupAnswer>,
    }
    struct GroupAnswer {
        error_code: ErrorCode,
        error_message: Option<Str>      [6..],
        group_id: Str,
        /// Empty, PreparingRebalance, CompletingRebalance, Stable or Dead; empty text on error.
        group_state: Str,
        /// What kind of group it is: `consumer`, `connect` and so on.
        protocol_type: Str,
        /// The name of the protocol chosen; empty unless the group is stable.
        protocol_data: Str,
        members: Vec<Member>,
        /// One bit for each permitted operation; `i32::MIN` where it was not asked for.
        authorized_operations: i32      [3..] = i32::MIN,
    }
    struct Member {
        member_id: Str,
        /// Null for a member that is not static.
        group_instance_id: Option<Str>  [4..],
        client_id: Str,
        /// The address it joined from.
        client_host: Str,
        /// What it sent when it joined; empty unless the group is stable.
        member_metadata: Bytes,
        /// What the leader gave it; empty unless the group is stable.
        member_assignment: Bytes,
    }
}
