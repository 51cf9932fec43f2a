//! Members of groups: how they come, stay and go.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::command::{Answer, Outcomes};
use super::coordinator::{Coordinator, Setting, Step};
use crate::group::classic::{
    ClassicGroup, Effects, Identity, Join, JoinRefusal, Joined, State, Sync, Synced,
};

impl Coordinator {
    /// A client joins. One without an id makes the group if need be.
    pub(super) fn join(
        &mut self,
        name: &Str,
        join: Join,
        answer: Answer<Result<Joined, JoinRefusal>>,
        setting: Setting<'_>,
    ) -> Step {
        let is_new = !self.groups.contains_key(name);
        if is_new && !join.member.member_id.is_empty() {
            let code = ErrorCode::UNKNOWN_MEMBER_ID;
            let member_id = join.member.member_id;
            return Step::of_answer(answer, Ok(Err(JoinRefusal { code, member_id })));
        }
        self.await_join(join.token, answer);
        let new = || ClassicGroup::new(setting.limits(), setting.now);
        let group = self.groups.entry(name.detached()).or_insert_with(new);
        let mut effects = Effects::default();
        group.join(join, setting.now, &mut effects);
        let is_void = is_new && group.state() == State::Empty && !group.has_pending();
        let step = self.carry_out(name, effects);
        if is_void {
            // Whoever it was made for was refused.
            self.drop_group(name);
        }
        step
    }

    /// A member asks for its assignment.
    pub(super) fn sync(
        &mut self,
        name: &Str,
        sync: Sync,
        answer: Answer<Synced>,
        setting: Setting<'_>,
    ) -> Step {
        let token = sync.token;
        let Some(group) = self.groups.get_mut(name) else {
            return Step::of_answer(answer, Err(ErrorCode::UNKNOWN_MEMBER_ID));
        };
        let mut effects = Effects::default();
        group.sync(sync, setting.now, &mut effects);
        self.await_sync(token, answer);
        self.carry_out(name, effects)
    }

    /// A member lives.
    pub(super) fn heartbeat(
        &mut self,
        name: &Str,
        member: &Identity,
        generation: i32,
        setting: Setting<'_>,
    ) -> Result<(), ErrorCode> {
        let group = self.groups.get_mut(name).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        group.heartbeat(member, generation, setting.now)
    }

    /// Members go.
    pub(super) fn leave(
        &mut self,
        name: &Str,
        members: &[Identity],
        answer: Answer<Outcomes>,
        setting: Setting<'_>,
    ) -> Step {
        let mut effects = Effects::default();
        let outcomes = match self.groups.get_mut(name) {
            None => vec![Err(ErrorCode::UNKNOWN_MEMBER_ID); members.len()],
            Some(group) => group.leave(members, setting.now, &mut effects),
        };
        let mut step = self.carry_out(name, effects);
        step.answer(answer, Ok(outcomes));
        step
    }
}
