//! What a member is and has, whichever protocol it speaks.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use klamm_client::{Error, Subject};

use super::{Departure, Effect, Identity, Rules, Step};
use crate::assignment::Place;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Membership {
    pub(super) rules: Rules,
    pub(super) identity: Identity,
    presence: Presence,
    /// How it leaves, until that was said; also if the application has come back meanwhile.
    farewell: Option<Farewell>,
    pub(super) owned: BTreeSet<Place>,
    /// What is to be given up before anything else.
    pub(super) leaving: BTreeSet<Place>,
    /// Rises when what is being done has become pointless.
    pub(super) round: u64,
    /// Before that nothing is tried again.
    pub(super) retry_at: Option<Instant>,
    pub(super) beat_at: Instant,
    pub(super) look_at: Instant,
    effects: VecDeque<Effect>,
}

/// A departure that is to be said, or is being said.
#[derive(Debug)]
struct Farewell {
    departure: Departure,
    has_begun: bool,
}

#[derive(Debug)]
enum Presence {
    Here,
    /// Has left, until the application comes back.
    Away,
    /// Cannot go on.
    Over,
}

impl Membership {
    pub(super) fn new(rules: Rules, identity: Identity, now: Instant) -> Self {
        Self {
            rules,
            identity,
            presence: Presence::Here,
            farewell: None,
            owned: BTreeSet::new(),
            leaving: BTreeSet::new(),
            round: 0,
            retry_at: None,
            beat_at: now,
            look_at: now,
            effects: VecDeque::new(),
        }
    }

    pub(super) fn is_away(&self) -> bool {
        matches!(self.presence, Presence::Away)
    }

    pub(super) fn is_active(&self) -> bool {
        matches!(self.presence, Presence::Here)
    }

    pub(super) fn effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// What is to be done before anything that a protocol wants.
    pub(super) fn step(&mut self) -> Option<Step> {
        if let Some(Farewell { departure, has_begun }) = &mut self.farewell {
            let is_new = !std::mem::replace(has_begun, true);
            return is_new.then(|| Step::Leave(departure.clone()));
        }
        let leaving = || self.leaving.iter().cloned().collect();
        (!self.leaving.is_empty()).then(|| Step::GiveUp(leaving()))
    }

    /// How it is to leave of which that was not said yet: for good, if it is to be nothing else.
    pub(super) fn farewell(&self) -> Option<Departure> {
        self.farewell.as_ref().map(|farewell| farewell.departure.clone())
    }

    /// Whether it has left, and not said so yet: until then it does not join.
    pub(super) fn is_leaving(&self) -> bool {
        self.farewell.is_some()
    }

    /// The coordinator was told that it has left.
    pub(super) fn left(&mut self) {
        self.farewell = None;
    }

    /// Whether a pause is over, if there was one.
    pub(super) fn may_try(&self, now: Instant) -> bool {
        self.is_active() && !self.is_leaving() && self.retry_at.is_none_or(|at| at <= now)
    }

    /// Tries again after a pause, which is longer each time.
    pub(super) fn try_later(&mut self, now: Instant) {
        self.retry_at = Some(now + self.rules.backoff.next_pause());
    }

    /// Whether a look at the topics is due; if so, the next is when they may have come that are
    /// missing.
    pub(super) fn looks(&mut self, now: Instant) -> bool {
        let is_due = self.is_active() && now >= self.look_at;
        if is_due {
            self.look_at = now + self.rules.missing_max_age;
        }
        is_due
    }

    /// The topics were looked at: all were there, or one is missing.
    pub(super) fn looked(&mut self, is_whole: bool, now: Instant) {
        let age = if is_whole { self.rules.topics_max_age } else { self.rules.missing_max_age };
        self.look_at = now + age;
    }

    /// The application has let go of these partitions.
    pub(super) fn gave_up(&mut self, places: &[Place]) {
        for place in places {
            self.owned.remove(place);
            self.leaving.remove(place);
        }
    }

    /// These partitions are the member's from now on.
    pub(super) fn add(&mut self, places: Vec<Place>) {
        self.owned.extend(places.iter().cloned());
        if !places.is_empty() {
            self.effects.push_back(Effect::Assigned(places));
        }
    }

    /// Others may have the member's partitions already.
    pub(super) fn lose(&mut self) {
        self.round += 1;
        self.retry_at = None;
        self.leaving.clear();
        let lost: Vec<_> = std::mem::take(&mut self.owned).into_iter().collect();
        if !lost.is_empty() {
            self.effects.push_back(Effect::Lost(lost));
        }
    }

    /// The application has been away for too long: what there was is lost already.
    pub(super) fn late(&mut self, departure: Option<Departure>) {
        self.presence = Presence::Away;
        self.farewell = departure.map(|departure| Farewell { departure, has_begun: false });
        self.effects.push_back(Effect::TooLate);
    }

    /// The application asks again; tells whether it had been away.
    pub(super) fn back(&mut self, now: Instant) -> bool {
        let was_away = self.is_away();
        if was_away {
            self.presence = Presence::Here;
            (self.look_at, self.beat_at) = (now, now);
        }
        was_away
    }

    /// The application is to hear of this; the member goes on.
    pub(super) fn refused(&mut self, error: Error) {
        self.effects.push_back(Effect::Refused(error));
    }

    /// Nothing more can be done; what there was is lost already.
    pub(super) fn fatal(&mut self, error: Error) {
        self.presence = Presence::Over;
        self.effects.push_back(Effect::Fatal(error));
    }

    pub(super) fn subject(&self) -> Subject {
        Subject::Name(self.rules.group.clone())
    }
}
