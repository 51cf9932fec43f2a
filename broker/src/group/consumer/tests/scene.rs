//! A scene: clients around one group, told as text.
//!
//! Lines that begin with `>` are what happens; the lines that follow are what the group answers:
//!
//! ```text
//! > topics t=2
//! > join a reads=t
//! a is at 1 and has t0 t1
//! > describe
//! Stable, epoch 1, target 1 by uniform
//! a at 1 has t0 t1
//! ```
//!
//! A client is known by its name, which is its member id as well, and remembers the epoch and the
//! assignment that it was told last.
//!
//! | what happens | |
//! |---|---|
//! | `topics t=2 u=1` | from now on there are these topics |
//! | `join a [as=ID] [instance=i] [rack=r] [reads=t,u] [pattern=p] [assignor=n] [timeout=9s]` | a client joins |
//! | `beat a [epoch=n] [owns=t0,t1] …` | a heartbeat that says only this |
//! | `ack a` | the client has come to what it was told, and says so |
//! | `leave a [instance=i]`, `away a instance=i` | a client leaves, for good or for a while |
//! | `commit a [epoch=n] [old] [txn] t0 …`, `fetch a [epoch=n]` | a client commits, or asks for offsets |
//! | `cjoin a [new] [instance=i] [reads=t] [owns=t0] [protocols=range] [timeout=9s]` | a client of the classic protocol joins; `new` without an id |
//! | `csync a`, `cbeat a`, `cleave a` | a client of the classic protocol goes on |
//! | `wait 5s` | time goes by, and the group is asked when it wants |
//! | `restart` | the broker starts again with what was stored |
//! | `describe` | what the group tells of itself |

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use klamm_protocol::consumer_protocol;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};

use super::super::topics::Topic;
use super::super::*;
use crate::group::classic::{Identity, Join, Moment, Protocol, Sync, Token};

pub(super) const LIMITS: Limits = Limits {
    session_timeout: Duration::from_secs(45),
    assignment_interval: Duration::ZERO,
    size_max: usize::MAX,
    assignor: Assignor::Uniform,
    record_bytes_max: 100_000,
};

/// Plays a scene and compares it with what it was meant to be.
#[track_caller]
pub(super) fn check(expected: &str) {
    check_with(LIMITS, expected);
}

/// Plays a scene with other settings.
#[track_caller]
pub(super) fn check_with(limits: Limits, expected: &str) {
    let lines = expected.lines().map(str::trim).filter(|line| !line.is_empty());
    let expected: Vec<&str> = lines.collect();
    let mut scene = Scene::new(limits);
    for line in &expected {
        if let Some(what) = line.strip_prefix('>') {
            writeln!(scene.told, "{line}").expect("text takes text");
            scene.play(what.trim());
        }
    }
    assert_eq!(scene.told.trim_end(), expected.join("\n"), "told:\n{}", scene.told);
}

#[derive(Default)]
struct Client {
    epoch: i32,
    assignment: Partitions,
}

struct Scene {
    group: ConsumerGroup,
    limits: Limits,
    topics: Topics,
    stored: Vec<Change>,
    now: Duration,
    clients: BTreeMap<String, Client>,
    told: String,
}

/// The words of a line, apart from the first two: flags, and `key=value`.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn value(&self, key: &str) -> Option<&'a str> {
        let mut pairs = self.0.iter().filter_map(|word| word.split_once('='));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    fn text(&self, key: &str) -> Option<Str> {
        self.value(key).map(Str::from)
    }

    fn number(&self, key: &str) -> Option<i32> {
        self.value(key).map(|value| value.parse().expect("a number"))
    }

    fn list(&self, key: &str) -> Option<Vec<Str>> {
        let list =
            |value: &str| value.split(',').filter(|it| !it.is_empty()).map(Str::from).collect();
        self.value(key).map(list)
    }
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs(text.trim_end_matches('s').parse().expect("seconds"))
}

/// The topic that has this letter for a name.
fn topic_id(name: &str) -> Uuid {
    Uuid([name.as_bytes()[0]; 16])
}

fn partition(text: &str) -> TopicPartition {
    (topic_id(text), text[1..].parse().expect("an index"))
}

