//! The clients, the broker with its log, and the time.

use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};

use super::super::super::topics::Topic;
use super::super::super::*;
use super::super::scene::LIMITS;
use super::client::{Client, Next, Reads, TOPICS, Traits};
use crate::group::classic::{Identity, Moment};

/// How a heartbeat ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// What has changed is stored, and the client gets its answer.
    Delivered,
    /// The client does not get the answer.
    AnswerLost,
    /// The broker dies before it stores anything.
    BrokerDiesBefore,
    /// The broker dies when all is stored, before it answers.
    BrokerDiesAfter,
}

#[derive(Debug)]
pub(super) struct World {
    clients: Vec<Client>,
    group: ConsumerGroup,
    log: Vec<Change>,
    limits: Limits,
    /// How many partitions topics have, and how often they were made.
    counts: [(i32, u8); 3],
    topics: Topics,
    now: Duration,
    numbers: u64,
    epoch: i32,
}

impl World {
    pub(super) fn new(clients: Vec<Traits>, assignment_interval: Duration) -> Self {
        let clients = clients.into_iter().enumerate();
        let mut world = Self {
            clients: clients.map(|(number, traits)| Client::new(number, traits)).collect(),
            group: ConsumerGroup::default(),
            log: Vec::new(),
            limits: Limits { assignment_interval, ..LIMITS },
            counts: [(4, 1), (3, 1), (0, 0)],
            topics: Topics::default(),
            now: Duration::from_secs(100),
            numbers: 0,
            epoch: 0,
        };
        world.tell_topics();
        world
    }

    pub(super) fn start(&mut self, client: usize) {
        self.numbers += 1;
        let member_id = format!("member-{}", self.numbers).into();
        let client = &mut self.clients[client];
        if !client.runs {
            client.start(member_id);
        }
    }

    pub(super) fn kill(&mut self, client: usize) {
        self.clients[client].stop();
    }

    pub(super) fn adopt(&mut self, client: usize) {
        self.clients[client].adopt();
    }

    pub(super) fn read(&mut self, client: usize, reads: Reads) {
        self.clients[client].read(reads);
    }

    pub(super) fn leave(&mut self, client: usize, for_a_while: bool) {
        let client = &mut self.clients[client];
        let (member_id, instance_id) = (client.member_id.clone(), client.instance_id.clone());
        let for_a_while = for_a_while && instance_id.is_some();
        client.stop();
        if client.traits.is_classic {
            let leaver = Identity { member_id, instance_id };
            let (_, effects) =
                self.ask(|group, scope, effects| group.leave_all(&[leaver], scope, effects));
            return self.log.extend(effects.changes);
        }
        let leave = Leave { member_id, instance_id, for_a_while };
        let (_, effects) = self.ask(|group, scope, effects| group.leave(&leave, scope, effects));
        self.log.extend(effects.changes);
    }

    pub(super) fn beat(&mut self, client: usize, says_all: bool, fate: Fate) {
        if !self.clients[client].runs {
            return;
        }
        if self.clients[client].traits.is_classic {
            return self.classic_step(client, fate);
        }
        let beat = self.clients[client].heartbeat(says_all);
        let (answer, effects) =
            self.ask(|group, scope, effects| group.heartbeat(beat, scope, effects));
        self.store(effects, fate);
        let client = &mut self.clients[client];
        match fate {
            Fate::Delivered => client.on_answer(answer),
            _ => client.on_lost(),
        }
    }

    /// A client of the classic protocol does what is next.
    fn classic_step(&mut self, index: usize, fate: Fate) {
        self.numbers += 1;
        let uuid = u128::from(self.numbers).to_be_bytes();
        let topics = self.topics.clone();
        let client = &mut self.clients[index];
        let delivered = matches!(fate, Fate::Delivered);
        match client.next() {
            Next::Join => {
                let join = client.join(uuid, &topics);
                let (joined, effects) =
                    self.ask(|group, scope, effects| group.join(join, scope, effects));
                self.store(effects, fate);
                if delivered {
                    self.clients[index].on_joined(joined);
                }
            }
            Next::Sync => {
                let sync = client.sync();
                let (synced, effects) = self.ask(|group, scope, _| group.sync(&sync, scope));
                self.store(effects, fate);
                if delivered {
                    self.clients[index].on_synced(synced, &topics);
                }
            }
            Next::Heartbeat => {
                let (member, generation) = client.classic_heartbeat();
                let (alive, effects) = self.ask(|group, scope, effects| {
                    group.classic_heartbeat(&member, generation, scope, effects)
                });
                self.store(effects, fate);
                if delivered {
                    self.clients[index].on_classic_heartbeat(alive);
                }
            }
        }
    }

    fn store(&mut self, effects: Effects, fate: Fate) {
        if !matches!(fate, Fate::BrokerDiesBefore) {
            self.log.extend(effects.changes);
        }
        if matches!(fate, Fate::BrokerDiesBefore | Fate::BrokerDiesAfter) {
            self.restart(false);
        }
    }

    /// A topic that is made again is another one, and topics never shrink.
    pub(super) fn set_topic(&mut self, topic: usize, partitions: i32) {
        let (count, made) = &mut self.counts[topic];
        if *count == 0 && partitions > 0 {
            *made += 1;
        }
        *count = if partitions == 0 { 0 } else { partitions.max(*count) };
        self.tell_topics();
    }

    fn tell_topics(&mut self) {
        let topics = TOPICS.iter().zip(self.counts).filter(|(_, (count, _))| *count > 0);
        let topics = topics.map(|(name, (partitions, made))| {
            let id = Uuid([made.wrapping_mul(16) + name.as_bytes()[0] % 16; 16]);
            (Str::from(*name), Topic { id, partitions })
        });
        self.topics = Topics::new(self.topics.version() + 1, topics);
    }

