//! A client, as far as a group sees it.

use std::time::Duration;

use klamm_protocol::consumer_protocol::{self, TopicPartitions};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::super::super::classic::by_id;
use super::super::super::*;
use crate::group::classic::{Identity, Join, JoinRefusal, Joined, Protocol, Sync, Synced, Token};

/// The topics that there may be.
pub(super) const TOPICS: [&str; 3] = ["t", "u", "v"];

/// What a client reads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reads {
    /// Those of [`TOPICS`] that are set.
    Names([bool; 3]),
    /// What a pattern matches.
    Pattern(&'static str),
}

impl Reads {
    fn names(self) -> Vec<Str> {
        let Self::Names(which) = self else { return Vec::new() };
        let named = TOPICS.iter().zip(which).filter(|(_, is_read)| *is_read);
        named.map(|(name, _)| Str::from(*name)).collect()
    }

    fn pattern(self) -> Str {
        match self {
            Self::Names(_) => Str::default(),
            Self::Pattern(pattern) => pattern.into(),
        }
    }
}

/// What does not change about a client, but for what it reads.
#[derive(Clone, Debug)]
pub(super) struct Traits {
    pub(super) is_static: bool,
    /// Whether it is still at the classic protocol.
    pub(super) is_classic: bool,
    pub(super) reads: Reads,
    pub(super) rebalance: Duration,
    pub(super) assignor: Option<&'static str>,
}

/// A client, which may run.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) traits: Traits,
    pub(super) member_id: Str,
    /// Only a static client has one.
    pub(super) instance_id: Option<Str>,
    pub(super) runs: bool,
    /// 0 while it is not in the group, as far as it knows.
    pub(super) epoch: i32,
    /// What it was told to hold.
    pub(super) told: Partitions,
    /// What it consumes.
    pub(super) owned: Partitions,
    /// Whether the next heartbeat has to say everything; of the classic protocol, whether it has to
    /// join.
    must_say_all: bool,
    /// Whether it has joined, and has to ask what it holds.
    must_sync: bool,
    /// Whether the group has taken it out, and it has not come to what it was told since.
    pub(super) was_out: bool,
}

/// What a client of the classic protocol does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Join,
    Sync,
    Heartbeat,
}

impl Client {
    pub(super) fn new(number: usize, traits: Traits) -> Self {
        Self {
            instance_id: traits.is_static.then(|| format!("instance-{number}").into()),
            traits,
            member_id: Str::default(),
            runs: false,
            epoch: 0,
            told: Partitions::new(),
            owned: Partitions::new(),
            must_say_all: false,
            must_sync: false,
            was_out: false,
        }
    }

    pub(super) fn start(&mut self, member_id: Str) {
        self.member_id = member_id;
        self.runs = true;
        self.drop_all();
    }

    pub(super) fn stop(&mut self) {
        self.runs = false;
        self.drop_all();
    }

    /// It is not in the group any more, and consumes nothing.
    fn drop_all(&mut self) {
        self.epoch = 0;
        self.told.clear();
        self.owned.clear();
        self.must_say_all = true;
        self.must_sync = false;
        self.was_out = false;
    }

    pub(super) fn read(&mut self, reads: Reads) {
        self.traits.reads = reads;
        self.must_say_all = true;
    }

    /// Gives up what it shall not hold, and begins with what it shall. If it has not heard what
    /// became of its last heartbeat, it begins with nothing: it may have said that it does not
    /// hold what it is about to begin with.
    pub(super) fn adopt(&mut self) {
        if self.must_say_all {
            self.owned.retain(|partition| self.told.contains(partition));
        } else {
            self.owned = self.told.clone();
            self.was_out &= self.must_sync;
        }
    }

    pub(super) fn heartbeat(&self, says_all: bool) -> Heartbeat {
        let says_all = says_all || self.must_say_all || self.epoch == 0;
        let base = Heartbeat {
            member_id: self.member_id.clone(),
            epoch: self.epoch,
            instance_id: self.instance_id.clone(),
            client_id: "client".into(),
            client_host: "/host".into(),
            ..Heartbeat::default()
        };
        if !says_all {
            return base;
        }
        Heartbeat {
            rebalance_timeout: Some(self.traits.rebalance),
            topic_names: Some(self.traits.reads.names()),
            pattern: Some(self.traits.reads.pattern()),
            assignor: self.traits.assignor.map(Str::from),
            owned: Some(self.owned.clone()),
            ..base
        }
    }

