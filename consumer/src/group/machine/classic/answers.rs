//! What a member makes of what it hears.

use std::collections::BTreeSet;
use std::time::Instant;

use klamm_client::config::{Assignor, Value as _};
use klamm_client::{Answer, Error, Result};
use klamm_protocol::api::join_group;
use klamm_protocol::error_code::ErrorCode;

use super::requests::of;
use super::{ClassicMachine, Phase, Role};
use crate::assignment::Place;
use crate::group::assignor::Member;
use crate::group::machine::{Identity, NO_GENERATION, is_passing};
use crate::refusal::is_unexplained;

impl ClassicMachine {
    /// Join was answered.
    pub(super) fn joined(&mut self, outcome: Result<Answer<join_group::Response>>, now: Instant) {
        let Answer { body: answer, origin } = match outcome {
            Ok(answer) => answer,
            Err(error) => return self.failed(error, now),
        };
        if answer.error_code == ErrorCode::MEMBER_ID_REQUIRED {
            // The next try says who it is, so that nobody is counted twice.
            self.member.identity.member = answer.member_id.detached();
            return;
        }
        if let Err(error) = origin.check(answer.error_code, None, self.member.subject()) {
            return self.failed(error, now);
        }
        let name = answer.protocol_name.unwrap_or_default();
        let Some(assignor) = Assignor::parse(&name) else {
            let code = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
            return self.fatal(origin.error(code, self.member.subject()));
        };
        self.member.rules.backoff.reset();
        self.member.identity =
            Identity { member: answer.member_id.detached(), generation: answer.generation_id };
        self.member.beat_at = now + self.member.rules.heartbeat_interval;
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
    pub(super) fn synced(&mut self, outcome: Result<Vec<Place>>, now: Instant) {
        let assigned = match outcome {
            Ok(assigned) => assigned,
            Err(error) => return self.failed(error, now),
        };
        self.member.rules.backoff.reset();
        self.phase = Phase::Stable;
        self.member.beat_at = now + self.member.rules.heartbeat_interval;
        self.last = (assigned.clone(), self.member.identity.generation);
        let assigned: BTreeSet<_> = assigned.into_iter().collect();
        self.member.leaving = self.member.owned.difference(&assigned).cloned().collect();
        // Others get what this one gives up in the round that it asks for then.
        self.must_rejoin |= !self.member.leaving.is_empty();
        let added: Vec<_> = assigned.difference(&self.member.owned).cloned().collect();
        self.member.add(added);
        self.compare_topics();
    }

    /// A heartbeat was answered.
    pub(super) fn heard(&mut self, outcome: Result<()>, now: Instant) {
        match outcome {
            // It has joined another round since, or has left.
            _ if self.beaten_as != self.member.identity => {}
            Ok(()) => self.member.rules.backoff.reset(),
            // Who has not asked to join yet is about to, and who has is part of the rebalance.
            Err(error) if error.code() == Some(ErrorCode::REBALANCE_IN_PROGRESS) => {
                self.must_rejoin |= matches!(self.phase, Phase::Stable);
            }
            Err(error) if may_pass(&error) => {
                self.member.beat_at = now + self.member.rules.backoff.next_pause();
            }
            Err(error) => self.failed(error, now),
        }
    }

    /// A leader must know the topics of all members before it can assign.
    pub(super) fn look_if_unknown(&mut self, now: Instant) {
        let asked = self.found.as_ref().map(|found| &found.asked);
        let mut presented = self.members().iter().flat_map(|member| &member.topics);
        if presented.any(|topic| asked.is_none_or(|asked| !asked.contains(topic))) {
            self.member.look_at = now;
        }
    }

    /// Another subscription, or other partitions, are a reason to join again.
    pub(super) fn compare_topics(&mut self) {
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
                self.member.identity = Identity::none();
            }
            Some(ErrorCode::ILLEGAL_GENERATION) => {
                self.lose();
                self.member.identity.generation = NO_GENERATION;
            }
            _ if may_pass(&error) => {}
            _ => return self.fatal(error),
        }
        self.phase = Phase::Unjoined;
        self.member.try_later(now);
    }

    pub(super) fn lose(&mut self) {
        self.member.lose();
        self.must_rejoin = false;
        self.led = None;
    }

    pub(super) fn fatal(&mut self, error: Error) {
        self.lose();
        self.member.fatal(error);
    }
}

/// Whether the same may succeed later. Of a failure that nobody explains the log is told.
fn may_pass(error: &Error) -> bool {
    let is_unexplained = is_unexplained(error);
    if is_unexplained {
        tracing::warn!(%error, "asked again later");
    }
    is_unexplained || is_passing(error)
}

/// A member as it presents itself. One that cannot be understood gets nothing.
fn present(member: join_group::Member) -> Member {
    let (id, instance) = (member.member_id, member.group_instance_id);
    Member::read(id.clone(), instance.clone(), member.metadata).unwrap_or_else(|error| {
        tracing::warn!(member = %id, %error, "a member's subscription makes no sense");
        Member { id, instance, ..Member::default() }
    })
}
