//! JoinGroup: makes a client a member of a group, or starts another round of the group.
//!
//! | version | adds |
//! |---|---|
//! | 1 | a rebalance timeout apart from the session timeout (KIP-62) |
//! | 2 | throttle time |
//! | 4 | the error MEMBER_ID_REQUIRED, with which a new client tries again (KIP-394) |
//! | 5 | static members (KIP-345) |
//! | 6 | flexible form |
//! | 7 | the type of the protocol in answers (KIP-559) |
//! | 8 | why the member joins (KIP-800) |
//! | 9 | leave for the leader to skip the assignment (KIP-814) |
//!
//! The answer waits until every member has joined, or the rebalance timeout is over. All then go on
//! with [`sync_group`](super::sync_group), where the leader hands out the partitions.

crate::api! {
    /// Makes a client a member of a group, or starts another round of the group.
    JoinGroup = 11, versions 0..=9, flexible 6..;

    struct Request {
        group_id: Str,
        /// How long a member may be silent before it is taken for dead.
        session_timeout_ms: i32,
        /// How long the others wait for it to join again; version 0 takes the session timeout.
        rebalance_timeout_ms: i32       [1..] = -1,
        /// Empty at the first try.
        member_id: Str,
        /// Null for a member that is not static.
        group_instance_id: Option<Str>  [5..; must],
        /// What kind of group it is: `consumer`, `connect` and so on.
        protocol_type: Str,
        /// The ways of assigning that the member knows, the best liked first.
        protocols: Vec<Protocol>,
        /// For the log of the coordinator only.
        reason: Option<Str>             [8..],
    }
    struct Protocol {
        name: Str,
        /// In the form of the protocol; for consumers, their subscription.
        metadata: Bytes,
    }

    struct Response {
        throttle_time_ms: i32           [2..],
        error_code: ErrorCode,
        /// The number of this round; -1 on error.
        generation_id: i32 = -1,
        protocol_type: Option<Str>      [7..],
        /// The one that all members know; null on error.
        protocol_name: Option<Str>      [.., null 7..] = Some(Str::default()),
        /// The id of the member that assigns.
        leader: Str,
        /// Whether the leader shall leave the assignment as it is.
        skip_assignment: bool           [9..],
        /// The id to use from now on.
        member_id: Str,
        /// All members for the leader, none for the others.
        members: Vec<Member>,
    }
    struct Member {
        member_id: Str,
        /// Null for a member that is not static.
        group_instance_id: Option<Str>  [5..],
        /// What the member sent for the protocol chosen.
        metadata: Bytes,
    }
}
