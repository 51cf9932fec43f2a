//! Syncing: how the leader's assignment reaches the members.

use std::collections::HashMap;

use bytes::Bytes;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::effects::{Effects, Token};
use super::events::{Moment, Sync};
use super::{ClassicGroup, Phase};

impl ClassicGroup {
    /// A member asks for its assignment. It is answered when the leader has brought them.
    pub(crate) fn sync(&mut self, sync: Sync, now: Moment, effects: &mut Effects) {
        if let Err(code) = self.check_sync(&sync) {
            return effects.syncs.push((sync.token, Err(code)));
        }
        let id = &sync.member.member_id;
        let assigns = matches!(self.phase, Phase::Completing { .. }) && self.is_leader(id);
        self.refresh(id, now);
        let Some(member) = self.members.get_mut(id) else { return };
        member.sync_due = false;
        let synced = matches!(self.phase, Phase::Stable { .. }).then(|| member.assignment.clone());
        if let Some(assignment) = synced {
            return effects.syncs.push((sync.token, Ok(self.synced(assignment))));
        }
        if let Some(earlier) = member.syncing.replace(sync.token) {
            effects.syncs.push((earlier, Err(ErrorCode::REBALANCE_IN_PROGRESS)));
        }
        if assigns {
            self.assign(sync.assignments, now, effects);
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), ErrorCode> {
        self.members.check(&sync.member)?;
        if sync.generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        if differ(&sync.protocol_type, &self.protocol_type)
            || differ(&sync.protocol, &self.protocol)
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        match self.phase {
            Phase::Empty => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            Phase::Preparing { .. } => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            Phase::Completing { .. } | Phase::Stable { .. } => Ok(()),
        }
    }

    /// Hands the assignments out. A member that the leader forgot has an empty one. If they are
    /// more than can be stored, all are told so, and are to join again.
    fn assign(&mut self, assignments: Vec<(Str, Bytes)>, now: Moment, effects: &mut Effects) {
        let Phase::Completing { until } = self.phase else { return };
        let mut assignments: HashMap<Str, Bytes> = assignments.into_iter().collect();
        for member in self.members.iter_mut() {
            let assignment = assignments.remove(&member.id).unwrap_or_default();
            member.assignment = Bytes::copy_from_slice(&assignment);
        }
        if !self.fits_record() {
            self.cancel_syncs(ErrorCode::UNKNOWN_SERVER_ERROR, now, effects);
            return self.begin_rebalance(now, effects);
        }
        self.enter(Phase::Stable { sync_until: Some(until) }, now);
        effects.store = true;
        for (token, assignment) in self.end_syncs(now) {
            effects.syncs.push((token, Ok(self.synced(assignment))));
        }
    }

    /// Those who wait for the leader's assignment do not get it.
    pub(super) fn cancel_syncs(&mut self, code: ErrorCode, now: Moment, effects: &mut Effects) {
        effects.syncs.extend(self.end_syncs(now).into_iter().map(|(token, _)| (token, Err(code))));
        self.members.iter_mut().for_each(|member| member.assignment = Bytes::new());
    }

    /// Ends the wait of all syncs: who waited, and the assignment that it has. Sessions begin anew.
    fn end_syncs(&mut self, now: Moment) -> Vec<(Token, Bytes)> {
        let mut ended = Vec::new();
        for member in self.members.iter_mut() {
            if let Some(token) = member.syncing.take() {
                self.wake.by(member.answered(token, now.elapsed));
                ended.push((token, member.assignment.clone()));
            }
        }
        ended
    }
}

/// Whether both say something, and not the same.
fn differ(said: &Option<Str>, known: &Option<Str>) -> bool {
    matches!((said, known), (Some(said), Some(known)) if said != known)
}
