//! A group of the classic protocol, as it is stored.

use super::{GroupRecord, millis, of_millis};
use crate::group::classic::{MemberSnapshot, Snapshot};

klamm_protocol::structs! {
    /// Names a group.
    struct GroupKey {
        group: Str,
    }

    /// A generation of a group of the classic protocol.
    struct GroupValue {
        /// Empty where no member ever joined.
        protocol_type: Str,
        generation: i32,
        protocol: Option<Str>,
        leader: Option<Str>,
        /// When the group came to the state it is in; -1 where unknown.
        current_state_timestamp: i64 [2..] = -1,
        members: Vec<MemberValue>,
    }

    /// A member of a generation.
    struct MemberValue {
        member_id: Str,
        group_instance_id: Option<Str> [3..],
        client_id: Str,
        client_host: Str,
        /// -1 stands for the session timeout.
        rebalance_timeout: i32 [1..] = -1,
        session_timeout: i32,
        subscription: Bytes,
        assignment: Bytes,
    }
}

impl GroupRecord {
    /// A group is in this generation.
    pub(crate) fn group(name: &Str, snapshot: Snapshot) -> Self {
        Self::Group(GroupKey { group: name.clone() }, Some(snapshot.into()))
    }

    /// A group is no more.
    pub(crate) fn group_gone(name: &Str) -> Self {
        Self::Group(GroupKey { group: name.clone() }, None)
    }
}

impl From<Snapshot> for GroupValue {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            protocol_type: snapshot.protocol_type.unwrap_or_default(),
            generation: snapshot.generation,
            protocol: snapshot.protocol,
            leader: snapshot.leader,
            current_state_timestamp: snapshot.state_since_ms.unwrap_or(-1),
            members: snapshot.members.into_iter().map(MemberValue::from).collect(),
        }
    }
}

impl From<GroupValue> for Snapshot {
    fn from(value: GroupValue) -> Self {
        Self {
            protocol_type: Some(value.protocol_type.detached()),
            generation: value.generation,
            protocol: value.protocol.map(|protocol| protocol.detached()),
            leader: value.leader.map(|leader| leader.detached()),
            state_since_ms: Some(value.current_state_timestamp).filter(|ms| *ms >= 0),
            members: value.members.into_iter().map(MemberSnapshot::from).collect(),
        }
    }
}

impl From<MemberSnapshot> for MemberValue {
    fn from(member: MemberSnapshot) -> Self {
        Self {
            member_id: member.member_id,
            group_instance_id: member.instance_id,
            client_id: member.client_id,
            client_host: member.client_host,
            rebalance_timeout: millis(member.rebalance_timeout),
            session_timeout: millis(member.session_timeout),
            subscription: member.metadata,
            assignment: member.assignment,
        }
    }
}

impl From<MemberValue> for MemberSnapshot {
    fn from(value: MemberValue) -> Self {
        let rebalance_timeout = if value.rebalance_timeout < 0 {
            value.session_timeout
        } else {
            value.rebalance_timeout
        };
        Self {
            member_id: value.member_id.detached(),
            instance_id: value.group_instance_id.map(|id| id.detached()),
            client_id: value.client_id.detached(),
            client_host: value.client_host.detached(),
            rebalance_timeout: of_millis(rebalance_timeout),
            session_timeout: of_millis(value.session_timeout),
            metadata: Bytes::copy_from_slice(&value.subscription),
            assignment: Bytes::copy_from_slice(&value.assignment),
        }
    }
}
