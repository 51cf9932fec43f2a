//! The groups and offsets of one partition, and what becomes of them. No I/O, no task, no clock:
//! commands and the time in, records and answers out.

use std::collections::HashMap;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};

use super::command::{Answer, Command};
use crate::config::GroupConfig;
use crate::group::classic::{
    ClassicGroup, Effects, JoinRefusal, Joined, Limits, Moment, Synced, Token,
};
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
}

/// When something happens, and under which settings.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) now: Moment,
    pub(super) config: &'a GroupConfig,
}

impl Setting<'_> {
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
    pub(super) groups: HashMap<Str, ClassicGroup>,
    pub(super) offsets: Offsets,
    timers: Timers<Duration>,
    joins: HashMap<Token, Answer<Result<Joined, JoinRefusal>>>,
    syncs: HashMap<Token, Answer<Synced>>,
}

impl Coordinator {
    /// No groups yet, but what they have committed.
    pub(super) fn with_offsets(offsets: Offsets) -> Self {
        Self { offsets, ..Self::default() }
    }

    /// Puts a group in.
    pub(super) fn put_group(&mut self, name: &Str, group: ClassicGroup) {
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
                // It shows nothing that a record could take back: it need not wait for any.
                let alive = self.heartbeat(&group, &member, generation, setting);
                held(answer, alive)(Ok(()));
            }
            Command::Commit(commit, answer) => {
                let kept = self.commit(commit, setting, &mut step);
                step.answer(answer, kept);
            }
            Command::Fetch(group, wanted, stability, answer) => {
                step.answer(answer, Ok(self.fetch(&group, wanted, stability)));
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
            Command::TopicDeleted(name, id, answer) => {
                let is_it = |topic: &str, known: Option<Uuid>| match known {
                    Some(known) => known == id,
                    None => name == topic,
                };
                self.forget_topics(is_it, &mut step);
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

    /// Does what is due by now in one group; `None` if nothing is.
    pub(super) fn expire(&mut self, now: Moment) -> Option<Step> {
        let name = self.timers.take_due(now.elapsed)?;
        let mut effects = Effects::default();
        if let Some(group) = self.groups.get_mut(&name) {
            let joins = |token| self.joins.get(&token).is_some_and(|to| !to.is_closed());
            let syncs = |token| self.syncs.get(&token).is_some_and(|to| !to.is_closed());
            group.expire(now, |token| joins(token) || syncs(token), &mut effects);
        }
        Some(self.carry_out(&name, effects))
    }

    pub(super) fn await_join(&mut self, token: Token, answer: Answer<Result<Joined, JoinRefusal>>) {
        self.joins.insert(token, answer);
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
        if let Some(group) = self.groups.get_mut(name) {
            missed.into_iter().for_each(|token| group.missed(token));
        }
        let group = self.groups.get(name);
        self.timers.set(name, group.and_then(ClassicGroup::deadline));
        if let Some(group) = group.filter(|_| effects.store) {
            step.records.push(GroupRecord::group(name, group.snapshot()));
        }
        step
    }

    /// Takes a group out that nobody waits in.
    pub(super) fn drop_group(&mut self, name: &Str) {
        self.groups.remove(name);
        self.timers.set(name, None);
    }
}
