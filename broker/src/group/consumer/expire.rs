//! Time: silent members, and members that do not give up what they shall not hold.

use std::time::Duration;

use klamm_protocol::wire::Str;

use super::ConsumerGroup;
use super::effects::Effects;
use super::events::Scope;
use super::member::{Member, MemberState};
use crate::group::wake::Wake;

impl ConsumerGroup {
    /// When [`expire`](Self::expire) is to be called. Nothing is due before; it may be that nothing
    /// is due then, either, as heartbeats move deadlines without a look at this. None: not at all.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.wake.deadline()
    }

    /// Does what was due by then. Without effect if nothing was.
    pub(crate) fn expire(&mut self, by: Duration, scope: Scope<'_>, effects: &mut Effects) {
        if !self.wake.is_due(by) {
            return;
        }
        let is_due = |(_, member): &(&Str, &Member)| member.out_at() <= by;
        let due: Vec<Str> = self.members.iter().filter(is_due).map(|(id, _)| id.clone()).collect();
        self.fence(&due, scope, effects);
        self.wake = self.next_wake();
    }

    /// All changes of the log have been applied: sessions begin anew.
    pub(crate) fn restored(mut self, scope: Scope<'_>) -> Self {
        let now = scope.now.elapsed;
        for member in self.members.values_mut() {
            let subscription = &member.subscription;
            let session = subscription.session_timeout(scope.limits);
            member.session_until = now.saturating_add(session);
            let is_classic = subscription.classic.is_some();
            let is_revoking = member.current.state == MemberState::Unrevoked && !is_classic;
            let revoke_until = now.saturating_add(subscription.rebalance_timeout);
            member.revoke_until = is_revoking.then_some(revoke_until);
        }
        self.wake = self.next_wake();
        self
    }

    pub(super) fn next_wake(&self) -> Wake {
        Wake::at_first(self.members.values().map(Member::out_at))
    }
}
