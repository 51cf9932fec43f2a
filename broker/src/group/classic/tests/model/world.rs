//! The clients, the broker with its log, and the time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;

use super::super::super::*;
use super::client::{Client, Next, PARTITIONS, Traits};

const LIMITS: Limits = Limits {
    session_min: Duration::from_secs(6),
    session_max: Duration::from_secs(1800),
    initial_delay: Duration::from_secs(3),
    size_max: usize::MAX,
    record_bytes_max: 100_000,
};

/// How a request ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// The record is stored, and all get their answers.
    Delivered,
    /// Nobody gets the answers that go out because of it.
    AnswersLost,
    /// The broker dies before it stores anything.
    BrokerDiesBefore,
    /// The broker dies when the record is stored, before it answers.
    BrokerDiesAfter,
}

#[derive(Debug)]
pub(super) struct World {
    clients: Vec<Client>,
    group: Option<ClassicGroup>,
    stored: Option<Snapshot>,
    now: Duration,
    /// The clients that asked, and when.
    waiting: HashMap<Token, (usize, Duration)>,
    numbers: u64,
    generation: i32,
}

impl World {
    pub(super) fn new(clients: Vec<Traits>, cooperative: bool) -> Self {
        let clients = clients.into_iter().map(|traits| Client::new(traits, cooperative));
        Self {
            clients: clients.collect(),
            group: None,
            stored: None,
            now: Duration::ZERO,
            waiting: HashMap::new(),
            numbers: 0,
            generation: 0,
        }
    }

    pub(super) fn start(&mut self, client: usize) {
        self.clients[client].start();
    }

    pub(super) fn kill(&mut self, client: usize) {
        self.clients[client].stop();
    }

    pub(super) fn disconnect(&mut self, client: usize) {
        self.clients[client].disconnect();
    }

    pub(super) fn change(&mut self, client: usize) {
        self.clients[client].change();
    }

    pub(super) fn stop(&mut self, client: usize) {
        let identity = self.clients[client].identity();
        self.clients[client].stop();
        self.leave(identity);
    }

    pub(super) fn take_out(&mut self, client: usize) {
        let instance_id = self.clients[client].instance_id();
        self.leave(Identity { member_id: Str::default(), instance_id });
    }

    fn leave(&mut self, leaver: Identity) {
        let now = self.moment();
        let mut effects = Effects::default();
        if let Some(group) = &mut self.group {
            group.leave(&[leaver], now, &mut effects);
        }
        self.carry_out(effects, Fate::Delivered);
    }

    /// A client does what it has to do.
    pub(super) fn step(&mut self, index: usize, fate: Fate) {
        let now = self.moment();
        let mut effects = Effects::default();
        let client = &mut self.clients[index];
        match client.next {
            Next::Nothing | Next::Joining(_) | Next::Syncing(_) => return,
            Next::Join => {
                self.numbers += 1;
                let token = Token(self.numbers);
                self.waiting.insert(token, (index, self.now));
                let join = client.join(token, u128::from(self.numbers).to_be_bytes());
                if self.group.is_none() && join.member.member_id.is_empty() {
                    self.group = Some(ClassicGroup::new(LIMITS, now));
                }
                match &mut self.group {
                    Some(group) => group.join(join, now, &mut effects),
                    None => effects.refuse(token, ErrorCode::UNKNOWN_MEMBER_ID, Str::default()),
                }
            }
            Next::Sync => {
                self.numbers += 1;
                let token = Token(self.numbers);
                self.waiting.insert(token, (index, self.now));
                let sync = client.sync(token);
                match &mut self.group {
                    Some(group) => group.sync(sync, now, &mut effects),
                    None => effects.syncs.push((token, Err(ErrorCode::UNKNOWN_MEMBER_ID))),
                }
            }
            Next::Heartbeat => {
                let answer = self
                    .group
                    .as_mut()
                    .map(|group| group.heartbeat(&client.identity(), client.joined, now));
                client.on_heartbeat(answer.unwrap_or(Err(ErrorCode::UNKNOWN_MEMBER_ID)));
            }
        }
        self.carry_out(effects, fate);
    }

