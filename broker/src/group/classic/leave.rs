//! Leaving.

use klamm_protocol::error_code::ErrorCode;

use super::ClassicGroup;
use super::effects::Effects;
use super::events::{Identity, Moment};

impl ClassicGroup {
    /// Members leave, or an operator takes static ones out by their instance ids alone. Says for
    /// each what came of it, in their order.
    pub(crate) fn leave(
        &mut self,
        leavers: &[Identity],
        now: Moment,
        effects: &mut Effects,
    ) -> Vec<Result<(), ErrorCode>> {
        let results: Vec<_> = leavers.iter().map(|leaver| self.take_out(leaver, effects)).collect();
        if results.iter().any(Result::is_ok) {
            self.go_on_without(now, effects);
        }
        results
    }

    fn take_out(&mut self, leaver: &Identity, effects: &mut Effects) -> Result<(), ErrorCode> {
        let id = if leaver.member_id.is_empty() {
            let instance_id = leaver.instance_id.as_deref().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
            self.members.static_id(instance_id).cloned().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?
        } else if self.pending.remove(&leaver.member_id).is_some() {
            return Ok(());
        } else {
            self.members.check(leaver)?.id.clone()
        };
        self.remove_waiting(&id, effects);
        Ok(())
    }

    /// Members are gone: those that stay share what these had.
    pub(super) fn go_on_without(&mut self, now: Moment, effects: &mut Effects) {
        if self.phase != super::Phase::Empty {
            self.rebalance_or_complete(now, effects);
        }
    }
}
