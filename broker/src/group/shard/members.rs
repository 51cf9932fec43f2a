//! Members of the classic protocol: how they come, stay and go.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::command::{Answer, Outcomes};
use super::coordinator::{Coordinator, Setting, Step};
use crate::config::Migration;
use crate::group::classic::{
    ClassicGroup, Effects, Identity, Join, JoinRefusal, Joined, Sync, Synced,
};
use crate::group::consumer;
use crate::group::kind::Group;

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
        let new = || Group::Classic(ClassicGroup::new(setting.limits(), setting.now));
        let group = self.groups.entry(name.detached()).or_insert_with(new);
        let Group::Classic(group) = group else {
            return self.join_consumer_group(name, join, answer, setting);
        };
        self.joins.insert(join.token, answer);
        let mut effects = Effects::default();
        group.join(join, setting.now, &mut effects);
        let step = self.carry_out(name, effects);
        if is_new && self.is_void(name) {
            // Whoever it was made for was refused.
            self.drop_group(name);
        }
        step
    }

    /// A client of the classic protocol joins a group of the consumer protocol. If nobody is in
    /// that, a classic one takes its place.
    fn join_consumer_group(
        &mut self,
        name: &Str,
        join: Join,
        answer: Answer<Result<Joined, JoinRefusal>>,
        setting: Setting<'_>,
    ) -> Step {
        let is_empty = self.groups.get(name).is_some_and(Group::is_empty);
        let mut step = Step::default();
        if is_empty && join.member.member_id.is_empty() {
            self.erase_members(name, &mut step);
            self.drop_group(name);
            let joined = self.join(name, join, answer, setting);
            return step.followed_by(joined);
        }
        let joined = if is_empty {
            Err(refusal(join, ErrorCode::UNKNOWN_MEMBER_ID))
        } else if setting.config.consumer.migration == Migration::Disabled {
            Err(refusal(join, ErrorCode::INCONSISTENT_GROUP_PROTOCOL))
        } else {
            self.join_consumers(name, join, setting, &mut step)
        };
        step.answer(answer, Ok(joined));
        step
    }

    fn join_consumers(
        &mut self,
        name: &Str,
        join: Join,
        setting: Setting<'_>,
        step: &mut Step,
    ) -> Result<Joined, JoinRefusal> {
        let limits = setting.consumer_limits(name);
        let Some(Group::Consumer(group)) = self.groups.get_mut(name) else {
            return Err(refusal(join, ErrorCode::UNKNOWN_MEMBER_ID));
        };
        let mut effects = consumer::Effects::default();
        let joined = group.join(join, setting.scope(&limits), &mut effects)?;
        self.take_changes(name, effects, step);
        self.give_over_if_due(name, setting, step);
        Ok(joined)
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
        let mut effects = Effects::default();
        match self.groups.get_mut(name) {
            None => return Step::of_answer(answer, Err(ErrorCode::UNKNOWN_MEMBER_ID)),
            Some(Group::Consumer(group)) => {
                let limits = setting.consumer_limits(name);
                let synced = group.sync(&sync, setting.scope(&limits));
                self.look_in_time(name);
                return Step::of_answer(answer, synced);
            }
            Some(Group::Classic(group)) => group.sync(sync, setting.now, &mut effects),
        }
        self.await_sync(token, answer);
        self.carry_out(name, effects)
    }

    /// A member lives: what it is told, which need not wait, and what its group makes of it.
    pub(super) fn heartbeat(
        &mut self,
        name: &Str,
        member: &Identity,
        generation: i32,
        setting: Setting<'_>,
    ) -> (Result<(), ErrorCode>, Step) {
        let mut step = Step::default();
        let alive = match self.groups.get_mut(name) {
            None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            Some(Group::Classic(group)) => group.heartbeat(member, generation, setting.now),
            Some(Group::Consumer(group)) => {
                let limits = setting.consumer_limits(name);
                let mut effects = consumer::Effects::default();
                let scope = setting.scope(&limits);
                let alive = group.classic_heartbeat(member, generation, scope, &mut effects);
                self.take_changes(name, effects, &mut step);
                alive
            }
        };
        (alive, step)
    }

    /// Members go, of whatever protocol.
    pub(super) fn leave(
        &mut self,
        name: &Str,
        members: &[Identity],
        answer: Answer<Outcomes>,
        setting: Setting<'_>,
    ) -> Step {
        let mut effects = Effects::default();
        let (outcomes, mut step) = match self.groups.get_mut(name) {
            None => (vec![Err(ErrorCode::UNKNOWN_MEMBER_ID); members.len()], Step::default()),
            Some(Group::Classic(group)) => {
                let outcomes = group.leave(members, setting.now, &mut effects);
                (outcomes, self.carry_out(name, effects))
            }
            Some(Group::Consumer(group)) => {
                let limits = setting.consumer_limits(name);
                let mut effects = consumer::Effects::default();
                let outcomes = group.leave_all(members, setting.scope(&limits), &mut effects);
                let mut step = Step::default();
                self.take_changes(name, effects, &mut step);
                self.give_over_if_due(name, setting, &mut step);
                (outcomes, step)
            }
        };
        step.answer(answer, Ok(outcomes));
        step
    }
}

fn refusal(join: Join, code: ErrorCode) -> JoinRefusal {
    JoinRefusal { code, member_id: join.member.member_id }
}