    pub(super) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.group.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let ((), effects) = self.ask(|group, scope, effects| {
                group.expire(scope.now.elapsed, scope, effects);
            });
            self.log.extend(effects.changes);
            self.check();
        }
        self.now = end;
    }

    pub(super) fn restart(&mut self, compacted: bool) {
        if compacted {
            self.log = compact(&self.log);
        }
        self.group = self.replayed().restored(self.scope());
        self.epoch = self.group.epoch.epoch;
    }

    fn replayed(&self) -> ConsumerGroup {
        let mut group = ConsumerGroup::default();
        self.log.iter().for_each(|change| group.apply(change.clone()));
        group
    }

    fn scope(&self) -> Scope<'_> {
        let unix_ms = i64::try_from(self.now.as_millis()).expect("a model is short");
        let now = Moment { elapsed: self.now, unix_ms };
        Scope { now, limits: &self.limits, topics: &self.topics }
    }

    fn ask<T>(
        &mut self,
        what: impl FnOnce(&mut ConsumerGroup, Scope<'_>, &mut Effects) -> T,
    ) -> (T, Effects) {
        let mut effects = Effects::default();
        let mut group = std::mem::take(&mut self.group);
        let answer = what(&mut group, self.scope(), &mut effects);
        self.group = group;
        (answer, effects)
    }

    /// What is always so.
    pub(super) fn check(&mut self) {
        self.group.assert_consistent();
        self.replayed().assert_same(&self.group);
        assert!(self.epoch <= self.group.epoch.epoch, "the epoch went back");
        self.epoch = self.group.epoch.epoch;
        for client in &mut self.clients {
            // One that is out consumes until it hears of it: one of the classic protocol, which
            // may come back by a join as if nothing had been, until it has asked what it holds.
            let member = self.group.members.get(&client.member_id);
            client.was_out |= member.is_none();
            let Some(member) = member.filter(|_| !client.was_out) else { continue };
            let current = &member.current;
            // To the classic protocol, a topic that is made again is the one that was there before.
            let is_there = |it: &&TopicPartition| self.topics.name(&it.0).is_some();
            for partition in client.owned.iter().filter(is_there) {
                let is_held = current.assigned.contains_key(partition)
                    || current.revoking.contains_key(partition);
                assert!(is_held, "{partition:?} is not {client:?}'s any more: {current:?}");
            }
            let consumed: Vec<TopicPartition> =
                client.owned.iter().filter(is_there).copied().collect();
            let committed = self.group.check_commit(&client.committer(), consumed.into_iter());
            assert!(
                !client.runs || client.epoch == 0 || committed.is_ok(),
                "{client:?}: {current:?}"
            );
        }
        self.check_strangers();
    }

    /// Who is out commits nothing any more.
    fn check_strangers(&self) {
        let is_out = |client: &&Client| {
            !self.group.members.contains_key(&client.member_id) && client.epoch > 0
        };
        for client in self.clients.iter().filter(is_out) {
            let committed = self.group.check_commit(&client.committer(), std::iter::empty());
            assert_eq!(committed, Err(ErrorCode::UNKNOWN_MEMBER_ID), "{client:?}");
        }
    }

    /// Nothing more happens to anybody: all that run come to share what they read.
    pub(super) fn settle(&mut self) {
        let interval = Duration::from_secs(5);
        let silent_until = self.now + self.limits.session_timeout;
        let end = silent_until + 12 * interval;
        while self.now < end {
            for client in 0..self.clients.len() {
                for _ in 0..4 {
                    self.beat(client, true, Fate::Delivered);
                    self.adopt(client);
                    self.check();
                }
            }
            self.wait(interval);
        }
        self.check_settled();
    }

    fn check_settled(&self) {
        let running: Vec<&Client> = self.clients.iter().filter(|client| client.runs).collect();
        let state = if running.is_empty() { State::Empty } else { State::Stable };
        assert_eq!(self.group.state(), state, "{self:?}");
        assert_eq!(self.group.size(), running.len(), "{self:?}");
        let mut owned = Partitions::new();
        let mut read = Partitions::new();
        for client in running {
            let target = self.group.targets.get(&client.member_id);
            assert_eq!(target.unwrap_or(&Partitions::new()), &client.owned, "{self:?}");
            owned.extend(&client.owned);
            let subscription = &self.group.members[&client.member_id].subscription;
            for topic in self.group.topics_of(subscription, &self.topics) {
                read.extend((0..self.topics.partitions(&topic)).map(|index| (topic, index)));
            }
        }
        assert_eq!(owned, read, "all that is read has a reader: {self:?}");
    }
}

/// What is left of a log when only the last change of each kind counts. What is no more is
/// forgotten.
fn compact(log: &[Change]) -> Vec<Change> {
    let mut last: BTreeMap<(u8, Str), usize> = BTreeMap::new();
    for (at, change) in log.iter().enumerate() {
        last.insert(key(change), at);
    }
    let is_last = |at: usize, change: &Change| last[&key(change)] == at && !change.is_end();
    let kept = log.iter().enumerate().filter(|(at, change)| is_last(*at, change));
    kept.map(|(_, change)| change.clone()).collect()
}

fn key(change: &Change) -> (u8, Str) {
    match change {
        Change::Epoch(_) => (3, Str::default()),
        Change::Member(id, _) => (5, id.clone()),
        Change::TargetEpoch(_) => (6, Str::default()),
        Change::Target(id, _) => (7, id.clone()),
        Change::Current(id, _) => (8, id.clone()),
        Change::Pattern(pattern, _) => (16, pattern.clone()),
    }
}
