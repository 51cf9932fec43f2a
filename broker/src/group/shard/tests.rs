//! What a coordinator does against what its records say.

mod late;
mod migration;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::records::{BatchProducer, Outcome};
use klamm_protocol::wire::{Str, Uuid};
use proptest::prelude::*;
use tokio::sync::oneshot::{self, Receiver, error::TryRecvError};

use super::command::{Command, Commit, Deleted, NewOffset, TransactionalCommit};
use super::coordinator::{Coordinator, Setting, Step};
use super::replay::Replay;
use crate::catalog::Image;
use crate::config::{BrokerConfig, GroupConfig};
use crate::group::classic::{Identity, Join, Moment, Protocol, Snapshot, State, Sync, Token};
use crate::group::consumer::{Heartbeat, Leave, Partitions, Topic, Topics};
use crate::group::kind::Group;
use crate::group::records::GroupRecord;
use klamm_protocol::consumer_protocol;
use klamm_protocol::error_code::ErrorCode;

const GROUPS: [&str; 2] = ["one", "other"];
const CLIENTS: usize = 3;
/// The last client is a static member.
const STATIC: usize = CLIENTS - 1;

/// Something that happens; numbers say to whom.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Join {
        group: usize,
        client: usize,
    },
    /// Somebody joins who knows no way of assigning.
    JoinInVain {
        group: usize,
    },
    Sync {
        group: usize,
        client: usize,
    },
    Leave {
        group: usize,
        client: usize,
    },
    Beat {
        group: usize,
        client: usize,
    },
    ConsumerLeave {
        group: usize,
        client: usize,
    },
    Commit {
        group: usize,
        client: usize,
        partition: i32,
        offset: i64,
    },
    CommitFromOutside {
        group: usize,
        partition: i32,
        offset: i64,
    },
    CommitInTransaction {
        group: usize,
        producer: i64,
        partition: i32,
        offset: i64,
    },
    EndTransaction {
        producer: i64,
        commits: bool,
    },
    DeleteOffset {
        group: usize,
        partition: i32,
    },
    DeleteGroup {
        group: usize,
    },
    DeleteTopic {
        topic: u8,
    },
    Wait {
        seconds: u64,
    },
    ExpireOffsets,
    Restart,
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::{
        Beat, Commit, CommitFromOutside, CommitInTransaction, ConsumerLeave, DeleteGroup,
        DeleteOffset, DeleteTopic, EndTransaction, ExpireOffsets, Join, JoinInVain, Leave, Restart,
        Sync, Wait,
    };
    let (group, client) = (0..GROUPS.len(), 0..CLIENTS);
    let who = (group.clone(), client);
    let place = (0..4i32, 0..100i64);
    prop_oneof![
        6 => who.clone().prop_map(|(group, client)| Join { group, client }),
        1 => group.clone().prop_map(|group| JoinInVain { group }),
        6 => who.clone().prop_map(|(group, client)| Sync { group, client }),
        1 => who.clone().prop_map(|(group, client)| Leave { group, client }),
        6 => who.clone().prop_map(|(group, client)| Beat { group, client }),
        1 => who.clone().prop_map(|(group, client)| ConsumerLeave { group, client }),
        3 => (who, place.clone()).prop_map(|((group, client), (partition, offset))| {
            Commit { group, client, partition, offset }
        }),
        2 => (group.clone(), place.clone()).prop_map(|(group, (partition, offset))| {
            CommitFromOutside { group, partition, offset }
        }),
        2 => (group.clone(), 0..2i64, place).prop_map(|(group, producer, (partition, offset))| {
            CommitInTransaction { group, producer, partition, offset }
        }),
        1 => (0..2i64, any::<bool>()).prop_map(|(producer, commits)| {
            EndTransaction { producer, commits }
        }),
        1 => (group.clone(), 0..4).prop_map(|(group, partition)| DeleteOffset { group, partition }),
        1 => group.prop_map(|group| DeleteGroup { group }),
        1 => (0..2u8).prop_map(|topic| DeleteTopic { topic }),
        3 => (1..40u64).prop_map(|seconds| Wait { seconds }),
        1 => Just(ExpireOffsets),
        1 => Just(Restart),
    ]
}