    pub(super) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.group.as_ref().and_then(ClassicGroup::deadline) {
            if due > end {
                break;
            }
            self.now = self.now.max(due);
            let now = self.moment();
            let mut effects = Effects::default();
            let waits = |token| {
                let client = self.waiting.get(&token).map(|(client, _)| &self.clients[*client]);
                client.is_some_and(|client| client.waits_for(token))
            };
            if let Some(group) = &mut self.group {
                group.expire(now.elapsed, now, waits, &mut effects);
            }
            self.carry_out(effects, Fate::Delivered);
            self.check();
        }
        self.now = end;
    }

    pub(super) fn restart(&mut self) {
        let now = self.moment();
        self.waiting.clear();
        self.clients.iter_mut().for_each(Client::disconnect);
        let stored = self.stored.clone();
        self.group = stored.map(|stored| ClassicGroup::restore(stored, LIMITS, now));
        self.generation = self.group.as_ref().map_or(0, |group| group.generation);
    }

    fn moment(&self) -> Moment {
        let unix_ms = i64::try_from(self.now.as_millis()).expect("a model is short");
        Moment { elapsed: self.now, unix_ms }
    }

    fn carry_out(&mut self, effects: Effects, fate: Fate) {
        if matches!(fate, Fate::BrokerDiesBefore) {
            return self.restart();
        }
        if let Some(group) = self.group.as_ref().filter(|_| effects.store) {
            self.stored = Some(group.snapshot());
        }
        if matches!(fate, Fate::BrokerDiesAfter) {
            return self.restart();
        }
        for (token, answer) in effects.joins {
            if let Some(client) = self.answered(token, Next::Joining(token), fate) {
                client.on_joined(answer);
            }
        }
        let generation = self.group.as_ref().map(|group| group.generation);
        for (token, answer) in effects.syncs {
            if let Some(client) = self.answered(token, Next::Syncing(token), fate) {
                assert!(
                    answer.is_err() || Some(client.joined) == generation,
                    "an assignment of old"
                );
                client.on_synced(answer);
            }
        }
    }

    /// The client that gets this answer, if it still waits for it.
    fn answered(&mut self, token: Token, waits: Next, fate: Fate) -> Option<&mut Client> {
        let (client, _) = self.waiting.remove(&token).expect("each asks once, and is told once");
        let client = &mut self.clients[client];
        match &mut self.group {
            Some(group) if client.next != waits => group.missed(token),
            // On its way already; the broker does not learn that it is lost.
            _ if matches!(fate, Fate::AnswersLost) => client.disconnect(),
            _ => {}
        }
        (client.next == waits).then_some(client)
    }

    /// What is always so.
    pub(super) fn check(&mut self) {
        let Some(group) = &self.group else { return };
        group.check_invariants();
        assert!(self.generation <= group.generation, "the generation went back");
        self.generation = group.generation;
        let bound = 2 * self.longest(|client| client.rebalance).max(LIMITS.initial_delay);
        for (client, since) in self.waiting.values() {
            assert!(self.now <= *since + bound, "client {client} waits since {since:?}");
        }
        self.check_consumers(group, |client| client.synced == group.generation);
        self.check_consumers(group, |client| {
            client.joined == group.generation && !client.is_static()
        });
    }

    /// No two of these consume the same partition.
    fn check_consumers(&self, group: &ClassicGroup, these: impl Fn(&Client) -> bool) {
        let mut consumers = BTreeMap::new();
        let members =
            self.clients.iter().filter(|client| group.members.get(&client.member_id).is_some());
        for client in members.filter(|client| these(client)) {
            for partition in &client.consumes {
                let other = consumers.insert(*partition, &client.member_id);
                assert_eq!(other, None, "partition {partition} is consumed by two");
            }
        }
    }

    fn longest(&self, time: impl Fn(&Traits) -> Duration) -> Duration {
        self.clients.iter().map(|client| time(&client.traits)).max().unwrap_or_default()
    }

    /// Nothing more happens to anybody: all that run come to share the partitions.
    pub(super) fn settle(&mut self) {
        let time = self.longest(|a| a.session) + LIMITS.initial_delay + Duration::from_secs(2);
        let step = Duration::from_millis(500);
        let end = self.now + time;
        while self.now < end {
            for _ in 0..4 {
                (0..self.clients.len()).for_each(|client| self.step(client, Fate::Delivered));
                self.check();
            }
            self.wait(step);
        }
        self.check_settled();
    }

    fn check_settled(&self) {
        let Some(group) = &self.group else {
            assert!(self.clients.iter().all(|client| !client.runs()), "{self:?}");
            return;
        };
        let running = self.clients.iter().filter(|client| client.runs());
        let running: Vec<&Client> = running.collect();
        let state = if running.is_empty() { State::Empty } else { State::Stable };
        assert_eq!(group.state(), state, "{self:?}");
        assert_eq!(group.members.len(), running.len(), "{self:?}");
        assert!(self.waiting.is_empty(), "{self:?}");
        let consumed: usize = running.iter().map(|client| client.consumes.len()).sum();
        let expected = if running.is_empty() { 0 } else { usize::from(PARTITIONS) };
        // A static member that starts anew between the two rounds of a cooperative rebalance gets
        // back what it had, and nobody asks for the second round: the protocol has no word for it.
        let may_miss = running.iter().any(|client| client.cooperative && client.is_static());
        assert!(consumed == expected || (may_miss && consumed < expected), "{self:?}");
        for client in running {
            assert_eq!((&client.next, client.synced), (&Next::Heartbeat, group.generation));
        }
    }
}

impl ClassicGroup {
    fn check_invariants(&self) {
        self.members.check_invariants();
        assert!(self.wake <= self.next_wake(), "something is due before it is looked at");
        let leader = self.leader.as_deref().and_then(|id| self.members.get(id));
        assert_eq!(leader.is_none(), self.members.is_empty(), "a group has a leader");
        let preparing = self.state() == State::PreparingRebalance;
        assert!(preparing || self.members.joining() == 0, "nobody waits for nothing");
        match self.state() {
            State::Empty => assert!(self.members.is_empty() && self.protocol.is_none()),
            State::PreparingRebalance => {}
            State::CompletingRebalance => {
                assert!(leader.is_some_and(|leader| leader.sync_due), "the leader is waited for");
            }
            State::Stable => {
                assert!(self.members.iter().all(|member| member.syncing.is_none()));
                assert_eq!(self.protocol, self.members.vote());
            }
        }
    }
}
