//! One group of the classic protocol, as a pure machine: events and the time in, effects out.
//!
//! It has no task, no clock, no socket and no log. The coordinator that drives it
//!
//! 1. calls one of the methods that take an event, with the moment it happened,
//! 2. writes [`snapshot`](ClassicGroup::snapshot) to the log if the effects say
//!    [`store`](Effects::store),
//! 3. lets the answers go once that is durable, and
//! 4. calls [`expire`](ClassicGroup::expire) no later than [`deadline`](ClassicGroup::deadline) asks.
//!
//! ```text
//!            first join                      delay or timeout over, or all have joined
//!  ┌───────┐ ─────────▶ ┌────────────────────┐ ─────────▶ ┌─────────────────────┐
//!  │ Empty │            │ PreparingRebalance │            │ CompletingRebalance │
//!  └───────┘ ◀───────── └────────────────────┘ ◀───────── └─────────────────────┘
//!            nobody is         ▲        a join, a leave, an expiry   │ the leader's sync
//!            left              │                                     ▼
//!                              │                                ┌────────┐
//!                              └─────────────────────────────── │ Stable │
//!                                a join, a leave, an expiry     └────────┘
//! ```
//!
//! Kafka's fifth state, Dead, is the absence of the group: whoever deletes a group drops it, and
//! answers for groups that are not there.
//!
//! # What the caller does
//!
//! - It refuses empty group ids, sessions that [`Limits::allows_session`] does not allow, and every
//!   event for a group that does not exist; only a join with an empty member id, or a commit
//!   without a generation, makes a group.
//! - A method that takes a [`Token`] answers it exactly once: at once or in the effects of a later
//!   call. Where a client has gone, its answer goes nowhere, and [`missed`](ClassicGroup::missed)
//!   says so; while it waits, the machine asks for that when its session would end.
//! - Effects are of one call on one group. They are carried out before the next call.
//!
//! # Invariants
//!
//! - A generation begins when all members that stay have joined; within one, members and
//!   protocol do not change, except that a static member may come back under a new id.
//! - Every member that waits for an answer gets it: no wait is longer than the longest rebalance
//!   timeout in the group, then the session timeouts of static members that are missing.
//! - Nothing kept here shares a request's buffer.
//!
//! The rules, and the codes of refusals, are those of `ClassicGroup` and `GroupMetadataManager` in
//! Kafka 4.3, but for one: there a member that waits for an answer is alive until it has got it,
//! and then for a session more, even if its client is long gone. Members are kept in the order of
//! their ids where Kafka has the order of a hash table, which shows in who leads when a leader is
//! gone.

mod checks;
mod describe;
mod effects;
mod events;
mod expire;
mod handover;
mod join;
mod leave;
mod member;
mod members;
mod rebalance;
mod snapshot;
mod subscription;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use klamm_protocol::wire::Str;

pub(crate) use checks::{CONSUMER, OffsetExpiry};
pub(crate) use describe::{Description, MemberDescription, State};
pub(crate) use effects::{Effects, JoinRefusal, Joined, JoinedMember, Synced, Token};
pub(crate) use events::{Identity, Join, Limits, Moment, Protocol, Sync};
pub(crate) use handover::{HandedMember, Handover};
use members::Members;
pub(crate) use snapshot::{MemberSnapshot, Snapshot};

use super::wake::Wake;

/// One group of the classic protocol.
#[derive(Clone, Debug)]
pub(crate) struct ClassicGroup {
    limits: Limits,
    phase: Phase,
    /// When the phase began, by the wall clock; none in records of old brokers.
    phase_since_ms: Option<i64>,
    /// Goes up by one with every rebalance.
    generation: i32,
    /// What kind of group it is; none before the first member. Stays when the last one goes.
    protocol_type: Option<Str>,
    /// The protocol that the generation uses.
    protocol: Option<Str>,
    /// None without members, and until the first members join that come from a group of the
    /// consumer protocol.
    leader: Option<Str>,
    members: Members,
    /// Ids given to clients that have not joined with them yet, and until when they may.
    pending: BTreeMap<Str, Duration>,
    /// What the members consume, if this group tells us.
    topics: Option<HashSet<Str>>,
    wake: Wake,
}

/// Where a group is in its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is no member.
    Empty,
    /// Members are expected to join, until then.
    Preparing { until: Duration, initial: Option<InitialDelay> },
    /// All have joined and the leader's assignment is due.
    Completing { until: Duration },
    /// The leader has assigned; members that have not asked for it may do so until then.
    Stable { sync_until: Option<Duration> },
}

impl Phase {
    /// When it has taken too long.
    fn until(self) -> Option<Duration> {
        match self {
            Self::Empty => None,
            Self::Preparing { until, .. } | Self::Completing { until } => Some(until),
            Self::Stable { sync_until } => sync_until,
        }
    }
}

/// The wait for more members when a group that was empty gets its first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InitialDelay {
    /// How long the current part of the wait is.
    part: Duration,
    /// How much may follow it.
    remaining: Duration,
    /// Whether somebody joined during the current part.
    extend: bool,
}

impl ClassicGroup {
    /// A group without members.
    pub(crate) fn new(limits: Limits, now: Moment) -> Self {
        Self {
            limits,
            phase: Phase::Empty,
            phase_since_ms: Some(now.unix_ms),
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: Members::default(),
            pending: BTreeMap::new(),
            topics: None,
            wake: Wake::default(),
        }
    }

    fn enter(&mut self, phase: Phase, now: Moment) {
        self.phase = phase;
        self.phase_since_ms = Some(now.unix_ms);
        if let Some(until) = phase.until() {
            self.wake.by(until);
        }
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }
}
