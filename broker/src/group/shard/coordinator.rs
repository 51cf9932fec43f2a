//! The groups and offsets of one partition, and what becomes of them. No I/O, no task, no clock:
//! commands and the time in, records and answers out.

use std::collections::HashMap;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};

use super::command::{Answer, Command};
use crate::catalog::{Image, Resource};
use crate::config::GroupConfig;
use crate::group::classic::{Effects, JoinRefusal, Joined, Limits, Moment, Synced, Token};
use crate::group::consumer::{self, Scope, Topics};
use crate::group::kind::Group;
use crate::group::offsets::Offsets;
use crate::group::records::GroupRecord;
use crate::shard::timers::Timers;
use crate::shard::writes::{Release, held};

/// What one event brings about.
#[derive(Default)]
pub(super) struct Step {
    /// To be appended, in this order.
    pub(super) records: Vec<GroupRecord>,
    /// To go out once the records are durable.
    pub(super) answers: Vec<Release>,
    /// Rebalances that came to an end.
    pub(super) rebalances: u64,
}

impl Step {
    /// Nothing but an answer.
    pub(super) fn of_answer<T: Send + 'static>(
        to: Answer<T>,
        content: Result<T, ErrorCode>,
    ) -> Self {
        Self { answers: vec![held(to, content)], ..Self::default() }
    }

    pub(super) fn answer<T: Send + 'static>(
        &mut self,
        to: Answer<T>,
        content: Result<T, ErrorCode>,
    ) {
        self.answers.push(held(to, content));
    }

    /// Both, one after the other.
    pub(super) fn followed_by(mut self, other: Self) -> Self {
        self.records.extend(other.records);
        self.answers.extend(other.answers);
        self.rebalances += other.rebalances;
        self
    }
}

/// When something happens, and under which settings.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) now: Moment,
    pub(super) config: &'a GroupConfig,
    /// The topics that there are.
    pub(super) topics: &'a Topics,
    /// What was set on groups.
    pub(super) image: &'a Image,
}

impl<'a> Setting<'a> {
    /// What holds for a group of the consumer protocol.
    pub(super) fn consumer_limits(&self, group: &Str) -> consumer::Limits {
        let own = self.image.settings(&Resource::Group(group.clone()));
        consumer::Limits::new(self.config, own)
    }

    pub(super) fn scope<'b>(&self, limits: &'b consumer::Limits) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope { now: self.now, limits, topics: self.topics }
    }

    pub(super) fn limits(&self) -> Limits {
        self.config.into()
    }
}

/// The groups of one partition of `__consumer_offsets`.
///
/// Everything in here but who waits for an answer and until when follows from the records that
/// were asked for: see the tests.
#[derive(Default)]
pub(super) struct Coordinator {
    /// Every group that has a member, an offset, or a record.
    pub(super) groups: HashMap<Str, Group>,
    pub(super) offsets: Offsets,
    timers: Timers<Duration>,
    pub(super) joins: HashMap<Token, Answer<Result<Joined, JoinRefusal>>>,
    syncs: HashMap<Token, Answer<Synced>>,
}

impl Coordinator {
    /// No groups yet, but what they have committed.
    pub(super) fn with_offsets(offsets: Offsets) -> Self {
        Self { offsets, ..Self::default() }
    }

    /// Puts a group in.
    pub(super) fn put_group(&mut self, name: &Str, group: Group) {
        self.timers.set(name, group.deadline());
        self.groups.insert(name.clone(), group);
    }

    /// Groups of which only offsets are known.
    pub(super) fn groupless_offsets(&self) -> Vec<Str> {
        let names = self.offsets.groups().map(|(name, _)| name);
        names.filter(|name| !self.groups.contains_key(*name)).cloned().collect()
    }

