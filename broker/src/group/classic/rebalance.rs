//! Rebalances: how one begins, how members are waited for, and how it ends.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::effects::{Effects, Synced, Token};
use super::events::Moment;
use super::member::Member;
use super::subscription::subscribed_topics;
use super::{ClassicGroup, InitialDelay, Phase};

/// The least time between two looks at a group in which nobody has joined again: static members
/// may be gone for longer than the rebalance timeout.
const POSTPONE_MIN: Duration = Duration::from_secs(1);

impl ClassicGroup {
    /// Begins a rebalance, or ends the one that goes on if it can.
    pub(super) fn rebalance_or_complete(&mut self, now: Moment, effects: &mut Effects) {
        match self.phase {
            Phase::Preparing { .. } => self.complete_join_if_due(now, effects),
            Phase::Empty => self.begin_initial_rebalance(now),
            Phase::Completing { .. } | Phase::Stable { .. } => {
                self.begin_rebalance(now, effects);
            }
        }
    }

    /// The first member of an empty group is likely not to be the only one: others get some time.
    fn begin_initial_rebalance(&mut self, now: Moment) {
        let part = self.limits.initial_delay;
        let remaining = self.members.rebalance_timeout().saturating_sub(part);
        let initial = Some(InitialDelay { part, remaining, extend: false });
        self.enter(Phase::Preparing { until: now.elapsed.saturating_add(part), initial }, now);
    }

    /// Asks all members to join again.
    pub(super) fn begin_rebalance(&mut self, now: Moment, effects: &mut Effects) {
        if matches!(self.phase, Phase::Completing { .. }) {
            self.cancel_syncs(ErrorCode::REBALANCE_IN_PROGRESS, now, effects);
        }
        let until = now.elapsed.saturating_add(self.members.rebalance_timeout());
        self.enter(Phase::Preparing { until, initial: None }, now);
        self.complete_join_if_due(now, effects);
    }

    /// Ends the wait for members if there is none to be waited for. The initial delay is always
    /// waited out.
    pub(super) fn complete_join_if_due(&mut self, now: Moment, effects: &mut Effects) {
        let all_joined = self.members.joining() == self.members.len() && self.pending.is_empty();
        if all_joined && matches!(self.phase, Phase::Preparing { initial: None, .. }) {
            self.complete_join(now, effects);
        }
    }

    /// The initial delay is over: gives it another part if somebody came during this one.
    pub(super) fn end_initial_delay(
        &mut self,
        initial: InitialDelay,
        now: Moment,
        effects: &mut Effects,
    ) {
        if !initial.extend || initial.remaining.is_zero() {
            return self.complete_join(now, effects);
        }
        let part = self.limits.initial_delay.min(initial.remaining);
        let remaining = initial.remaining.saturating_sub(part);
        let until = now.elapsed.saturating_add(part);
        let initial = Some(InitialDelay { part, remaining, extend: false });
        self.phase = Phase::Preparing { until, initial };
        self.wake.by(until);
    }

    /// Goes on with the members that have joined. Others are out, except static ones: they keep
    /// their place until their sessions end.
    pub(super) fn complete_join(&mut self, now: Moment, effects: &mut Effects) {
        let gone = |member: &&Member| member.joining.is_none() && member.instance_id.is_none();
        let gone = self.members.iter().filter(gone).map(|member| member.id.clone());
        for id in gone.collect::<Vec<_>>() {
            self.remove_waiting(&id, effects);
        }
        if self.members.is_empty() {
            self.become_empty(now, effects);
        } else if self.elect_joined_leader() {
            self.begin_generation(now, effects);
        } else {
            let wait = self.members.rebalance_timeout().max(POSTPONE_MIN);
            let until = now.elapsed.saturating_add(wait);
            self.phase = Phase::Preparing { until, initial: None };
            self.wake.by(until);
        }
    }

    /// Makes sure that the leader is one of those that have joined, if anybody has.
    fn elect_joined_leader(&mut self) -> bool {
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        if leader.is_none_or(|leader| leader.joining.is_none()) {
            let joined = self.members.iter().find(|member| member.joining.is_some());
            let Some(id) = joined.map(|member| member.id.clone()) else { return false };
            self.leader = Some(id);
        }
        true
    }

    fn become_empty(&mut self, now: Moment, effects: &mut Effects) {
        self.generation = next_generation(self.generation);
        self.protocol = None;
        self.topics = self.subscribed();
        self.enter(Phase::Empty, now);
        effects.store = true;
        effects.rebalances += 1;
    }

    fn begin_generation(&mut self, now: Moment, effects: &mut Effects) {
        self.generation = next_generation(self.generation);
        self.protocol = self.members.vote();
        self.topics = self.subscribed();
        let until = now.elapsed.saturating_add(self.members.rebalance_timeout());
        self.enter(Phase::Completing { until }, now);
        effects.rebalances += 1;
        let ids: Vec<Str> = self.members.iter().map(|member| member.id.clone()).collect();
        for id in &ids {
            if let Some(member) = self.members.get_mut(id) {
                member.new_until = None;
                member.sync_due = true;
            }
            if let Some(token) = self.members.take_joining(id) {
                self.answered(id, token, now);
                effects.joins.push((token, Ok(self.joined(id))));
            }
        }
    }

    fn subscribed(&self) -> Option<HashSet<Str>> {
        subscribed_topics(self.protocol_type.as_deref(), self.protocol.as_deref(), &self.members)
    }

    /// A member lives: begins its session anew.
    pub(super) fn refresh(&mut self, id: &str, now: Moment) {
        if let Some(member) = self.members.get_mut(id) {
            let until = member.refresh(now.elapsed);
            self.wake.by(until);
        }
    }

    fn answered(&mut self, id: &str, token: Token, now: Moment) {
        if let Some(member) = self.members.get_mut(id) {
            let until = member.answered(token, now.elapsed);
            self.wake.by(until);
        }
    }

    /// Takes a member out. If it waits for something, it learns that it is not known any more.
    pub(super) fn remove_waiting(&mut self, id: &Str, effects: &mut Effects) {
        let Some(member) = self.members.remove(id) else { return };
        if let Some(token) = member.joining {
            effects.refuse(token, ErrorCode::UNKNOWN_MEMBER_ID, Str::default());
        }
        if let Some(token) = member.syncing {
            effects.syncs.push((token, Err(ErrorCode::UNKNOWN_MEMBER_ID)));
        }
        if self.is_leader(id) {
            self.leader = self.members.iter().next().map(|member| member.id.clone());
        }
    }

    /// What a member is told of its assignment.
    pub(super) fn synced(&self, assignment: Bytes) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment,
        }
    }
}

/// One more; after the greatest, from the start, as negative ones mean none.
fn next_generation(generation: i32) -> i32 {
    generation.checked_add(1).unwrap_or_default()
}
