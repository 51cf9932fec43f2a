//! What a member makes of what it hears.

use std::collections::BTreeSet;
use std::time::Instant;

use klamm_client::config::{Assignor, Value as _};
use klamm_client::{Error, Result};
use klamm_protocol::api::join_group;
use klamm_protocol::error_code::ErrorCode;

use super::requests::of;
use super::{Effect, Identity, Machine, NO_GENERATION, Phase, Role};
use crate::assignment::Place;
use crate::group::assignor::Member;
use crate::group::subscription::Found;

impl Machine {
    /// The application has let go of these partitions, or its time for that is over.
    pub(crate) fn gave_up(&mut self, places: &[Place]) {
        for place in places {
            self.owned.remove(place);
            self.leaving.remove(place);
        }
    }

    /// Join was answered.
    pub(crate) fn joined(&mut self, outcome: Result<join_group::Response>, now: Instant) {
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => return self.failed(error, now),
        };
        if answer.error_code == ErrorCode::MEMBER_ID_REQUIRED {
            // The next try says who it is, so that nobody is counted twice.
            self.identity.member = answer.member_id.detached();
            return;
        }
        if let Err(error) = Error::check(answer.error_code, None, self.subject()) {
            return self.failed(error, now);
        }
        let name = answer.protocol_name.unwrap_or_default();
        let Some(assignor) = Assignor::parse(&name) else {
            let (code, subject) = (ErrorCode::INCONSISTENT_GROUP_PROTOCOL, self.subject());
            return self.fatal(Error::Broker { code, message: None, subject });
        };
        self.rules.backoff.reset();
        self.identity =
            Identity { member: answer.member_id.detached(), generation: answer.generation_id };
        self.beat_at = now + self.rules.heartbeat_interval;
        let members = answer.members.into_iter().map(present).collect();
        let role = match (answer.leader == answer.member_id, answer.skip_assignment) {
            (false, _) => Role::Follower,
            (true, false) => Role::Leader(members),
            (true, true) => Role::Heir(members),
        };
        self.phase = Phase::Joined { assignor, role };
        self.look_if_unknown(now);
    }

    /// Sync was answered: these are the member's partitions.
    pub(crate) fn synced(&mut self, outcome: Result<Vec<Place>>, now: Instant) {
        let assigned = match outcome {
            Ok(assigned) => assigned,
            Err(error) => return self.failed(error, now),
        };
        self.rules.backoff.reset();
        self.phase = Phase::Stable;
        self.beat_at = now + self.rules.heartbeat_interval;
        self.last = (assigned.clone(), self.identity.generation);
        let assigned: BTreeSet<_> = assigned.into_iter().collect();
        self.leaving = self.owned.difference(&assigned).cloned().collect();
        // Others get what this one gives up in the round that it asks for then.
        self.must_rejoin |= !self.leaving.is_empty();
        let added: Vec<_> = assigned.difference(&self.owned).cloned().collect();
        self.owned.extend(added.iter().cloned());
        if !added.is_empty() {
            self.effects.push_back(Effect::Assigned(added));
        }
        self.compare_topics();
    }

    /// A heartbeat, sent by `sender`, was answered.
    pub(crate) fn beaten(&mut self, sender: &Identity, outcome: Result<()>, now: Instant) {
        match outcome {
            // It has joined another round since, or has left.
            _ if *sender != self.identity => {}
            Ok(()) => self.rules.backoff.reset(),
            Err(error) if error.code() == Some(ErrorCode::REBALANCE_IN_PROGRESS) => {
                self.must_rejoin = true;
            }
            Err(error) if is_passing(&error) => {
                self.beat_at = now + self.rules.backoff.next_pause();
            }
            Err(error) => self.failed(error, now),
        }
    }

    /// The topics were looked at.
    pub(crate) fn looked(&mut self, found: Found, now: Instant) {
        let is_whole = found.asked.iter().all(|topic| found.topics.contains_key(topic));
        let age = if is_whole { self.rules.topics_max_age } else { self.rules.missing_max_age };
        self.look_at = now + age;
        self.found = Some(found);
        self.look_if_unknown(now);
        self.compare_topics();
    }

    /// The subscription has changed.
    pub(crate) fn resubscribed(&mut self, now: Instant) {
        self.look_at = now;
    }

    /// The application has not asked for anything for too long.
    pub(crate) fn late(&mut self) {
        let leave = self.departure();
        self.lose();
        self.identity = Identity::none();
        self.phase = Phase::Away { leave };
        self.effects.push_back(Effect::TooLate);
    }

    /// The application asks again.
    pub(crate) fn back(&mut self, now: Instant) {
        if self.is_away() {
            self.phase = Phase::Unjoined;
            self.look_at = now;
        }
    }

    /// A leader must know the topics of all members before it can assign.
    fn look_if_unknown(&mut self, now: Instant) {
        let asked = self.found.as_ref().map(|found| &found.asked);
        let mut presented = self.members().iter().flat_map(|member| &member.topics);
        if presented.any(|topic| asked.is_none_or(|asked| !asked.contains(topic))) {
            self.look_at = now;
        }
    }

    /// Another subscription, or other partitions, are a reason to join again.
    fn compare_topics(&mut self) {
        let (Phase::Stable, Some(found)) = (&self.phase, &self.found) else { return };
        let has_changed = self.led.as_ref().is_some_and(|led| {
            led.wanted.is_subset(&found.asked) && of(&found.topics, &led.wanted) != led.topics
        });
        self.must_rejoin |= has_changed || found.wanted != self.joined_with;
    }

    /// A step, or a heartbeat, was refused or not answered.
    fn failed(&mut self, error: Error, now: Instant) {
        match error.code() {
            Some(ErrorCode::REBALANCE_IN_PROGRESS) => {}
            Some(ErrorCode::UNKNOWN_MEMBER_ID) => {
                self.lose();
                self.identity = Identity::none();
            }
            Some(ErrorCode::ILLEGAL_GENERATION) => {
                self.lose();
                self.identity.generation = NO_GENERATION;
            }
            _ if is_passing(&error) => {}
            _ => return self.fatal(error),
        }
        self.phase = Phase::Unjoined;
        self.retry_at = Some(now + self.rules.backoff.next_pause());
    }

    /// Others may have the member's partitions already.
    fn lose(&mut self) {
        self.round += 1;
        self.retry_at = None;
        self.leaving.clear();
        self.must_rejoin = false;
        self.led = None;
        let lost: Vec<_> = std::mem::take(&mut self.owned).into_iter().collect();
        if !lost.is_empty() {
            self.effects.push_back(Effect::Lost(lost));
        }
    }

    pub(super) fn fatal(&mut self, error: Error) {
        self.lose();
        self.phase = Phase::Over;
        self.effects.push_back(Effect::Fatal(error));
    }
}

/// Whether the same may succeed later, perhaps with another coordinator.
fn is_passing(error: &Error) -> bool {
    error.is_retriable() || error.is_stale_coordinator()
}

/// A member as it presents itself. One that cannot be understood gets nothing.
fn present(member: join_group::Member) -> Member {
    let (id, instance) = (member.member_id, member.group_instance_id);
    Member::read(id.clone(), instance.clone(), member.metadata).unwrap_or_else(|error| {
        tracing::warn!(member = %id, %error, "a member's subscription makes no sense");
        Member { id, instance, ..Member::default() }
    })
}
