//! One transactional id, as a pure machine: requests and the time in, records and answers out.
//!
//! It has no task, no clock, no socket and no log. The coordinator that drives it
//!
//! 1. calls one of the methods that take a request, with the time,
//! 2. appends the [`records`](Turn::records) that come of it to the log,
//! 3. lets the answer go once they are durable, and all that was appended before them,
//! 4. after each call that gave records, and at a start, has the [`markers`](Transaction::markers)
//!    written once the records are durable, and tells of each that is ([`marked`]), and
//! 5. calls [`expire`](Transaction::expire) when the time of [`deadline_ms`] has come.
//!
//! ```text
//!                 add               end, expire, init             all are marked
//!  ┌───────┐ ───────────▶ ┌─────────┐ ───────────▶ ┌─────────┐ ───────────▶ ┌──────────┐
//!  │ Empty │              │ Ongoing │              │ Prepare │              │ Complete │
//!  └───────┘ ◀─────┐      └─────────┘              └─────────┘              └──────────┘
//!      ▲           │           ▲                   commit or abort, which      │    │
//!      └── init ───┘           │                   nothing changes any more    │    │
//!      ▲                       └────────────────────── add ────────────────────┘    │
//!      └────────────────────────────────────────────── init ────────────────────────┘
//! ```
//!
//! From Empty and Complete, a producer of the second generation may abort what it has not begun: it
//! gets a new epoch by that.
//!
//! Kafka's other two states are not here. Dead is the absence of the id. PrepareEpochFence stands
//! there for the moment between the new epoch and the decision to abort, which are one step here.
//!
//! # Generations
//!
//! A producer of the first generation keeps its epoch from one transaction to the next; a late
//! request of one may fall into the next. In the second (KIP-890) every end of a transaction gives
//! the producer a new epoch. A client says with each request which generation it is of.
//!
//! # Invariants
//!
//! - The epoch of a producer id never goes down, and an id that was left is never taken again.
//! - What is in state Prepare ends as it says, whatever happens: it is completed by its markers
//!   alone.
//! - Except for the last epoch, which only helps a client that repeats itself, everything follows
//!   from the last record.
//! - Nothing kept here shares a request's buffer.
//!
//! The rules, and the codes of refusals, are those of `TransactionCoordinator` and
//! `TransactionMetadata` in Kafka 4.3, but for one: there a request is told to come back while the
//! record of another is on its way to the disk. Here it is taken, and its answer waits for both.
//!
//! [`marked`]: Transaction::marked
//! [`deadline_ms`]: Transaction::deadline_ms

mod end;
mod init;
mod partitions;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use end::{End, Markers};
pub(crate) use init::Init;
pub(crate) use partitions::Partitions;
pub(crate) use snapshot::Snapshot;
pub(crate) use state::State;

use klamm_protocol::error_code::ErrorCode;

/// A producer: its id, and how often that was given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    /// -1 where the id was not given to anybody yet.
    pub(crate) epoch: i16,
}

impl Producer {
    /// Whether the id is used up: the last epoch is kept for fencing whoever has the one before.
    fn is_exhausted(self) -> bool {
        self.epoch >= i16::MAX - 1
    }

    fn with_next_epoch(self) -> Self {
        Self { epoch: self.epoch.saturating_add(1), ..self }
    }
}

/// Which rules a client follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Generation {
    /// The producer keeps its epoch.
    #[default]
    First,
    /// The producer gets a new epoch with every end of a transaction.
    Second,
}

/// One call: when it comes, what it may take, and what comes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// The time, by the wall clock.
    pub(crate) now_ms: i64,
    /// A producer id that nobody has; gone if it was needed.
    pub(crate) spare_id: Option<i64>,
    /// What the transactional id has come to, to be written in this order before the answer leaves.
    pub(crate) records: Vec<Snapshot>,
}

impl Turn {
    /// A call that takes nothing.
    pub(crate) fn at(now_ms: i64) -> Self {
        Self { now_ms, ..Self::default() }
    }

    /// Takes the producer id that nobody has.
    ///
    /// # Errors
    /// There is none now.
    pub(super) fn take_id(&mut self) -> Result<i64, ErrorCode> {
        self.spare_id.take().ok_or(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)
    }
}

/// One transactional id, and its transaction if there is any.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    producer: Producer,
    /// The epoch before the present one, if that was given to the same client: what it may still
    /// come with if it did not hear of the present one. Not in the record.
    last_epoch: Option<i16>,
    /// The producer id before the last record.
    previous_id: Option<i64>,
    /// What the producer's id will be when the transaction is complete, if it changes.
    next_id: Option<i64>,
    /// How long a transaction may be open.
    timeout_ms: i32,
    state: State,
    /// What takes part in the transaction, and has no marker yet.
    partitions: Partitions,
    /// When the last transaction began, by the wall clock.
    started_ms: Option<i64>,
    /// When the last record was made, by the wall clock.
    updated_ms: i64,
    /// Of the client that last added to a transaction or ended it.
    generation: Generation,
}

impl Transaction {
    /// A transactional id that has come up. Its first [`init`](Self::init) gives the producer id
    /// out.
    pub(crate) fn new(producer_id: i64) -> Self {
        Self {
            producer: Producer { id: producer_id, epoch: -1 },
            last_epoch: None,
            previous_id: None,
            next_id: None,
            timeout_ms: 0,
            state: State::Empty,
            partitions: Partitions::new(),
            started_ms: None,
            updated_ms: 0,
            generation: Generation::First,
        }
    }

    /// Whether the id may be forgotten, if it was last used before then.
    pub(crate) fn is_unused_since(&self, before_ms: i64) -> bool {
        let is_at_rest = matches!(self.state, State::Empty | State::Complete(_));
        is_at_rest && self.updated_ms <= before_ms
    }

    /// Refuses everybody but the present producer.
    fn check(&self, producer: Producer) -> Result<(), ErrorCode> {
        if producer.id != self.producer.id {
            Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
        } else if producer.epoch != self.producer.epoch {
            Err(ErrorCode::PRODUCER_FENCED)
        } else {
            Ok(())
        }
    }

    /// Asks everybody to come back while a transaction is being completed.
    fn check_settled(&self) -> Result<(), ErrorCode> {
        match self.state {
            State::Prepare(_) => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            State::Empty | State::Ongoing | State::Complete(_) => Ok(()),
        }
    }

    /// Comes into a state under a producer.
    fn enter(&mut self, state: State, producer: Producer, turn: &mut Turn) {
        self.previous_id = Some(self.producer.id);
        self.producer = producer;
        self.state = state;
        self.updated_ms = turn.now_ms;
        turn.records.push(self.snapshot());
    }
}
