//! What is told of a group.

use bytes::Bytes;
use klamm_protocol::wire::Str;

use super::member::Member;
use super::{ClassicGroup, Phase};

/// Where a group is in its round, as Kafka's tools name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has no members.
    Empty,
    /// Members are to join.
    PreparingRebalance,
    /// The leader is to assign.
    CompletingRebalance,
    /// Members have their assignments.
    Stable,
}

impl State {
    /// Kafka's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A group, as DescribeGroups tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) state: State,
    /// Empty if it never had members.
    pub(crate) protocol_type: Str,
    /// Empty unless it is stable.
    pub(crate) protocol: Str,
    pub(crate) members: Vec<MemberDescription>,
}

/// A member, as DescribeGroups tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberDescription {
    pub(crate) member_id: Str,
    pub(crate) instance_id: Option<Str>,
    pub(crate) client_id: Str,
    pub(crate) client_host: Str,
    /// Empty unless the group is stable.
    pub(crate) metadata: Bytes,
    /// Empty unless the group is stable.
    pub(crate) assignment: Bytes,
}

impl ClassicGroup {
    /// Where it is in its round.
    pub(crate) fn state(&self) -> State {
        match self.phase {
            Phase::Empty => State::Empty,
            Phase::Preparing { .. } => State::PreparingRebalance,
            Phase::Completing { .. } => State::CompletingRebalance,
            Phase::Stable { .. } => State::Stable,
        }
    }

    /// What kind of group it is; empty if it never had members.
    pub(crate) fn protocol_type(&self) -> Str {
        self.protocol_type.clone().unwrap_or_default()
    }

    /// How many members it has.
    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }

    /// Whether ids are out that clients may still join with.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// All that DescribeGroups tells.
    pub(crate) fn describe(&self) -> Description {
        let state = self.state();
        let protocol = self.protocol.clone().filter(|_| state == State::Stable);
        let members = self.members.iter();
        Description {
            state,
            protocol_type: self.protocol_type(),
            members: members.map(|member| describe_member(member, protocol.as_deref())).collect(),
            protocol: protocol.unwrap_or_default(),
        }
    }
}

fn describe_member(member: &Member, protocol: Option<&str>) -> MemberDescription {
    MemberDescription {
        member_id: member.id.clone(),
        instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        metadata: protocol.map(|protocol| member.metadata(protocol)).unwrap_or_default(),
        assignment: protocol.map(|_| member.assignment.clone()).unwrap_or_default(),
    }
}