/// One who wants to be in a group, as far as it knows.
#[derive(Clone, Debug, Default)]
struct Client {
    member_id: Str,
    generation: i32,
    leads: bool,
}

/// A client of the consumer protocol, as far as it knows; it comes to what it is told at once.
#[derive(Clone, Debug, Default)]
struct Consumer {
    epoch: i32,
    told: Partitions,
}

struct World {
    coordinator: Coordinator,
    /// Everything that was asked to be written.
    log: Replay,
    config: GroupConfig,
    topics: Topics,
    image: Image,
    now: Moment,
    clients: BTreeMap<(usize, usize), Client>,
    consumers: BTreeMap<(usize, usize), Consumer>,
    last_token: u64,
}

impl World {
    fn is_consumer(&self, group: usize) -> bool {
        matches!(self.coordinator.groups.get(GROUPS[group]), Some(Group::Consumer(_)))
    }

    fn new() -> Self {
        let config = BrokerConfig::default().groups.clone();
        let config = GroupConfig { offsets_retention: Duration::from_secs(60), ..config };
        Self {
            coordinator: Coordinator::default(),
            log: Replay::default(),
            config: GroupConfig { initial_delay: Duration::ZERO, ..config },
            topics: topics(),
            image: Image::default(),
            now: Moment { elapsed: Duration::from_secs(5), unix_ms: 1_700_000_000_000 },
            clients: BTreeMap::new(),
            consumers: BTreeMap::new(),
            last_token: 0,
        }
    }

    fn ask<T>(
        &mut self,
        command: impl FnOnce(super::command::Answer<T>) -> Command,
    ) -> Receiver<Result<T, ErrorCode>> {
        let (answer, asked) = oneshot::channel();
        let setting = Setting {
            now: self.now,
            config: &self.config,
            topics: &self.topics,
            image: &self.image,
        };
        let step = self.coordinator.handle(command(answer), setting);
        self.write(step);
        asked
    }

    /// Everything is durable at once here.
    fn write(&mut self, step: Step) {
        let mut stored = Vec::new();
        for record in step.records {
            if let GroupRecord::Group(key, Some(_)) = &record {
                stored.push(key.group.clone());
            }
            self.log.apply(record);
        }
        self.check_stored(&stored);
        step.answers.into_iter().for_each(|release| release(Ok(())));
    }

    /// Whoever reads the record of a group that was just stored finds the group as it is.
    fn check_stored(&self, names: &[Str]) {
        if names.is_empty() {
            return;
        }
        let restored = self.restored();
        for name in names {
            let groups = (self.coordinator.groups.get(name), restored.groups.get(name));
            if let (Some(Group::Classic(group)), Some(Group::Classic(other))) = groups {
                assert_eq!(other.state(), group.state(), "{name}");
                assert_eq!(durable(other.snapshot()), durable(group.snapshot()), "{name}");
            }
        }
    }

    fn token(&mut self) -> Token {
        self.last_token += 1;
        Token(self.last_token)
    }