    pub(super) fn next(&self) -> Next {
        match self {
            _ if self.must_say_all || self.epoch == 0 => Next::Join,
            _ if self.must_sync => Next::Sync,
            _ => Next::Heartbeat,
        }
    }

    /// As it commits what it has read.
    pub(super) fn committer(&self) -> Committer {
        let member_id = self.member_id.clone();
        Committer { member_id, epoch: self.epoch, knows_protocol: true }
    }

    fn identity(&self) -> Identity {
        let instance_id = self.instance_id.clone();
        Identity { member_id: self.member_id.clone(), instance_id }
    }

    /// A static client comes without an id until it has been given one. What it was about to begin
    /// with it begins with no more.
    pub(super) fn join(&mut self, uuid: [u8; 16], topics: &Topics) -> Join {
        self.told.clone_from(&self.owned);
        let owned_partitions = by_name(&self.owned, topics);
        let said = consumer_protocol::Subscription {
            topics: self.traits.reads.names(),
            owned_partitions,
            ..Default::default()
        };
        let metadata = said.encode(1).expect("short names");
        let mut member = self.identity();
        if self.epoch == 0 && member.instance_id.is_some() {
            member.member_id = Str::default();
        }
        Join {
            token: Token(0),
            member,
            uuid,
            client_id: "client".into(),
            client_host: "/host".into(),
            session_timeout: Duration::from_secs(20),
            rebalance_timeout: self.traits.rebalance,
            protocol_type: "consumer".into(),
            protocols: vec![Protocol { name: "range".into(), metadata }],
            id_required: false,
            skips_assignment: true,
        }
    }

    pub(super) fn on_joined(&mut self, joined: Result<Joined, JoinRefusal>) {
        match joined {
            Ok(joined) => {
                (self.member_id, self.epoch) = (joined.member_id, joined.generation);
                (self.must_say_all, self.must_sync) = (false, true);
            }
            Err(refusal) => self.on_refused(refusal.code),
        }
    }

    pub(super) fn sync(&self) -> Sync {
        Sync {
            token: Token(0),
            member: self.identity(),
            generation: self.epoch,
            protocol_type: None,
            protocol: None,
            assignments: Vec::new(),
        }
    }

    pub(super) fn on_synced(&mut self, synced: Result<Synced, ErrorCode>, topics: &Topics) {
        match synced {
            Ok(synced) => {
                let told = consumer_protocol::Assignment::decode(synced.assignment).expect("ours");
                self.told = by_id(&told.assigned_partitions, topics);
                self.must_sync = false;
            }
            Err(code) => self.on_refused(code),
        }
    }

    pub(super) fn classic_heartbeat(&self) -> (Identity, i32) {
        (self.identity(), self.epoch)
    }

    pub(super) fn on_classic_heartbeat(&mut self, alive: Result<(), ErrorCode>) {
        if let Err(code) = alive {
            self.on_refused(code);
        }
    }

    fn on_refused(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::REBALANCE_IN_PROGRESS => self.must_say_all = true,
            ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::FENCED_INSTANCE_ID => self.drop_all(),
            code => panic!("{} is no answer to {self:?}", code.name()),
        }
    }

    /// It does not learn what became of its heartbeat.
    pub(super) fn on_lost(&mut self) {
        self.must_say_all = true;
    }

    pub(super) fn on_answer(&mut self, answer: Result<Beat, Refusal>) {
        match answer {
            Ok(beat) => {
                self.must_say_all = false;
                self.epoch = beat.epoch;
                if let Some(assignment) = beat.assignment {
                    self.told = assignment;
                }
            }
            Err(refusal) => match refusal.code() {
                ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::UNKNOWN_MEMBER_ID => self.drop_all(),
                // Its predecessor has not left: it tries again.
                ErrorCode::UNRELEASED_INSTANCE_ID => {}
                code => panic!("{} is no answer to {self:?}", code.name()),
            },
        }
    }
}

/// Without those of topics that are gone.
fn by_name(partitions: &Partitions, topics: &Topics) -> Vec<TopicPartitions> {
    let named = partitions.iter().filter_map(|(topic, index)| {
        let topic = topics.name(topic)?.clone();
        Some(TopicPartitions { topic, partitions: vec![*index] })
    });
    named.collect()
}