fn show(partitions: &Partitions) -> String {
    if partitions.is_empty() {
        return "nothing".to_owned();
    }
    let show = |(topic, index): &TopicPartition| format!("{}{index}", char::from(topic.0[0]));
    partitions.iter().map(show).collect::<Vec<_>>().join(" ")
}

impl Scene {
    fn new(limits: Limits) -> Self {
        Self {
            group: ConsumerGroup::default(),
            limits,
            topics: Topics::default(),
            stored: Vec::new(),
            now: Duration::from_secs(100),
            clients: BTreeMap::new(),
            told: String::new(),
        }
    }

    fn tell(&mut self, what: &str) {
        writeln!(self.told, "{what}").expect("text takes text");
    }

    fn scope(&self) -> Scope<'_> {
        let unix_ms = i64::try_from(self.now.as_millis()).expect("a scene is short");
        let now = Moment { elapsed: self.now, unix_ms };
        Scope { now, limits: &self.limits, topics: &self.topics }
    }

    /// Asks the group for something, and stores what has changed.
    fn ask<T>(&mut self, what: impl FnOnce(&mut ConsumerGroup, Scope<'_>, &mut Effects) -> T) -> T {
        let mut effects = Effects::default();
        let mut group = std::mem::take(&mut self.group);
        let answer = what(&mut group, self.scope(), &mut effects);
        self.group = group;
        self.stored.extend(effects.changes);
        answer
    }

    fn play(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let what = words.next().expect("something happens");
        let rest: Vec<&str> = words.collect();
        let name = rest.first().copied().unwrap_or_default();
        let words = Words(rest.clone());
        match what {
            "topics" => self.set_topics(&rest),
            "join" => self.beat(name, Heartbeat { epoch: 0, ..self.joining(name, &words) }),
            "beat" => self.beat(name, self.heartbeat(name, &words)),
            "ack" => {
                let owned = Some(self.clients[name].assignment.clone());
                self.beat(name, Heartbeat { owned, ..self.heartbeat(name, &words) });
            }
            "cjoin" => self.classic_join(name, &words),
            "csync" => self.classic_sync(name),
            "cbeat" => {
                let (member, generation) = self.classic_identity(name);
                let alive = self.ask(|group, scope, effects| {
                    group.classic_heartbeat(&member, generation, scope, effects)
                });
                self.tell(&outcome(name, alive));
                self.check_replay();
            }
            "cleave" => {
                let (member, _) = self.classic_identity(name);
                let left =
                    self.ask(|group, scope, effects| group.leave_all(&[member], scope, effects));
                self.tell(&outcome(name, left[0]));
                self.check_replay();
            }
            "leave" | "away" => self.leave(name, &words, what == "away"),
            "commit" => self.commit(name, &words),
            "fetch" => {
                let epoch = words.number("epoch").unwrap_or(self.clients[name].epoch);
                let allowed = self.group.check_fetch(Some(name), epoch);
                self.tell(&outcome(name, allowed));
            }
            "wait" => self.wait(seconds(name)),
            "restart" => self.restart(),
            "describe" => self.describe(),
            _ => panic!("{what} does not happen"),
        }
    }

    fn set_topics(&mut self, counts: &[&str]) {
        let topic = |text: &&str| {
            let (name, count) = text.split_once('=').expect("a number of partitions");
            let partitions = count.parse().expect("a number");
            (Str::from(name), Topic { id: topic_id(name), partitions })
        };
        self.topics = Topics::new(self.topics.version() + 1, counts.iter().map(topic));
    }

    fn joining(&self, name: &str, words: &Words<'_>) -> Heartbeat {
        let beat = self.heartbeat(name, words);
        let names = Some(beat.topic_names.unwrap_or_default());
        let timeout = beat.rebalance_timeout.or(Some(Duration::from_secs(60)));
        let owned = Some(Partitions::new());
        Heartbeat { topic_names: names, rebalance_timeout: timeout, owned, ..beat }
    }

    fn heartbeat(&self, name: &str, words: &Words<'_>) -> Heartbeat {
        let known = self.clients.get(name);
        let owns = |list: Vec<Str>| list.iter().map(|text| partition(text)).collect();
        Heartbeat {
            member_id: words.text("as").unwrap_or_else(|| name.into()),
            epoch: words.number("epoch").or(known.map(|it| it.epoch)).unwrap_or_default(),
            instance_id: words.text("instance"),
            rack_id: words.text("rack"),
            client_id: "client".into(),
            client_host: "/host".into(),
            rebalance_timeout: words.value("timeout").map(seconds),
            topic_names: words.list("reads"),
            pattern: words.text("pattern"),
            assignor: words.text("assignor"),
            owned: words.list("owns").map(owns),
            classic: None,
        }
    }

    fn beat(&mut self, name: &str, beat: Heartbeat) {
        let before = self.stored.len();
        match self.ask(|group, scope, effects| group.heartbeat(beat, scope, effects)) {
            Err(refusal) => {
                assert_eq!(self.stored.len(), before, "a refusal changes nothing");
                self.tell(&format!("{name}: {}", refusal.code().name()));
            }
            Ok(told) => {
                let client = self.clients.entry(name.to_owned()).or_default();
                client.epoch = told.epoch;
                let mut line = format!("{name} is at {}", told.epoch);
                if let Some(assignment) = told.assignment {
                    write!(line, " and has {}", show(&assignment)).expect("text takes text");
                    client.assignment = assignment;
                }
                self.tell(&line);
            }
        }
        self.check_replay();
    }

    fn leave(&mut self, name: &str, words: &Words<'_>, for_a_while: bool) {
        let member_id = words.text("as").unwrap_or_else(|| name.into());
        let leave = Leave { member_id, instance_id: words.text("instance"), for_a_while };
        let left = self.ask(|group, scope, effects| group.leave(&leave, scope, effects));
        self.tell(&outcome(name, left.map_err(|refusal| refusal.code())));
        self.check_replay();
    }

    fn commit(&mut self, name: &str, words: &Words<'_>) {
        let known = self.clients.get(name).map_or(-1, |client| client.epoch);
        let committer = Committer {
            member_id: if name == "nobody" { Str::default() } else { name.into() },
            epoch: words.number("epoch").unwrap_or(known),
            knows_protocol: !words.0.contains(&"old"),
        };
        let is_partition = |word: &&&str| word[1..].parse::<i32>().is_ok();
        let partitions = words.0[1..].iter().filter(is_partition).map(|word| partition(word));
        let allowed = match words.0.contains(&"txn") {
            true => self.group.check_transactional(&committer, None, partitions),
            false => self.group.check_commit(&committer, partitions),
        };
        self.tell(&outcome(name, allowed));
    }

    fn classic_identity(&self, name: &str) -> (Identity, i32) {
        let generation = self.clients.get(name).map_or(0, |client| client.epoch);
        (Identity { member_id: name.into(), instance_id: None }, generation)
    }

    fn classic_join(&mut self, name: &str, words: &Words<'_>) {
        let owned = words.list("owns").unwrap_or_default();
        let owned = owned.iter().map(|text| consumer_protocol::TopicPartitions {
            topic: text[..1].into(),
            partitions: vec![partition(text).1],
        });
        let said = consumer_protocol::Subscription {
            topics: words.list("reads").unwrap_or_default(),
            owned_partitions: owned.collect(),
            ..Default::default()
        };
        let metadata = said.encode(1).expect("short names");
        let names = words.list("protocols").unwrap_or_else(|| vec!["range".into()]);
        let protocols = names.into_iter().map(|name| Protocol { name, metadata: metadata.clone() });
        let is_new = words.0.contains(&"new");
        let member_id = if is_new { Str::default() } else { name.into() };
        let join = Join {
            token: Token(0),
            member: Identity { member_id, instance_id: words.text("instance") },
            uuid: [1; 16],
            client_id: "client".into(),
            client_host: "/host".into(),
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: words.value("timeout").map_or(Duration::from_secs(60), seconds),
            protocol_type: "consumer".into(),
            protocols: protocols.collect(),
            id_required: words.value("instance").is_none(),
            skips_assignment: true,
        };
        match self.ask(|group, scope, effects| group.join(join, scope, effects)) {
            Err(refusal) => {
                self.tell(&format!("{name}: {} {}", refusal.code.name(), refusal.member_id));
            }
            Ok(joined) => {
                self.clients.entry(name.to_owned()).or_default().epoch = joined.generation;
                let (id, generation) = (&joined.member_id, joined.generation);
                self.tell(&format!("{name} is {id} in generation {generation}"));
            }
        }
        self.check_replay();
    }

    fn classic_sync(&mut self, name: &str) {
        let (member, generation) = self.classic_identity(name);
        let sync = Sync {
            token: Token(0),
            member,
            generation,
            protocol_type: None,
            protocol: None,
            assignments: Vec::new(),
        };
        let line = match self.ask(|group, scope, _| group.sync(&sync, scope)) {
            Err(code) => format!("{name}: {}", code.name()),
            Ok(synced) => {
                let told = consumer_protocol::Assignment::decode(synced.assignment).expect("ours");
                let of_topic = |of: consumer_protocol::TopicPartitions| {
                    let id = topic_id(&of.topic);
                    of.partitions.into_iter().map(move |index| (id, index))
                };
                let held = told.assigned_partitions.into_iter().flat_map(of_topic).collect();
                format!("{name} has {}", show(&held))
            }
        };
        self.tell(&line);
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.group.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.ask(|group, scope, effects| {
                group.expire(scope.now.elapsed, scope, effects);
            });
        }
        self.now = end;
        self.check_replay();
    }

    fn restart(&mut self) {
        let mut group = ConsumerGroup::default();
        self.stored.iter().for_each(|change| group.apply(change.clone()));
        self.group = group.restored(self.scope());
    }

    /// What is stored says what is.
    fn check_replay(&self) {
        let mut group = ConsumerGroup::default();
        self.stored.iter().for_each(|change| group.apply(change.clone()));
        group.assert_same(&self.group);
        self.group.assert_consistent();
    }

    fn describe(&mut self) {
        let it = self.group.describe(self.scope());
        let (state, epoch, target) = (it.state.name(), it.epoch, it.target_epoch);
        self.tell(&format!("{state}, epoch {epoch}, target {target} by {}", it.assignor));
        for member in it.members {
            let id = &member.member_id;
            let mut line = format!("{id} at {} has {}", member.epoch, show(&member.assigned));
            if member.assigned != member.target {
                write!(line, ", shall have {}", show(&member.target)).expect("text takes text");
            }
            self.tell(&line);
        }
    }
}

