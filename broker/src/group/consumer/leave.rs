//! How members go.

use klamm_protocol::wire::Str;

use super::ConsumerGroup;
use super::change::{Change, Held};
use super::effects::{Effects, Refusal};
use super::events::{LEFT_FOR_A_WHILE, Leave, Scope};
use super::member::Current;

impl ConsumerGroup {
    /// A member leaves, for good or for a while. In the second case it keeps what it has until its
    /// session is over.
    ///
    /// # Errors
    /// There is no such member. Nothing has changed.
    pub(crate) fn leave(
        &mut self,
        leave: &Leave,
        scope: Scope<'_>,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        if let Some(instance_id) = &leave.instance_id {
            self.check_instance(&leave.member_id, instance_id)?;
        } else if !self.members.contains_key(&leave.member_id) {
            return Err(Refusal::UnknownMember(leave.member_id.clone()));
        }
        let id = leave.member_id.detached();
        if leave.for_a_while {
            self.let_go_for_a_while(&id, effects);
        } else {
            self.fence(&[id], scope, effects);
        }
        Ok(())
    }

    /// Whoever comes back for it may commit what it has read of its partitions.
    fn let_go_for_a_while(&mut self, id: &Str, effects: &mut Effects) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.revoke_until = None;
        let mut current = Current { epoch: LEFT_FOR_A_WHILE, ..member.current.clone() };
        current.revoking = Held::new();
        current.assigned.values_mut().for_each(|epoch| *epoch = 0);
        self.make(Change::Current(id.clone(), Some(current)), effects);
    }

    /// Members are out, with all that they had.
    pub(super) fn fence(&mut self, ids: &[Str], scope: Scope<'_>, effects: &mut Effects) {
        if ids.is_empty() {
            return;
        }
        ids.iter().for_each(|id| self.take_out(id, effects));
        self.follow_departure(scope, effects);
    }

    /// Takes a member out, with all that it had.
    pub(super) fn take_out(&mut self, id: &Str, effects: &mut Effects) {
        self.make(Change::Current(id.clone(), None), effects);
        self.make(Change::Target(id.clone(), None), effects);
        self.make(Change::Member(id.clone(), None), effects);
    }

    /// All that is to be written when the group is no more.
    pub(crate) fn erase(&mut self, effects: &mut Effects) {
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        ids.iter().for_each(|id| self.take_out(id, effects));
        self.make(Change::TargetEpoch(None), effects);
        let patterns: Vec<Str> = self.patterns.keys().cloned().collect();
        for pattern in patterns {
            self.make(Change::Pattern(pattern, None), effects);
        }
        self.make(Change::Epoch(None), effects);
    }
}
