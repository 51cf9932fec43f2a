//! A member that speaks the classic protocol.
//!
//! ```text
//!            Join answered              Sync answered
//! Unjoined ───────────────▶ Joined ─────────────────────▶ Stable
//!    ▲                        │ told to join again           │ told to join again, or
//!    └────────────────────────┴──────────────────────────────┘ topics changed
//! ```
//!
//! In the eager protocol a member gives up everything before it joins; in the cooperative one it
//! keeps what it has, and gives up afterwards what its new assignment lacks.

mod answers;
mod requests;
#[cfg(test)]
pub(super) mod tests;
#[cfg(test)]
mod together;

use std::collections::BTreeSet;
use std::time::Instant;

use klamm_client::Result;
use klamm_client::config::Assignor;
use klamm_protocol::wire::Str;

use super::membership::Membership;
use super::{Beat, Departure, Done, Heard, Identity, Machine, NO_GENERATION, Rules, Step};
use crate::assignment::Place;
use crate::group::assignor::{Member, Topics};
use crate::group::subscription::{Found, Subscription};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct ClassicMachine {
    member: Membership,
    phase: Phase,
    /// The last assignment and its generation, for the sticky assignor.
    last: (Vec<Place>, i32),
    found: Option<Found>,
    /// The subscription with which it joined.
    joined_with: BTreeSet<Str>,
    /// Of the leader: the topics of all members.
    led: Option<Led>,
    must_rejoin: bool,
    /// Who it was when it last sent a heartbeat.
    beaten_as: Identity,
}

#[derive(Debug)]
enum Phase {
    /// Is to join.
    Unjoined,
    /// Has joined; its assignment is to be asked for.
    Joined { assignor: Assignor, role: Role },
    /// Has its assignment.
    Stable,
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

impl ClassicMachine {
    pub(crate) fn new(rules: Rules, now: Instant) -> Self {
        Self {
            member: Membership::new(rules, Identity::none(), now),
            phase: Phase::Unjoined,
            last: (Vec::new(), NO_GENERATION),
            found: None,
            joined_with: BTreeSet::new(),
            led: None,
            must_rejoin: false,
            beaten_as: Identity::none(),
        }
    }

    /// Joining and asking for the assignment count as heartbeats themselves.
    fn beats(&self) -> bool {
        self.member.is_active()
            && self.member.identity.is_member()
            && (matches!(self.phase, Phase::Stable) || !self.member.leaving.is_empty())
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
}

impl Machine for ClassicMachine {
    fn member(&self) -> &Membership {
        &self.member
    }

    fn member_mut(&mut self) -> &mut Membership {
        &mut self.member
    }

    /// Static members come back: they do not leave.
    fn departure(&self) -> Option<Departure> {
        let identity = &self.member.identity;
        let leaves = self.member.rules.instance.is_none() && !identity.member.is_empty();
        let goodbye = || Departure::Classic(identity.clone());
        self.member.farewell().or_else(|| leaves.then(goodbye))
    }

    fn step(&mut self, now: Instant) -> Option<Step> {
        let is_settled = matches!(self.phase, Phase::Stable) && self.member.leaving.is_empty();
        if self.member.is_active() && is_settled && self.must_rejoin {
            self.prepare();
        }
        let step = self.member.step();
        if step.is_some() || !self.member.may_try(now) {
            return step;
        }
        self.member.retry_at = None;
        match &self.phase {
            Phase::Unjoined => self.join(),
            Phase::Joined { .. } => self.sync(),
            Phase::Stable => None,
        }
    }

    fn beat(&mut self, now: Instant) -> Option<Beat> {
        if now < self.member.beat_at || !self.beats() {
            return None;
        }
        self.member.beat_at = now + self.member.rules.heartbeat_interval;
        self.beaten_as = self.member.identity.clone();
        Some(Beat::Classic(self.member.identity.clone()))
    }

    fn look(&mut self, now: Instant) -> Option<BTreeSet<Str>> {
        self.member.looks(now).then(|| self.others())
    }

    fn step_at(&self) -> Option<Instant> {
        self.member.retry_at
    }

    fn beat_at(&self) -> Option<Instant> {
        self.beats().then_some(self.member.beat_at)
    }

    fn done(&mut self, done: Done, now: Instant) {
        match done {
            Done::GaveUp(places) => self.member.gave_up(&places),
            Done::Joined(outcome) => self.joined(outcome, now),
            Done::Synced(outcome) => self.synced(outcome, now),
            Done::Left => self.member.left(),
        }
    }

    fn beaten(&mut self, outcome: Result<Heard>, now: Instant) {
        self.heard(outcome.map(drop), now);
    }

    fn looked(&mut self, found: Found, now: Instant) {
        let is_whole = found.asked.iter().all(|topic| found.topics.contains_key(topic));
        self.member.looked(is_whole, now);
        self.found = Some(found);
        self.look_if_unknown(now);
        self.compare_topics();
    }

    /// What is subscribed to is known when it was looked at.
    fn resubscribed(&mut self, _: &Subscription, now: Instant) {
        self.member.look_at = now;
    }

    fn late(&mut self) {
        let leave = self.departure();
        self.lose();
        self.member.identity = Identity::none();
        self.member.late(leave);
    }

    fn back(&mut self, now: Instant) {
        if self.member.back(now) {
            self.phase = Phase::Unjoined;
        }
    }
}