fn outcome(name: &str, outcome: Result<(), ErrorCode>) -> String {
    outcome.map_or_else(|code| format!("{name}: {}", code.name()), |()| format!("{name}: fine"))
}

impl ConsumerGroup {
    /// Whether everything that the log says is the same.
    pub(crate) fn assert_same(&self, other: &Self) {
        assert_eq!((self.epoch, self.target_epoch), (other.epoch, other.target_epoch));
        assert_eq!(self.targets, other.targets);
        assert_eq!(self.static_ids, other.static_ids);
        assert_eq!(self.holders, other.holders);
        assert_eq!(self.patterns, other.patterns);
        let stored = |group: &Self| -> Vec<(Str, Subscription, Current)> {
            let members = group.members.iter();
            let stored = |(id, it): (&Str, &Member)| {
                (id.clone(), it.subscription.clone(), it.current.clone())
            };
            members.map(stored).collect()
        };
        assert_eq!(stored(self), stored(other));
    }

    /// What is always so.
    pub(crate) fn assert_consistent(&self) {
        let mut holders = HashMap::new();
        for (id, member) in &self.members {
            let current = &member.current;
            for partition in current.assigned.keys().chain(current.revoking.keys()) {
                let other = holders.insert(*partition, id.clone());
                assert_eq!(other, None, "{partition:?} is held by two");
            }
        }
        assert_eq!(holders, self.holders);
        let mut targets = Partitions::new();
        for (id, target) in &self.targets {
            assert!(self.members.contains_key(id), "{id} has a target");
            assert!(target.iter().all(|partition| targets.insert(*partition)), "a target of two");
        }
        for (instance_id, id) in &self.static_ids {
            let known = self.members[id].subscription.instance_id.as_ref();
            assert_eq!(known, Some(instance_id));
        }
        assert!(self.target_epoch.epoch <= self.epoch.epoch);
        assert!(self.wake <= self.next_wake(), "something is due before it is looked at");
    }
}