    /// Does what a command asks.
    pub(super) fn handle(&mut self, command: Command, setting: Setting<'_>) -> Step {
        let mut step = Step::default();
        match command {
            Command::Join(group, join, answer) => return self.join(&group, join, answer, setting),
            Command::Sync(group, sync, answer) => return self.sync(&group, sync, answer, setting),
            Command::Leave(group, members, answer) => {
                return self.leave(&group, &members, answer, setting);
            }
            Command::Heartbeat { group, member, generation, answer } => {
                let (alive, made) = self.heartbeat(&group, &member, generation, setting);
                // It shows nothing that a record could take back: it need not wait for any.
                held(answer, alive)(Ok(()));
                return made;
            }
            Command::Commit(commit, answer) => {
                let kept = self.commit(commit, setting, &mut step);
                step.answer(answer, kept);
            }
            Command::ConsumerHeartbeat(group, beat, answer) => {
                let told = self.consumer_heartbeat(&group, beat, setting, &mut step);
                step.answer(answer, Ok(told));
            }
            Command::ConsumerLeave(group, leave, answer) => {
                let left = self.consumer_leave(&group, &leave, setting, &mut step);
                step.answer(answer, Ok(left));
            }
            Command::ConsumerDescribe(group, answer) => {
                let described = self.consumer_describe(&group, setting);
                step.answer(answer, Ok(described));
            }
            Command::Fetch(group, asker, wanted, answer) => {
                step.answer(answer, self.fetch(&group, &asker, wanted));
            }
            Command::DeleteOffsets(group, partitions, answer) => {
                let deleted = self.delete_offsets(&group, partitions, &mut step);
                step.answer(answer, deleted);
            }
            // The actor does these, which must be appended before anything changes.
            Command::CommitInTransaction(_, answer) => {
                step.answer(answer, Err(ErrorCode::UNKNOWN_SERVER_ERROR));
            }
            Command::EndTransaction(_, _, answer) => {
                step.answer(answer, Err(ErrorCode::UNKNOWN_SERVER_ERROR));
            }
            Command::List(answer) => step.answer(answer, Ok(self.list())),
            Command::Describe(group, answer) => step.answer(answer, Ok(self.describe(&group))),
            Command::DeleteGroup(group, answer) => {
                let deleted = self.delete_group(&group, &mut step);
                step.answer(answer, deleted);
            }
            Command::TopicsDeleted(deleted, answer) => {
                let is_gone = |topic: &str, id: Option<Uuid>| match id {
                    Some(id) => deleted.ids.contains(&id),
                    None => deleted.names.contains(topic),
                };
                self.forget_topics(is_gone, &mut step);
                step.answer(answer, Ok(()));
            }
            // Metrics are told what is, durable or not.
            Command::Overview(answer) => held(answer, Ok(self.overview()))(Ok(())),
        }
        step
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Does in one group what was due by then; `None` if nothing was.
    pub(super) fn expire(&mut self, by: Duration, setting: Setting<'_>) -> Option<Step> {
        let name = self.timers.take_due(by)?;
        if let Some(Group::Consumer(group)) = self.groups.get_mut(&name) {
            let limits = setting.consumer_limits(&name);
            let mut effects = consumer::Effects::default();
            group.expire(by, setting.scope(&limits), &mut effects);
            let mut step = Step::default();
            self.take_changes(&name, effects, &mut step);
            self.give_over_if_due(&name, setting, &mut step);
            return Some(step);
        }
        let mut effects = Effects::default();
        if let Some(group) = self.groups.get_mut(&name).and_then(Group::classic) {
            let joins = |token| self.joins.get(&token).is_some_and(|to| !to.is_closed());
            let syncs = |token| self.syncs.get(&token).is_some_and(|to| !to.is_closed());
            let waits = |token| joins(token) || syncs(token);
            group.expire(by, setting.now, waits, &mut effects);
        }
        Some(self.carry_out(&name, effects))
    }

    pub(super) fn await_sync(&mut self, token: Token, answer: Answer<Synced>) {
        self.syncs.insert(token, answer);
    }

    /// Carries out what a group wants done, and has it looked at again in time.
    pub(super) fn carry_out(&mut self, name: &Str, effects: Effects) -> Step {
        let mut step = Step { rebalances: effects.rebalances, ..Step::default() };
        let mut missed = Vec::new();
        for (token, joined) in effects.joins {
            if let Some(answer) = self.joins.remove(&token) {
                missed.extend(answer.is_closed().then_some(token));
                step.answer(answer, Ok(joined));
            }
        }
        for (token, synced) in effects.syncs {
            if let Some(answer) = self.syncs.remove(&token) {
                missed.extend(answer.is_closed().then_some(token));
                step.answer(answer, synced);
            }
        }
        if let Some(group) = self.groups.get_mut(name).and_then(Group::classic) {
            missed.into_iter().for_each(|token| group.missed(token));
        }
        self.look_in_time(name);
        if let Some(Group::Classic(group)) = self.groups.get(name)
            && effects.store
        {
            step.records.push(GroupRecord::group(name, group.snapshot()));
        }
        step
    }

    /// Has a group looked at when it wants.
    pub(super) fn look_in_time(&mut self, name: &Str) {
        self.timers.set(name, self.groups.get(name).and_then(Group::deadline));
    }

    /// Takes a group out that nobody waits in.
    pub(super) fn drop_group(&mut self, name: &Str) {
        self.groups.remove(name);
        self.timers.set(name, None);
    }
}
