//! A member: what it says of itself, what it holds, and until when it may be silent.

use std::collections::BTreeSet;
use std::time::Duration;

use klamm_protocol::wire::Str;

use super::change::{Held, Partitions};
use super::events::Limits;
use crate::group::classic::Protocol;

/// A length takes as much in a record at most.
const LENGTH_BYTES: usize = 5;

/// A member of a group.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) subscription: Subscription,
    pub(super) current: Current,
    /// Until when it has to be heard of.
    pub(super) session_until: Duration,
    /// Until when it has to give up what it shall not hold any more.
    pub(super) revoke_until: Option<Duration>,
    /// Until when a member of the classic protocol has to join again.
    pub(super) join_until: Option<Duration>,
    /// Until when a member of the classic protocol has to ask for what it holds.
    pub(super) sync_until: Option<Duration>,
}

impl Member {
    /// A member that has not said anything yet.
    pub(super) fn new() -> Self {
        Self {
            subscription: Subscription::default(),
            current: Current::default(),
            session_until: Duration::MAX,
            revoke_until: None,
            join_until: None,
            sync_until: None,
        }
    }

    /// Whether it holds what a target says.
    pub(super) fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.current.state == MemberState::Stable && self.current.epoch == epoch
    }

    /// When it is out, if nothing is heard of it.
    pub(super) fn out_at(&self) -> Duration {
        let others = [self.revoke_until, self.join_until, self.sync_until];
        others.into_iter().flatten().fold(self.session_until, Duration::min)
    }
}

/// What a member says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// Set where the member is static.
    pub(crate) instance_id: Option<Str>,
    pub(crate) rack_id: Option<Str>,
    pub(crate) client_id: Str,
    /// The address it comes from, as Kafka writes it: `/127.0.0.1`.
    pub(crate) client_host: Str,
    /// What it reads, by name.
    pub(crate) topic_names: BTreeSet<Str>,
    /// What it reads, by a regular expression; empty stands for none.
    pub(crate) pattern: Str,
    /// How long it may take to give partitions up.
    pub(crate) rebalance_timeout: Duration,
    /// The assignor that it likes best.
    pub(crate) assignor: Option<Str>,
    /// Set where the member speaks the classic protocol.
    pub(crate) classic: Option<ClassicMember>,
}

impl Subscription {
    /// The pattern, if there is one.
    pub(super) fn pattern(&self) -> Option<&Str> {
        Some(&self.pattern).filter(|pattern| !pattern.is_empty())
    }

    /// How long it may be silent: members of the classic protocol say it themselves.
    pub(super) fn session_timeout(&self, limits: &Limits) -> Duration {
        self.classic.as_ref().map_or(limits.session_timeout, |classic| classic.session_timeout)
    }

    /// How long the record of it is, and a little more.
    pub(super) fn record_bytes(&self) -> usize {
        let text = |text: &Option<Str>| text.as_ref().map_or(0, |text| text.len());
        let optional = text(&self.instance_id) + text(&self.rack_id) + text(&self.assignor);
        let texts = optional + self.client_id.len() + self.client_host.len() + self.pattern.len();
        let names: usize = self.topic_names.iter().map(|name| name.len() + LENGTH_BYTES).sum();
        let protocols = self.classic.iter().flat_map(|classic| &classic.protocols);
        let protocol = |it: &Protocol| it.name.len() + it.metadata.len() + 2 * LENGTH_BYTES;
        texts + names + protocols.map(protocol).sum::<usize>() + 64
    }

    /// Whether both read the same.
    pub(super) fn reads_as(&self, other: &Self) -> bool {
        self.topic_names == other.topic_names && self.pattern == other.pattern
    }
}

/// What a member of the classic protocol says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClassicMember {
    pub(crate) session_timeout: Duration,
    /// The ways of assigning that it knows, the best liked first.
    pub(crate) protocols: Vec<Protocol>,
}

/// What a member holds, and where it is on its way to the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Current {
    /// The epoch of the target that it has come to; -2 while a static member is away.
    pub(crate) epoch: i32,
    /// The one before: the member has not heard of the newer one if its answer got lost.
    pub(crate) previous_epoch: i32,
    pub(crate) state: MemberState,
    pub(crate) assigned: Held,
    /// What it is to give up.
    pub(crate) revoking: Held,
}

impl Current {
    /// Goes on to an epoch.
    pub(super) fn at_epoch(mut self, epoch: i32) -> Self {
        self.previous_epoch = std::mem::replace(&mut self.epoch, epoch);
        self
    }

    /// Whether it holds all of these.
    pub(super) fn holds(&self, partitions: &Partitions) -> bool {
        partitions.iter().all(|partition| self.assigned.contains_key(partition))
    }
}

/// Where a member is on its way to the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// It holds what the target of its epoch says.
    #[default]
    Stable,
    /// It is to give partitions up.
    Unrevoked,
    /// It shall hold more, once others have given it up.
    Unreleased,
    /// A later release put it there.
    Unknown(i8),
}

impl MemberState {
    /// From its number in records.
    pub(crate) fn from_code(code: i8) -> Self {
        match code {
            0 => Self::Stable,
            1 => Self::Unrevoked,
            2 => Self::Unreleased,
            other => Self::Unknown(other),
        }
    }

    /// Its number in records.
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::Unrevoked => 1,
            Self::Unreleased => 2,
            Self::Unknown(code) => code,
        }
    }
}
