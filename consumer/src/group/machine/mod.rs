//! A member of a group as a pure machine: what it hears goes in, what is to be done comes out. No
//! I/O, no task, no clock. There is one for each protocol, and [`Machine`] is what both can do.

pub(crate) mod classic;
pub(crate) mod consumer;
mod membership;

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use klamm_client::config::Assignor;
use klamm_client::{Answer, Error, Result};
use klamm_protocol::api::{consumer_group_heartbeat, join_group, sync_group};
use klamm_protocol::wire::{Str, Uuid};
use klamm_utils::backoff::Backoff;

use self::membership::Membership;
use super::subscription::{Found, Subscription};
use crate::assignment::Place;

/// What nobody has as a generation.
const NO_GENERATION: i32 = -1;

/// What a machine goes by.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) group: Str,
    /// Of a static member.
    pub(crate) instance: Option<Str>,
    /// Of the classic protocol: the best liked first; never none.
    pub(crate) assignors: Vec<Assignor>,
    /// Of the consumer protocol: how the broker is to assign, if the member minds.
    pub(crate) remote_assignor: Option<Str>,
    pub(crate) rack: Option<Str>,
    /// Of the classic protocol, like the interval: otherwise the broker says them.
    pub(crate) session_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// When to look at the topics again, and when if one of them is missing.
    pub(crate) topics_max_age: Duration,
    pub(crate) missing_max_age: Duration,
    pub(crate) backoff: Backoff,
}

/// Who the member is to the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) member: Str,
    /// The generation of the classic protocol, or the member epoch of the consumer protocol.
    pub(crate) generation: i32,
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

/// What is to be done now; the machine is told what has come of it by [`Machine::done`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Let the application finish with these partitions.
    GiveUp(Vec<Place>),
    /// Ask to join.
    Join(join_group::Request),
    /// Ask for the assignment.
    Sync(sync_group::Request),
    /// Leave the group, if that can be done; nobody needs to know the outcome.
    Leave(Departure),
}

/// What has come of a step.
#[derive(Debug)]
pub(crate) enum Done {
    /// The application has let go of these partitions, or its time for that is over.
    GaveUp(Vec<Place>),
    Joined(Result<Answer<join_group::Response>>),
    /// These are the member's partitions.
    Synced(Result<Vec<Place>>),
    Left,
}

/// How a member leaves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Departure {
    Classic(Identity),
    Consumer(Box<consumer_group_heartbeat::Request>),
}

/// How a member says that it is alive.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Beat {
    Classic(Identity),
    Consumer(Box<consumer_group_heartbeat::Request>),
}

/// What the coordinator says to a member that is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// In the classic protocol nothing but that.
    Classic,
    Consumer(Told),
}

/// What the coordinator tells a member of the consumer protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) epoch: i32,
    /// When it wants to hear of the member again.
    pub(crate) interval: Duration,
    /// What the member shall have; none where that is as it was.
    pub(crate) assigned: Option<BTreeSet<(Uuid, i32)>>,
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
    /// The coordinator refuses what may be mended from outside; it is asked again and again.
    Refused(Error),
    /// Nothing more can be done.
    Fatal(Error),
}

/// A member of a group. At most one step, one heartbeat and one look at the topics are under way
/// at a time, beside each other.
pub(crate) trait Machine: fmt::Debug + Send {
    /// What members of both protocols are and have.
    fn member(&self) -> &Membership;
    fn member_mut(&mut self) -> &mut Membership;

    fn identity(&self) -> &Identity {
        &self.member().identity
    }

    /// While this stays the same, the step that is being done is still wanted.
    fn round(&self) -> u64 {
        self.member().round
    }

    /// How it is to leave, if the coordinator needs to hear of that at all.
    fn departure(&self) -> Option<Departure>;

    /// The id of a topic of which it has partitions, where the coordinator says it.
    fn topic_id(&self, _: &Str) -> Option<Uuid> {
        None
    }

    /// Whether it waits for the application to come back.
    fn is_away(&self) -> bool {
        self.member().is_away()
    }

    /// Whether it goes by what the application does.
    fn is_active(&self) -> bool {
        self.member().is_active()
    }

    /// What is to be carried out.
    fn effect(&mut self) -> Option<Effect> {
        self.member_mut().effect()
    }

    /// What is to be done, if no step is being done.
    fn step(&mut self, now: Instant) -> Option<Step>;
    /// The heartbeat that is due, if none is under way.
    fn beat(&mut self, now: Instant) -> Option<Beat>;
    /// The topics, besides those subscribed to, that are to be looked at now, if a look is due
    /// and none is under way.
    fn look(&mut self, now: Instant) -> Option<BTreeSet<Str>>;

    /// When a step may be due though nothing happens.
    fn step_at(&self) -> Option<Instant>;
    /// When a heartbeat is due.
    fn beat_at(&self) -> Option<Instant>;
    /// When a look at the topics is due.
    fn look_at(&self) -> Option<Instant> {
        self.is_active().then_some(self.member().look_at)
    }

    /// A step has been done.
    fn done(&mut self, done: Done, now: Instant);
    /// The heartbeat was answered.
    fn beaten(&mut self, outcome: Result<Heard>, now: Instant);
    /// The topics were looked at.
    fn looked(&mut self, found: Found, now: Instant);
    /// The subscription has changed.
    fn resubscribed(&mut self, subscription: &Subscription, now: Instant);
    /// The application has not asked for anything for too long.
    fn late(&mut self);
    /// The application asks again.
    fn back(&mut self, now: Instant);
}

/// Whether the same may succeed later, perhaps with another coordinator.
fn is_passing(error: &Error) -> bool {
    error.is_retriable() || error.is_stale_coordinator()
}

/// As requests say it.
fn ms(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

/// What has become of partitions since this was asked last, in words.
#[cfg(test)]
fn effects(machine: &mut dyn Machine) -> Vec<String> {
    let numbers = |places: Vec<Place>| {
        places.iter().map(|place| place.1.to_string()).collect::<Vec<_>>().join(" ")
    };
    let text = |effect| match effect {
        Effect::Assigned(places) => format!("assigned {}", numbers(places)),
        Effect::Lost(places) => format!("lost {}", numbers(places)),
        Effect::TooLate => "too late".to_owned(),
        Effect::Refused(error) => format!("refused {}", error.code().map_or(0, |code| code.0)),
        Effect::Fatal(error) => format!("fatal {}", error.code().map_or(0, |code| code.0)),
    };
    std::iter::from_fn(|| machine.effect()).map(text).collect()
}
