//! A member that speaks the consumer protocol (KIP-848): the broker assigns, and all is said by
//! heartbeats.
//!
//! Who sends one at epoch 0 joins. Each answer has the epoch for the next one and, where that is
//! new, what the member shall have. What it shall not have any more it gives up first, and says so
//! by a heartbeat at once; only then it takes what is new. What it has not given up, or not been
//! given, it neither keeps nor takes.
//!
//! A heartbeat says only what the coordinator does not know. If its answer does not come, the next
//! one says everything.

mod answers;
#[cfg(test)]
mod model;
mod requests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use klamm_client::Result;
use klamm_protocol::wire::{Str, Uuid};
use klamm_utils::random::Random;

use super::membership::Membership;
use super::{Beat, Departure, Done, Heard, Identity, Machine, NO_GENERATION, Rules, Step};
use crate::group::subscription::{Found, Subscription};

/// A partition by the id of its topic.
type PlaceById = (Uuid, i32);

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct ConsumerMachine {
    member: Membership,
    subscription: Subscription,
    /// What the coordinator has told that it shall have, and how often it has told such a thing.
    target: BTreeSet<PlaceById>,
    targets: u64,
    /// The ids of the topics of which it has partitions.
    ids: BTreeMap<Str, Uuid>,
    /// The names of topics, as far as they are known.
    names: BTreeMap<Uuid, Str>,
    /// How often the coordinator wants to hear of the member.
    interval: Duration,
    /// What the coordinator knows of the member for certain.
    known: Option<Said>,
    /// What the heartbeat says that was sent last, and the round in which that was.
    said: Option<(u64, Said)>,
    /// Whether the coordinator may know a pattern, or know the member at all.
    has_had_pattern: bool,
    may_be_known: bool,
    /// Whether the application has heard that its subscription is refused.
    has_told_refusal: bool,
}

/// What a member says of itself that may change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    topics: BTreeSet<Str>,
    pattern: Option<Str>,
    owned: BTreeSet<PlaceById>,
    /// The target that this acknowledges. The coordinator wants to hear that nothing is left of
    /// what it has taken away, though the member may never have had it.
    target: u64,
}

impl ConsumerMachine {
    pub(crate) fn new(rules: Rules, subscription: Subscription, now: Instant) -> Self {
        let member = Str::from(Uuid(Random::new().uuid()).to_string());
        let identity = Identity { member, generation: NO_GENERATION };
        Self {
            interval: rules.heartbeat_interval,
            member: Membership::new(rules, identity, now),
            subscription,
            target: BTreeSet::new(),
            targets: 0,
            ids: BTreeMap::new(),
            names: BTreeMap::new(),
            known: None,
            said: None,
            has_had_pattern: false,
            may_be_known: false,
            has_told_refusal: false,
        }
    }

    /// What it has, by ids.
    fn owned(&self) -> BTreeSet<PlaceById> {
        let by_id = |(topic, partition): &(Str, i32)| Some((*self.ids.get(topic)?, *partition));
        self.member.owned.iter().filter_map(by_id).collect()
    }

    /// What there is to say.
    fn saying(&self) -> Said {
        Said {
            topics: self.subscription.names().clone(),
            pattern: self.subscription.pattern(),
            owned: self.owned(),
            target: match &self.known {
                Some(known) if !self.member.leaving.is_empty() => known.target,
                _ => self.targets,
            },
        }
    }

    /// Whether the coordinator is to hear something that it does not know.
    fn has_news(&self) -> bool {
        self.known.as_ref() != Some(&self.saying())
    }
}

impl Machine for ConsumerMachine {
    fn member(&self) -> &Membership {
        &self.member
    }

    fn member_mut(&mut self) -> &mut Membership {
        &mut self.member
    }

    fn topic_id(&self, topic: &Str) -> Option<Uuid> {
        self.ids.get(topic).copied()
    }

    fn departure(&self) -> Option<Departure> {
        let goodbye = || Departure::Consumer(Box::new(self.goodbye()));
        self.member.farewell().or_else(|| self.may_be_known.then(goodbye))
    }

    fn step(&mut self, _: Instant) -> Option<Step> {
        self.member.step()
    }

    fn beat(&mut self, now: Instant) -> Option<Beat> {
        let is_due = self.beat_at().is_some_and(|at| at <= now);
        is_due.then(|| {
            self.member.retry_at = None;
            self.member.beat_at = now + self.interval;
            Beat::Consumer(Box::new(self.say()))
        })
    }

    fn look(&mut self, now: Instant) -> Option<BTreeSet<Str>> {
        // What others subscribe to is the coordinator's business.
        self.member.looks(now).then(BTreeSet::new)
    }

    /// Only heartbeats are tried again.
    fn step_at(&self) -> Option<Instant> {
        None
    }

    fn beat_at(&self) -> Option<Instant> {
        let Membership { retry_at, beat_at, .. } = self.member;
        let at = match retry_at {
            Some(at) => at,
            // In the past: at once.
            None if self.has_news() => beat_at.checked_sub(self.interval).unwrap_or(beat_at),
            None => beat_at,
        };
        (self.member.is_active() && !self.member.is_leaving()).then_some(at)
    }

    fn done(&mut self, done: Done, _: Instant) {
        match done {
            Done::GaveUp(places) => {
                self.member.gave_up(&places);
                self.reconcile();
            }
            Done::Left => self.member.left(),
            // Steps of the classic protocol.
            Done::Joined(_) | Done::Synced(_) => {}
        }
    }

    fn beaten(&mut self, outcome: Result<Heard>, now: Instant) {
        self.heard(outcome, now);
    }

    fn looked(&mut self, found: Found, now: Instant) {
        self.names = found.names;
        self.reconcile();
        let mut subscribed = self.subscription.names().iter();
        let is_whole = subscribed.all(|topic| found.topics.contains_key(topic));
        self.member.looked(is_whole && self.knows_names(), now);
    }

    fn resubscribed(&mut self, subscription: &Subscription, now: Instant) {
        self.subscription = subscription.clone();
        self.has_told_refusal = false;
        self.member.look_at = now;
    }

    fn late(&mut self) {
        let leave = self.departure();
        self.lose();
        self.may_be_known = false;
        self.member.late(leave);
    }

    fn back(&mut self, now: Instant) {
        self.member.back(now);
    }
}
