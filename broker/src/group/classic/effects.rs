//! What a group wants done.

use bytes::Bytes;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

/// Stands for somebody who waits for an answer to a join or a sync. The caller gives each a number
/// of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token(pub(crate) u64);

/// What is to be done after one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// Whether the group's record is to be written, before any of the answers leaves.
    pub(crate) store: bool,
    /// Answers to joins that came now or earlier.
    pub(crate) joins: Vec<(Token, Result<Joined, JoinRefusal>)>,
    /// Answers to syncs that came now or earlier.
    pub(crate) syncs: Vec<(Token, Result<Synced, ErrorCode>)>,
    /// Rebalances that came to an end.
    pub(crate) rebalances: u64,
}

/// A member is in a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    /// Its id from now on.
    pub(crate) member_id: Str,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<Str>,
    pub(crate) protocol: Option<Str>,
    /// The id of the member that assigns.
    pub(crate) leader: Str,
    /// Whether the leader leaves the assignment as it is.
    pub(crate) skip_assignment: bool,
    /// All members for the leader, none for the others.
    pub(crate) members: Vec<JoinedMember>,
}

/// A member, as the leader is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JoinedMember {
    pub(crate) member_id: Str,
    pub(crate) instance_id: Option<Str>,
    /// What it sent for the protocol of the generation.
    pub(crate) metadata: Bytes,
}

/// A join does not take place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JoinRefusal {
    pub(crate) code: ErrorCode,
    /// For the answer: the id to come back with, the one that was sent, or none.
    pub(crate) member_id: Str,
}

/// A member has its assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) protocol_type: Option<Str>,
    pub(crate) protocol: Option<Str>,
    /// As the leader wrote it; empty if it wrote none.
    pub(crate) assignment: Bytes,
}
