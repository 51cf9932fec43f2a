//! What is told of a group.

use klamm_protocol::wire::Str;

use super::ConsumerGroup;
use super::change::Partitions;
use super::events::Scope;
use super::member::{Member, Subscription};

/// Where a group is, as Kafka's tools name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has no members.
    Empty,
    /// A new target is due.
    Assigning,
    /// Members are on their way to the target.
    Reconciling,
    /// All members have come to the target.
    Stable,
}

impl State {
    /// Kafka's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

/// A group, as ConsumerGroupDescribe tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) state: State,
    pub(crate) epoch: i32,
    pub(crate) target_epoch: i32,
    /// The name of the assignor.
    pub(crate) assignor: &'static str,
    pub(crate) members: Vec<MemberDescription>,
}

/// A member, as ConsumerGroupDescribe tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberDescription {
    pub(crate) member_id: Str,
    pub(crate) epoch: i32,
    pub(crate) subscription: Subscription,
    /// What it holds, and what it is still to give up: Kafka tells of both together, too.
    pub(crate) assigned: Partitions,
    /// What it shall hold.
    pub(crate) target: Partitions,
}

impl ConsumerGroup {
    /// Where it is.
    pub(crate) fn state(&self) -> State {
        let target = self.target_epoch.epoch;
        if self.members.is_empty() {
            State::Empty
        } else if self.epoch.epoch > target {
            State::Assigning
        } else if self.members.values().all(|member| member.is_reconciled_to(target)) {
            State::Stable
        } else {
            State::Reconciling
        }
    }

    /// How many members it has.
    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }

    /// All that ConsumerGroupDescribe tells.
    pub(crate) fn describe(&self, scope: Scope<'_>) -> Description {
        let members = self.members.iter();
        Description {
            state: self.state(),
            epoch: self.epoch.epoch,
            target_epoch: self.target_epoch.epoch,
            assignor: self.assignor(scope).name(),
            members: members.map(|(id, member)| self.describe_member(id, member)).collect(),
        }
    }

    fn describe_member(&self, id: &Str, member: &Member) -> MemberDescription {
        let current = &member.current;
        MemberDescription {
            member_id: id.clone(),
            epoch: current.epoch,
            subscription: member.subscription.clone(),
            assigned: current.assigned.keys().chain(current.revoking.keys()).copied().collect(),
            target: self.targets.get(id).cloned().unwrap_or_default(),
        }
    }
}