    fn identity(&self, group: usize, client: usize) -> Identity {
        let known = self.clients.get(&(group, client)).cloned().unwrap_or_default();
        let instance_id = (client == STATIC).then(|| "static".into());
        Identity { member_id: known.member_id, instance_id }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Join { group, client } => self.join(group, client),
            Happening::JoinInVain { group } => {
                let join = Join { protocols: Vec::new(), ..self.joining(Identity::default()) };
                self.ask(|answer| Command::Join(GROUPS[group].into(), join, answer));
            }
            Happening::Sync { group, client } => self.sync(group, client),
            Happening::Leave { group, client } => {
                let leaver = self.identity(group, client);
                self.ask(|answer| Command::Leave(GROUPS[group].into(), vec![leaver], answer));
                self.clients.remove(&(group, client));
            }
            Happening::Beat { group, client } => self.beat(group, client),
            Happening::ConsumerLeave { group, client } => {
                self.consumers.remove(&(group, client));
                let leave = Leave { member_id: consumer_id(client), ..Leave::default() };
                let group = GROUPS[group].into();
                self.ask(|answer| Command::ConsumerLeave(group, leave, answer));
            }
            Happening::Commit { group, client, partition, offset } => {
                let member = self.identity(group, client);
                let generation = self.clients.get(&(group, client)).map_or(0, |it| it.generation);
                self.commit(group, member, generation, (partition, offset));
            }
            Happening::CommitFromOutside { group, partition, offset } => {
                self.commit(group, Identity::default(), -1, (partition, offset));
            }
            Happening::CommitInTransaction { group, producer, partition, offset } => {
                self.commit_in_transaction(group, producer, (partition, offset));
            }
            Happening::EndTransaction { producer, commits } => {
                let outcome = if commits { Outcome::Commit } else { Outcome::Abort };
                self.log.end_transaction(producer, outcome);
                let setting = Setting {
                    now: self.now,
                    config: &self.config,
                    topics: &self.topics,
                    image: &self.image,
                };
                self.coordinator.end_transaction(producer, outcome, setting);
            }
            Happening::DeleteOffset { group, partition } => {
                let place = vec![(topic(partition).0, partition)];
                self.ask(|answer| Command::DeleteOffsets(GROUPS[group].into(), place, answer));
            }
            Happening::DeleteGroup { group } => {
                self.ask(|answer| Command::DeleteGroup(GROUPS[group].into(), answer));
            }
            Happening::DeleteTopic { topic } => {
                let deleted = Arc::new(Deleted::of(&[self::topic(topic.into())]));
                self.ask(|answer| Command::TopicsDeleted(deleted, answer));
            }
            Happening::Wait { seconds } => self.wait(Duration::from_secs(seconds)),
            Happening::ExpireOffsets => {
                let setting = Setting {
                    now: self.now,
                    config: &self.config,
                    topics: &self.topics,
                    image: &self.image,
                };
                let step = self.coordinator.expire_offsets(setting);
                self.write(step);
            }
            Happening::Restart => self.coordinator = self.restored(),
        }
    }

    fn joining(&mut self, member: Identity) -> Join {
        let token = self.token();
        let said =
            consumer_protocol::Subscription { topics: vec![topic(0).0], ..Default::default() };
        let protocol = Protocol { name: "range".into(), metadata: said.encode(1).unwrap() };
        Join {
            token,
            member,
            uuid: [u8::try_from(token.0 % 256).unwrap(); 16],
            client_id: "client".into(),
            client_host: "/host".into(),
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(20),
            protocol_type: "consumer".into(),
            protocols: vec![protocol],
            id_required: false,
            skips_assignment: true,
        }
    }

    fn join(&mut self, group: usize, client: usize) {
        let join = self.joining(self.identity(group, client));
        let mut asked = self.ask(|answer| Command::Join(GROUPS[group].into(), join, answer));
        // An answer that comes later finds nobody: the client asks again.
        if let Ok(Ok(Ok(joined))) = asked.try_recv() {
            let leads = joined.leader == joined.member_id;
            let (member_id, generation) = (joined.member_id, joined.generation);
            self.clients.insert((group, client), Client { member_id, generation, leads });
        }
    }

    fn sync(&mut self, group: usize, client: usize) {
        let Some(known) = self.clients.get(&(group, client)).cloned() else { return };
        let assignments = match known.leads {
            true => vec![(known.member_id.clone(), everything())],
            false => Vec::new(),
        };
        let sync = Sync {
            token: self.token(),
            member: self.identity(group, client),
            generation: known.generation,
            protocol_type: None,
            protocol: None,
            assignments,
        };
        let mut asked = self.ask(|answer| Command::Sync(GROUPS[group].into(), sync, answer));
        assert_ne!(asked.try_recv().err(), Some(TryRecvError::Closed), "an answer is owed");
        if let Ok(Err(_)) = asked.try_recv() {
            self.clients.remove(&(group, client));
        }
    }

    fn beat(&mut self, group: usize, client: usize) {
        let known = self.consumers.get(&(group, client)).cloned().unwrap_or_default();
        let beat = Heartbeat {
            member_id: consumer_id(client),
            epoch: known.epoch,
            client_id: "client".into(),
            client_host: "/host".into(),
            rebalance_timeout: Some(Duration::from_secs(20)),
            topic_names: Some(vec![topic(0).0, topic(1).0]),
            owned: Some(known.told),
            ..Heartbeat::default()
        };
        let asked = GROUPS[group].into();
        let mut asked = self.ask(|answer| Command::ConsumerHeartbeat(asked, beat, answer));
        match asked.try_recv() {
            Ok(Ok(Ok(beat))) => {
                let told = beat.assignment.unwrap_or_default();
                self.consumers.insert((group, client), Consumer { epoch: beat.epoch, told });
            }
            Ok(Ok(Err(_))) => drop(self.consumers.remove(&(group, client))),
            other => panic!("an answer comes at once: {other:?}"),
        }
    }

    /// As the actor does it: first it is appended.
    fn commit_in_transaction(&mut self, group: usize, producer: i64, place: (i32, i64)) {
        let commit = TransactionalCommit {
            group: GROUPS[group].into(),
            member: Identity::default(),
            generation: -1,
            producer: BatchProducer { id: producer, ..BatchProducer::NONE },
            verification: None,
            offsets: vec![new_offset(place)],
        };
        let setting = Setting {
            now: self.now,
            config: &self.config,
            topics: &self.topics,
            image: &self.image,
        };
        let Ok((records, _)) = self.coordinator.plan(commit, setting) else { return };
        for record in &records {
            self.log.apply_in(Some(producer), record.clone());
        }
        self.coordinator.pend(producer, records, setting);
    }

    fn commit(&mut self, group: usize, member: Identity, generation: i32, place: (i32, i64)) {
        let commit = Commit {
            group: GROUPS[group].into(),
            member,
            generation,
            retention_ms: None,
            knows_epochs: true,
            no_group: ErrorCode::ILLEGAL_GENERATION,
            offsets: vec![new_offset(place)],
        };
        self.ask(|answer| Command::Commit(commit, answer));
    }

    fn wait(&mut self, time: Duration) {
        self.now.elapsed += time;
        self.now.unix_ms += i64::try_from(time.as_millis()).unwrap();
        while let Some(step) = {
            let setting = Setting {
                now: self.now,
                config: &self.config,
                topics: &self.topics,
                image: &self.image,
            };
            self.coordinator.expire(setting.now.elapsed, setting)
        } {
            self.write(step);
        }
    }

    /// What another coordinator makes of the log.
    fn restored(&self) -> Coordinator {
        self.log.clone().finish(Setting {
            now: self.now,
            config: &self.config,
            topics: &self.topics,
            image: &self.image,
        })
    }

    fn check(&self) {
        let restored = self.restored();
        assert_eq!(restored.offsets, self.coordinator.offsets);
        for (name, _) in self.coordinator.offsets.groups() {
            assert!(self.coordinator.groups.contains_key(name), "{name} has offsets");
        }
        for name in restored.groups.keys() {
            assert!(self.coordinator.groups.contains_key(name), "{name} was erased");
        }
        for (name, group) in &self.coordinator.groups {
            let Some(other) = restored.groups.get(name) else { continue };
            match (group, other) {
                (Group::Classic(group), Group::Classic(other)) => {
                    if group.state() == State::Stable {
                        assert_eq!(durable(other.snapshot()), durable(group.snapshot()), "{name}");
                    }
                }
                (Group::Consumer(group), Group::Consumer(other)) => {
                    group.assert_consistent();
                    other.assert_same(group);
                }
                _ => panic!("{name} is of another kind"),
            }
        }
    }
}

