//! What a shard is asked, in the words of transactions.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::shard::Answer;
use crate::shard::mailbox::Refuse;
use crate::txn::machine::{End, Generation, Init, Partitions, Producer, Snapshot, State};

/// Whether each of several partitions takes part in a transaction, in their order.
pub(crate) type Outcomes = Vec<Result<(), ErrorCode>>;

/// One question to a shard, and where its answer goes.
#[derive(Debug)]
pub(crate) enum Command {
    /// A client wants to be the producer of a transactional id.
    Init(Str, Init, Answer<Producer>),
    /// A producer adds partitions to its transaction.
    Add(Str, Add, Answer<()>),
    /// Do these partitions take part in the transaction of a producer?
    Verify(Str, Producer, Vec<(Str, i32)>, Answer<Outcomes>),
    /// A producer ends its transaction.
    End(Str, End, Answer<Producer>),
    /// The marker of a partition is durable, or the partition is gone.
    Marked { transactional_id: Str, producer: Producer, topic: Str, partition: i32 },
    /// What is a transactional id like?
    Describe(Str, Answer<Snapshot>),
    /// Which transactional ids are there?
    List(Answer<Vec<Listed>>),
}

/// A producer adds partitions to its transaction.
#[derive(Debug)]
pub(crate) struct Add {
    pub(crate) producer: Producer,
    pub(crate) partitions: Partitions,
    pub(crate) generation: Generation,
    /// Whether to wait while the end of the last transaction is being told.
    pub(crate) is_patient: bool,
}

/// A transactional id, in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) transactional_id: Str,
    pub(crate) producer_id: i64,
    pub(crate) state: State,
    /// When its last transaction began, in milliseconds since 1970.
    pub(crate) started_ms: Option<i64>,
}

impl Refuse for Command {
    fn refuse(self, code: ErrorCode) {
        // Whoever asked may have gone.
        match self {
            Self::Init(_, _, answer) | Self::End(_, _, answer) => drop(answer.send(Err(code))),
            Self::Add(_, _, answer) => drop(answer.send(Err(code))),
            Self::Verify(_, _, _, answer) => drop(answer.send(Err(code))),
            Self::Describe(_, answer) => drop(answer.send(Err(code))),
            Self::List(answer) => drop(answer.send(Err(code))),
            // A shard that reads its log anew has its markers written anew.
            Self::Marked { .. } => {}
        }
    }
}

impl Command {
    /// Whether it may need a producer id that nobody has.
    pub(super) fn may_take_id(&self) -> bool {
        matches!(self, Self::Init(..) | Self::End(..))
    }
}
