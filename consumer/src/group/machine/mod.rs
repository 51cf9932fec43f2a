//! A member of a group of the classic protocol, as a pure machine: what it hears goes in, what is
//! to be done comes out. No I/O, no task, no clock.
//!
//! ```text
//!            Join answered              Sync answered
//! Unjoined ───────────────▶ Joined ─────────────────────▶ Stable
//!    ▲                        │ told to join again           │ told to join again, or
//!    └────────────────────────┴──────────────────────────────┘ topics changed
//! ```
//!
//! In the eager protocol a member gives up everything before it joins; in the cooperative one it
//! keeps what it has, and gives up afterwards what its new assignment lacks. At most one
//! [`Step`] is being done at a time; heartbeats and looks at the topics go on beside it.

mod answers;
mod requests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod together;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use klamm_client::Error;
use klamm_client::config::Assignor;
use klamm_protocol::api::{join_group, sync_group};
use klamm_protocol::wire::Str;
use klamm_utils::backoff::Backoff;

use super::assignor::{Member, Topics};
use super::subscription::Found;
use crate::assignment::Place;

/// What nobody has as a generation.
const NO_GENERATION: i32 = -1;

/// What the machine goes by.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) group: Str,
    /// Of a static member.
    pub(crate) instance: Option<Str>,
    /// The best liked first; never none.
    pub(crate) assignors: Vec<Assignor>,
    pub(crate) rack: Option<Str>,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    /// When to look at the topics again, and when if one of them is missing.
    pub(crate) topics_max_age: Duration,
    pub(crate) missing_max_age: Duration,
    pub(crate) backoff: Backoff,
}

/// Who the member is to the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) member: Str,
    pub(crate) generation: i32,
}

/// What is to be done now, and to be told of when it is done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Let the application finish with these partitions: [`Machine::gave_up`].
    GiveUp(Vec<Place>),
    /// Ask to join: [`Machine::joined`].
    Join(join_group::Request),
    /// Ask for the assignment: [`Machine::synced`].
    Sync(sync_group::Request),
    /// Leave the group, if that can be done; nobody needs to know the outcome.
    Leave(Identity),
}

/// What has become of partitions. To be carried out at once, in order.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// They are this member's now, besides those that it has.
    Assigned(Vec<Place>),
    /// They may be others' already.
    Lost(Vec<Place>),
    /// The application has been away too long; what it had was lost before.
    TooLate,
    /// Nothing more can be done.
    Fatal(Error),
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Machine {
    rules: Rules,
    identity: Identity,
    phase: Phase,
    owned: BTreeSet<Place>,
    /// What is to be given up before anything else.
    leaving: BTreeSet<Place>,
    /// The last assignment and its generation, for the sticky assignor.
    last: (Vec<Place>, i32),
    found: Option<Found>,
    /// The subscription with which it joined.
    joined_with: BTreeSet<Str>,
    /// Of the leader: the topics of all members.
    led: Option<Led>,
    must_rejoin: bool,
    /// Rises when the step that is being done has become pointless.
    round: u64,
    retry_at: Option<Instant>,
    beat_at: Instant,
    look_at: Instant,
    effects: VecDeque<Effect>,
}

#[derive(Debug)]
enum Phase {
    /// Is to join, unless nothing is to be done before `retry_at`.
    Unjoined,
    /// Has joined; its assignment is to be asked for.
    Joined { assignor: Assignor, role: Role },
    /// Has its assignment.
    Stable,
    /// Has left, until the application comes back; `leave` is still to be said.
    Away { leave: Option<Identity> },
    /// Cannot go on.
    Over,
}

/// What the coordinator makes of a member.
#[derive(Debug)]
enum Role {
    /// It only asks what it gets.
    Follower,
    /// It says who gets what.
    Leader(Vec<Member>),
    /// It leads, but the assignment stays as it is: a static member has come back (KIP-814).
    Heir(Vec<Member>),
}

/// What the leader has assigned by.
#[derive(Debug)]
struct Led {
    wanted: BTreeSet<Str>,
    topics: Topics,
}

