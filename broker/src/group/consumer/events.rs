//! What happens to a group, and under which circumstances.

use std::time::Duration;

use klamm_protocol::wire::Str;

use super::assignor::Assignor;
use super::change::Partitions;
use super::member::ClassicMember;
use super::topics::Topics;
use crate::group::classic::Moment;

/// The epoch of a static member that has left and will be back.
pub(crate) const LEFT_FOR_A_WHILE: i32 = -2;

/// What the settings say about a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `group.consumer.session.timeout.ms`: how long a member may be silent.
    pub(crate) session_timeout: Duration,
    /// `group.consumer.assignment.interval.ms`: how long a target stays at least.
    pub(crate) assignment_interval: Duration,
    /// `group.consumer.max.size`.
    pub(crate) size_max: usize,
    /// The first of `group.consumer.assignors`: what assigns where no member wishes anything.
    pub(crate) assignor: Assignor,
    /// As many bytes the record of a member may have.
    pub(crate) record_bytes_max: usize,
}

/// When something happens, and what holds then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) now: Moment,
    pub(crate) limits: &'a Limits,
    pub(crate) topics: &'a Topics,
}

/// A member is alive. What it does not say is as it was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heartbeat {
    /// Chosen by the client, or by the caller for one that has none yet.
    pub(crate) member_id: Str,
    /// 0 to join; else as it was told last.
    pub(crate) epoch: i32,
    pub(crate) instance_id: Option<Str>,
    pub(crate) rack_id: Option<Str>,
    pub(crate) client_id: Str,
    /// The address it comes from, as Kafka writes it: `/127.0.0.1`.
    pub(crate) client_host: Str,
    pub(crate) rebalance_timeout: Option<Duration>,
    pub(crate) topic_names: Option<Vec<Str>>,
    pub(crate) pattern: Option<Str>,
    pub(crate) assignor: Option<Str>,
    /// What it holds.
    pub(crate) owned: Option<Partitions>,
    /// Set where the member speaks the classic protocol.
    pub(crate) classic: Option<ClassicMember>,
}

impl Heartbeat {
    /// Whether a client joins, for the first time or again.
    pub(crate) fn joins(&self) -> bool {
        self.epoch == 0
    }

    /// Whether it says everything, and wants to be told everything.
    pub(super) fn is_full(&self) -> bool {
        let reads = self.topic_names.is_some() || self.pattern.is_some();
        self.joins() || (self.rebalance_timeout.is_some() && reads && self.owned.is_some())
    }
}

/// A member leaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leave {
    pub(crate) member_id: Str,
    pub(crate) instance_id: Option<Str>,
    /// Whether a static member will be back, and keeps what it has until its session is over.
    pub(crate) for_a_while: bool,
}
