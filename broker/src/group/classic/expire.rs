//! Time: silent members, and rounds that take too long.

use std::time::Duration;

use klamm_protocol::wire::Str;

use super::effects::{Effects, Token};
use super::events::Moment;
use super::member::Member;
use super::{ClassicGroup, Phase};
use crate::group::wake::Wake;

impl ClassicGroup {
    /// When [`expire`](Self::expire) is to be called. Nothing is due before; it may be that nothing
    /// is due then, either, as signs of life move deadlines without a look at this. Heartbeats and
    /// commits never make anything due earlier than was said before. None: not at all.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.wake.deadline()
    }

    /// Does what was due by then. Without effect if nothing was. `is_there` tells whether the
    /// client that a token stands for still waits.
    pub(crate) fn expire(
        &mut self,
        by: Duration,
        now: Moment,
        is_there: impl Fn(Token) -> bool,
        effects: &mut Effects,
    ) {
        if !self.wake.is_due(by) {
            return;
        }
        self.expire_pending(by, now, effects);
        self.expire_members(by, now, is_there, effects);
        self.expire_phase(by, now, effects);
        self.wake = self.next_wake();
    }

    /// Ids that nobody came back with.
    fn expire_pending(&mut self, by: Duration, now: Moment, effects: &mut Effects) {
        let before = self.pending.len();
        self.pending.retain(|_, until| by < *until);
        if self.pending.len() < before {
            self.complete_join_if_due(now, effects);
        }
    }

    fn expire_members(
        &mut self,
        by: Duration,
        now: Moment,
        is_there: impl Fn(Token) -> bool,
        effects: &mut Effects,
    ) {
        let is_dead = |member: &mut Member| member.is_dead(by, &is_there);
        let dead =
            self.members.iter_mut().filter_map(|member| is_dead(member).then(|| member.id.clone()));
        let due: Vec<Str> = dead.collect();
        for id in &due {
            self.remove_waiting(id, effects);
        }
        if !due.is_empty() {
            self.go_on_without(now, effects);
        }
    }

    fn expire_phase(&mut self, by: Duration, now: Moment, effects: &mut Effects) {
        if self.phase.until().is_none_or(|until| by < until) {
            return;
        }
        match self.phase {
            Phase::Empty => {}
            Phase::Preparing { initial: Some(initial), .. } => {
                self.end_initial_delay(initial, now, effects);
            }
            Phase::Preparing { initial: None, .. } => self.complete_join(now, effects),
            Phase::Completing { .. } | Phase::Stable { .. } => self.expire_syncs(now, effects),
        }
    }

    /// Members that have joined and never asked for their assignment are out.
    fn expire_syncs(&mut self, now: Moment, effects: &mut Effects) {
        let due = self.members.iter().filter(|member| member.sync_due);
        let due: Vec<Str> = due.map(|member| member.id.clone()).collect();
        if let Phase::Stable { sync_until } = &mut self.phase {
            *sync_until = None;
        }
        for id in &due {
            self.remove_waiting(id, effects);
        }
        if !due.is_empty() {
            self.begin_rebalance(now, effects);
        }
    }

    /// The answer to this token has found nobody: the member's session does not begin with it.
    pub(crate) fn missed(&mut self, token: Token) {
        let until = self.members.iter_mut().find_map(|member| member.missed(token));
        if let Some(until) = until {
            self.wake.by(until);
        }
    }

    pub(super) fn next_wake(&self) -> Wake {
        let sessions = self.members.iter().map(Member::check_at);
        Wake::at_first(self.pending.values().copied().chain(sessions).chain(self.phase.until()))
    }
}