impl Identity {
    /// Nobody yet.
    pub(crate) fn none() -> Self {
        Self { member: Str::default(), generation: NO_GENERATION }
    }

    /// Whether the coordinator has taken it in.
    pub(crate) fn is_member(&self) -> bool {
        self.generation != NO_GENERATION
    }
}

impl Machine {
    pub(crate) fn new(rules: Rules, now: Instant) -> Self {
        Self {
            rules,
            identity: Identity::none(),
            phase: Phase::Unjoined,
            owned: BTreeSet::new(),
            leaving: BTreeSet::new(),
            last: (Vec::new(), NO_GENERATION),
            found: None,
            joined_with: BTreeSet::new(),
            led: None,
            must_rejoin: false,
            round: 0,
            retry_at: None,
            beat_at: now,
            look_at: now,
            effects: VecDeque::new(),
        }
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// While this stays the same, the step that is being done is still wanted.
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    /// As whom it is to leave, if it leaves at all: static members come back.
    pub(crate) fn departure(&self) -> Option<Identity> {
        let leaves = self.rules.instance.is_none() && !self.identity.member.is_empty();
        leaves.then(|| self.identity.clone())
    }

    /// Whether it waits for the application to come back.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self.phase, Phase::Away { .. })
    }

    /// Whether it goes by what the application does.
    pub(crate) fn is_active(&self) -> bool {
        !matches!(self.phase, Phase::Away { .. } | Phase::Over)
    }

    /// What is to be carried out.
    pub(crate) fn effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// What is to be done, if no step is being done.
    pub(crate) fn step(&mut self, now: Instant) -> Option<Step> {
        if let Phase::Away { leave } = &mut self.phase {
            return leave.take().map(Step::Leave);
        }
        if matches!(self.phase, Phase::Stable) && self.must_rejoin && self.leaving.is_empty() {
            self.prepare();
        }
        if !self.leaving.is_empty() {
            return Some(Step::GiveUp(self.leaving.iter().cloned().collect()));
        }
        if self.retry_at.is_some_and(|at| now < at) {
            return None;
        }
        self.retry_at = None;
        match &self.phase {
            Phase::Unjoined => self.join(),
            Phase::Joined { .. } => self.sync(),
            Phase::Stable | Phase::Away { .. } | Phase::Over => None,
        }
    }

    /// Whether a heartbeat is due, if none is under way.
    pub(crate) fn beat(&mut self, now: Instant) -> bool {
        let is_due = now >= self.beat_at && self.beats();
        if is_due {
            self.beat_at = now + self.rules.heartbeat_interval;
        }
        is_due
    }

    /// Joining and asking for the assignment count as heartbeats themselves.
    fn beats(&self) -> bool {
        self.identity.is_member()
            && (matches!(self.phase, Phase::Stable) || !self.leaving.is_empty())
    }

    /// The topics, besides those subscribed to, that are to be looked at now, if a look is due
    /// and none is under way.
    pub(crate) fn look(&mut self, now: Instant) -> Option<BTreeSet<Str>> {
        if !self.is_active() || now < self.look_at {
            return None;
        }
        self.look_at = now + self.rules.missing_max_age;
        Some(self.others())
    }

    /// The topics that only other members subscribe to, as far as the leader knows them.
    fn others(&self) -> BTreeSet<Str> {
        let led = self.led.iter().flat_map(|led| &led.wanted);
        let presented = self.members().iter().flat_map(|member| &member.topics);
        led.chain(presented).cloned().collect()
    }

    /// All members, between the answer to Join and that to Sync, if this one leads.
    fn members(&self) -> &[Member] {
        match &self.phase {
            Phase::Joined { role: Role::Leader(members) | Role::Heir(members), .. } => members,
            _ => &[],
        }
    }

    /// When a step may be due though nothing happens.
    pub(crate) fn step_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// When a heartbeat is due.
    pub(crate) fn beat_at(&self) -> Option<Instant> {
        self.beats().then_some(self.beat_at)
    }

    /// When a look at the topics is due.
    pub(crate) fn look_at(&self) -> Option<Instant> {
        self.is_active().then_some(self.look_at)
    }
}