/// A snapshot without the moment, which a record is older than.
fn durable(snapshot: Snapshot) -> Snapshot {
    Snapshot { state_since_ms: None, ..snapshot }
}

fn topic(partition: i32) -> (Str, Uuid) {
    let topic = u8::try_from(partition % 2).unwrap();
    (format!("topic-{topic}").into(), Uuid([topic + 1; 16]))
}

fn new_offset((partition, offset): (i32, i64)) -> NewOffset {
    let (topic, topic_id) = topic(partition);
    let metadata = "note".into();
    NewOffset { topic, topic_id, partition, offset, leader_epoch: 3, metadata }
}

/// Both topics, with two partitions each.
fn topics() -> Topics {
    let told = |partition| {
        let (name, id) = topic(partition);
        (name, Topic { id, partitions: 4 })
    };
    Topics::new(1, [told(0), told(1)])
}

fn consumer_id(client: usize) -> Str {
    format!("consumer-{client}").into()
}

/// All of one topic, as leaders assign it.
fn everything() -> Bytes {
    let all =
        consumer_protocol::TopicPartitions { topic: topic(0).0, partitions: vec![0, 1, 2, 3] };
    let assigned_partitions = vec![all];
    let said = consumer_protocol::Assignment { assigned_partitions, user_data: None };
    said.encode(1).unwrap()
}

