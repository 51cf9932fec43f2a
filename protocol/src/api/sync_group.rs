//! SyncGroup: hands the partitions out to the members of a group.
//!
//! | version | adds |
//! |---|---|
//! | 1 | throttle time |
//! | 3 | static members (KIP-345) |
//! | 4 | flexible form |
//! | 5 | the type and name of the protocol, so that a mistaken client is noticed (KIP-559) |
//!
//! Every member asks; the answers wait for the leader's request, which says who gets what.

crate::api! {
    /// Hands the partitions out to the members of a group.
    SyncGroup = 14, versions 0..=5, flexible 4..;

    struct Request {
        group_id: Str,
        generation_id: i32,
        member_id: Str,
        /// Null for a member that is not static.
        group_instance_id: Option<Str>  [3..; must],
        /// As the answer to JoinGroup gave it; null where it is not checked.
        protocol_type: Option<Str>      [5..],
        /// As the answer to JoinGroup gave it; null where it is not checked.
        protocol_name: Option<Str>      [5..],
        /// From the leader only; empty from the others.
        assignments: Vec<Assignment>,
    }
    struct Assignment {
        member_id: Str,
        /// In the form of the protocol.
        assignment: Bytes,
    }

    struct Response {
        throttle_time_ms: i32           [1..],
        error_code: ErrorCode,
        /// Null on error.
        protocol_type: Option<Str>      [5..],
        /// Null on error.
        protocol_name: Option<Str>      [5..],
        /// What this member gets, in the form of the protocol.
        assignment: Bytes,
    }
}
