//! What a shard is asked, in the words of groups.

use std::collections::HashSet;
use std::sync::Arc;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{BatchProducer, Outcome};
use klamm_protocol::wire::{Str, Uuid};

use crate::group::classic::{Description, Identity, Join, JoinRefusal, Joined, Sync, Synced};
use crate::group::consumer::{self, Beat};
use crate::group::offsets::{Committed, GroupOffsets};
use crate::partition::{Marker, Verification};
pub(crate) use crate::shard::Answer;
use crate::shard::mailbox::Refuse;

/// What became of each of several things, in their order.
pub(crate) type Outcomes = Vec<Result<(), ErrorCode>>;

/// Topics that are gone.
#[derive(Debug)]
pub(crate) struct Deleted {
    pub(super) ids: HashSet<Uuid>,
    pub(super) names: HashSet<Str>,
}

impl Deleted {
    pub(crate) fn of(topics: &[(Str, Uuid)]) -> Self {
        Self {
            ids: topics.iter().map(|(_, id)| *id).collect(),
            names: topics.iter().map(|(name, _)| name.clone()).collect(),
        }
    }
}

/// One question to a shard, and where its answer goes.
#[derive(Debug)]
pub(crate) enum Command {
    /// A client joins a group, or a member joins it again.
    Join(Str, Join, Answer<Result<Joined, JoinRefusal>>),
    /// A member asks for its assignment.
    Sync(Str, Sync, Answer<Synced>),
    /// A member lives.
    Heartbeat { group: Str, member: Identity, generation: i32, answer: Answer<()> },
    /// A member of the consumer protocol lives, or a client wants to be one.
    ConsumerHeartbeat(Str, consumer::Heartbeat, Answer<Result<Beat, Refused>>),
    /// A member of the consumer protocol goes.
    ConsumerLeave(Str, consumer::Leave, Answer<Result<(), Refused>>),
    /// What is a group of the consumer protocol like?
    ConsumerDescribe(Str, Answer<Result<consumer::Description, Refused>>),
    /// Members go.
    Leave(Str, Vec<Identity>, Answer<Outcomes>),
    /// A group has read so far.
    Commit(Commit, Answer<Outcomes>),
    /// A group has read so far, if a transaction is committed.
    CommitInTransaction(TransactionalCommit, Answer<Outcomes>),
    /// The transaction of a producer ends.
    EndTransaction(Marker, Outcome, Answer<()>),
    /// How far has a group read?
    Fetch(Str, Asker, Wanted, Answer<Vec<FetchedTopic>>),
    /// What a group has read of some partitions is to be forgotten.
    DeleteOffsets(Str, Vec<(Str, i32)>, Answer<Outcomes>),
    /// Which groups are there?
    List(Answer<Vec<Listed>>),
    /// What is a group of the classic protocol like?
    Describe(Str, Answer<Result<Description, Refused>>),
    /// A group is to be no more.
    DeleteGroup(Str, Answer<()>),
    /// Topics are gone, and with them what was committed for them.
    TopicsDeleted(Arc<Deleted>, Answer<()>),
    /// How many members are there, and how far have they read?
    Overview(Answer<Vec<Overview>>),
}

impl Refuse for Command {
    fn refuse(self, code: ErrorCode) {
        // Whoever asked may have gone.
        match self {
            Self::Join(_, _, answer) => drop(answer.send(Err(code))),
            Self::Sync(_, _, answer) => drop(answer.send(Err(code))),
            Self::Leave(_, _, answer)
            | Self::Commit(_, answer)
            | Self::CommitInTransaction(_, answer)
            | Self::DeleteOffsets(_, _, answer) => drop(answer.send(Err(code))),
            Self::ConsumerHeartbeat(_, _, answer) => drop(answer.send(Err(code))),
            Self::ConsumerLeave(_, _, answer) => drop(answer.send(Err(code))),
            Self::ConsumerDescribe(_, answer) => drop(answer.send(Err(code))),
            Self::Fetch(_, _, _, answer) => drop(answer.send(Err(code))),
            Self::List(answer) => drop(answer.send(Err(code))),
            Self::Describe(_, answer) => drop(answer.send(Err(code))),
            Self::Heartbeat { answer, .. }
            | Self::DeleteGroup(_, answer)
            | Self::EndTransaction(_, _, answer)
            | Self::TopicsDeleted(_, answer) => drop(answer.send(Err(code))),
            Self::Overview(answer) => drop(answer.send(Err(code))),
        }
    }
}

/// A group has read so far.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) group: Str,
    /// Who says so; empty for somebody outside the group.
    pub(crate) member: Identity,
    /// Negative for somebody outside the group.
    pub(crate) generation: i32,
    /// How long to keep it, if the client says so, in milliseconds.
    pub(crate) retention_ms: Option<i64>,
    /// Whether the request can be meant for a group of the consumer protocol.
    pub(crate) knows_epochs: bool,
    /// What to answer a member of a group that does not exist: it depends on the version.
    pub(crate) no_group: ErrorCode,
    pub(crate) offsets: Vec<NewOffset>,
}

/// A group has read so far, if a transaction is committed.
#[derive(Debug)]
pub(crate) struct TransactionalCommit {
    pub(crate) group: Str,
    /// Who says so; empty where membership is not checked.
    pub(crate) member: Identity,
    /// Negative where membership is not checked.
    pub(crate) generation: i32,
    /// Whose transaction it is.
    pub(crate) producer: BatchProducer,
    /// That the transaction includes the group's partition, if it was asked for.
    pub(crate) verification: Option<Verification>,
    pub(crate) offsets: Vec<NewOffset>,
}

/// What is to be told of offsets that an open transaction may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stability {
    /// What they are now.
    #[default]
    Any,
    /// That it is not certain.
    Required,
}

/// How far a partition of a topic that exists has been read.
#[derive(Debug)]
pub(crate) struct NewOffset {
    pub(crate) topic: Str,
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Str,
}

/// Somebody who asks for offsets. Groups of the consumer protocol tell members their own epochs'
/// only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asker {
    /// None for somebody outside the group.
    pub(crate) member_id: Option<Str>,
    /// Negative for somebody outside the group.
    pub(crate) epoch: i32,
    pub(crate) stability: Stability,
}

/// A refusal of which more is told than a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

/// Of what partitions somebody wants to know.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// Of all for which there is something to tell.
    All,
    /// Of these.
    These(Vec<(Str, Vec<i32>)>),
}

/// How far a group has read the partitions of a topic; none where nothing was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FetchedTopic {
    pub(crate) topic: Str,
    /// An error where it is not certain.
    pub(crate) partitions: Vec<(i32, Result<Option<Committed>, ErrorCode>)>,
}

/// A group, in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) group: Str,
    /// Kafka's name for the protocol that its members speak.
    pub(crate) kind: &'static str,
    pub(crate) protocol_type: Str,
    pub(crate) state: &'static str,
}

/// A group, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Overview {
    pub(crate) group: Str,
    pub(crate) members: usize,
    pub(crate) offsets: GroupOffsets,
}