proptest! {
    #[test]
    fn the_log_says_what_the_coordinator_knows(
        happenings in prop::collection::vec(happening(), 1..80)
    ) {
        let mut world = World::new();
        for happening in happenings {
            world.happen(happening);
            world.check();
        }
    }
}

#[test]
fn groups_that_have_nothing_left_are_erased() {
    let mut world = World::new();
    world.happen(Happening::CommitFromOutside { group: 0, partition: 0, offset: 1 });
    world.happen(Happening::Wait { seconds: 59 });
    world.happen(Happening::ExpireOffsets);
    assert_eq!(world.coordinator.groups.len(), 1);
    world.happen(Happening::Wait { seconds: 1 });
    world.happen(Happening::ExpireOffsets);
    assert!(world.coordinator.groups.is_empty());
    assert!(world.restored().groups.is_empty());
}

#[test]
fn offsets_of_an_empty_group_outlive_a_join_that_is_refused() {
    let mut world = World::new();
    world.happen(Happening::Beat { group: 0, client: 0 });
    world.happen(Happening::ConsumerLeave { group: 0, client: 0 });
    world.happen(Happening::CommitFromOutside { group: 0, partition: 0, offset: 1 });
    world.happen(Happening::JoinInVain { group: 0 });
    world.check();
    world.happen(Happening::DeleteGroup { group: 0 });
    assert!(world.coordinator.groups.is_empty());
    assert!(world.coordinator.offsets.of_group(GROUPS[0]).is_none());
}

#[test]
fn what_is_deleted_does_not_come_back_with_the_end_of_a_transaction() {
    let pend = Happening::CommitInTransaction { group: 0, producer: 1, partition: 2, offset: 5 };
    let deletions = [
        Happening::DeleteOffset { group: 0, partition: 2 },
        Happening::DeleteGroup { group: 0 },
        Happening::DeleteTopic { topic: 0 },
    ];
    for deletion in deletions {
        for is_restarted in [false, true] {
            let mut world = World::new();
            world.happen(pend);
            world.happen(deletion);
            if is_restarted {
                world.happen(Happening::Restart);
            }
            world.happen(Happening::EndTransaction { producer: 1, commits: true });
            let committed = world.coordinator.offsets.of_group(GROUPS[0]);
            assert_eq!(committed, None, "{deletion:?}, restarted: {is_restarted}");
        }
    }
}
