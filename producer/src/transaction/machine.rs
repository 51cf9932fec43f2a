//! What a transactional producer may do next, and what answers mean for it. Pure: no task, no
//! socket, no clock.
//!
//! ```text
//! Ready ──begin──▶ Open ──end──▶ Ending ──ended──▶ Ready
//!                    any of them ──what cannot be mended──▶ Fatal
//! ```
//!
//! A failure in an open transaction is kept: from then on it takes nothing more, and what was to
//! be its commit becomes an abort.
//!
//! # Invariants
//!
//! - In the first generation nothing is sent to a partition, nor offsets of a group, before the
//!   coordinator has included it.
//! - The end is asked for when nothing of the transaction is under way any more, and from then on
//!   nothing of it sets out: what came late would become part of the next one.
//! - What belongs to a transaction names it by its number; no two have the same, and once one takes
//!   nothing more it never does again.
//! - The producer's id and epoch change between transactions only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use klamm_client::{Error, Result, Subject};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::BatchProducer;
use klamm_protocol::wire::Str;

use super::meaning::{Meaning, is_fatal_for_batch, meaning};

/// A partition, by its topic and its number there.
pub(crate) type Place = (Str, i32);

/// Which protocol of transactions is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Generation {
    /// KIP-98: partitions and groups are announced to the coordinator.
    First,
    /// KIP-890: they join by being written to, and each transaction has an epoch of its own.
    Second,
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Commit,
    Abort,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Machine {
    id: Str,
    producer: BatchProducer,
    generation: Generation,
    state: State,
    /// Of the transaction that is open or ending, or of the last one. The first has 1.
    number: u64,
    /// No transaction begins any more.
    is_closing: bool,
    /// Why the open transaction can only be aborted.
    failure: Option<Arc<Error>>,
    /// What the coordinator is to include, and whether it has. First generation only.
    partitions: BTreeMap<Place, bool>,
    groups: BTreeSet<Str>,
    reach: Reach,
    is_including: bool,
    /// Its end is being asked for.
    is_concluded: bool,
    /// How many times offsets are being committed.
    committing_offsets: usize,
    /// Somebody sees to the end.
    is_seen_to: bool,
    /// Sequence numbers are in doubt, and start anew in another epoch.
    needs_epoch: bool,
}

#[derive(Debug)]
enum State {
    Ready,
    Open,
    Ending(End),
    Fatal(Error),
}

/// What the coordinator knows of the open transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Nothing,
    Perhaps,
    Something,
}

impl Machine {
    /// A producer that has its id, and no transaction yet.
    pub(crate) fn new(id: Str, producer: BatchProducer, generation: Generation) -> Self {
        Self {
            id,
            producer,
            generation,
            state: State::Ready,
            number: 0,
            is_closing: false,
            failure: None,
            partitions: BTreeMap::new(),
            groups: BTreeSet::new(),
            reach: Reach::Nothing,
            is_including: false,
            is_concluded: false,
            committing_offsets: 0,
            is_seen_to: false,
            needs_epoch: false,
        }
    }

    /// Under which id and epoch it sends.
    pub(crate) fn producer(&self) -> BatchProducer {
        self.producer
    }

    pub(crate) fn producer_and_generation(&self) -> (BatchProducer, Generation) {
        (self.producer, self.generation)
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether a transaction is on its way to its end.
    pub(crate) fn ending(&self) -> Option<End> {
        match self.state {
            State::Ending(end) => Some(end),
            _ => None,
        }
    }

    /// Whether no transaction is open or ending, and none is going to be if it cannot go on.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.state, State::Ready | State::Fatal(_))
    }

    /// Why the producer cannot go on, if it cannot.
    pub(crate) fn fatal(&self) -> Option<&Error> {
        match &self.state {
            State::Fatal(error) => Some(error),
            _ => None,
        }
    }

    /// Opens a transaction, and gives its number.
    ///
    /// # Errors
    /// One is open already, or the producer cannot go on.
    pub(crate) fn begin(&mut self) -> Result<u64> {
        match &self.state {
            State::Ready if self.is_closing => Err(Error::Closed),
            State::Ready => {
                self.state = State::Open;
                self.number += 1;
                Ok(self.number)
            }
            State::Open | State::Ending(_) => Err(Error::InTransaction { subject: self.subject() }),
            State::Fatal(error) => Err(error.clone()),
        }
    }

    /// Whether this transaction takes more.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) fn check(&self, number: u64) -> Result<()> {
        match (&self.state, &self.failure) {
            (State::Fatal(error), _) => Err(error.clone()),
            _ if number != self.number => Err(Error::Closed),
            (_, Some(failure)) => Err(must_abort(failure)),
            (State::Open, None) => Ok(()),
            (State::Ready | State::Ending(_), None) => Err(Error::Closed),
        }
    }

    /// What a coordinator was asked for failed and will not be tried again. Gives the error that
    /// tells what this means for the transaction.
    pub(crate) fn fail(&mut self, error: Error) -> Error {
        let is_fatal = meaning(&error) == Meaning::Fatal;
        self.fail_as(error, is_fatal)
    }

    /// A batch failed and will not be tried again. Gives the error that tells what this means for
    /// the transaction.
    pub(crate) fn fail_batch(&mut self, error: Error) -> Error {
        let is_fatal = is_fatal_for_batch(&error);
        self.fail_as(error, is_fatal)
    }

    fn fail_as(&mut self, error: Error, is_fatal: bool) -> Error {
        if let State::Fatal(first) = &self.state {
            return first.clone();
        }
        if error.requires_abort() {
            return error;
        }
        if is_fatal {
            return self.give_up(error);
        }
        let error = Arc::new(error);
        if !self.is_settled() {
            self.failure.get_or_insert_with(|| Arc::clone(&error));
        }
        must_abort(&error)
    }

    /// Begins no transaction any more, and aborts the one that is open.
    pub(crate) fn close(&mut self) {
        self.is_closing = true;
        self.end(self.number, End::Abort);
    }

    /// Goes no further, for the producer is closed.
    pub(crate) fn cut(&mut self) {
        self.give_up(Error::Closed);
    }

    /// A batch was given up that may be in the log, or its place in the sequence is lost.
    pub(crate) fn lose_sequence(&mut self) {
        self.needs_epoch = true;
    }

    /// The number of the last transaction whose batches are not sent any more. What is said of a
    /// transaction once stays so.
    pub(crate) fn forsaken_through(&self) -> u64 {
        let goes_on = matches!(self.state, State::Open | State::Ending(End::Commit))
            && self.failure.is_none()
            && !self.is_concluded;
        if goes_on { self.number - 1 } else { self.number }
    }

    /// With which error batches of a forsaken transaction are given up.
    pub(crate) fn forsakes(&self, number: u64, subject: Subject) -> Error {
        match (&self.state, &self.failure) {
            (State::Fatal(error), _) => error.clone(),
            (_, Some(failure)) if number == self.number => must_abort(failure),
            _ => Error::Aborted { subject },
        }
    }

    /// Whether batches of this transaction may be sent to a partition now. If not, it is wanted.
    pub(crate) fn admits(&mut self, number: u64, topic: &Str, partition: i32) -> bool {
        if number <= self.forsaken_through() {
            return false;
        }
        if self.generation == Generation::Second {
            return true;
        }
        let included = self.partitions.entry((topic.clone(), partition)).or_insert(false);
        *included
    }

    /// Something is on its way that makes the transaction known to the coordinator.
    pub(crate) fn reach_out(&mut self) {
        self.reach = self.reach.max(Reach::Perhaps);
    }

    /// The partitions that the coordinator is to include now. They are under way until
    /// [`included`](Self::included).
    pub(crate) fn next_inclusion(&mut self) -> Option<Vec<Place>> {
        if self.is_including || self.number <= self.forsaken_through() {
            return None;
        }
        let wanted = self.partitions.iter().filter(|(_, included)| !**included);
        let wanted: Vec<_> = wanted.map(|(place, _)| place.clone()).collect();
        if wanted.is_empty() {
            return None;
        }
        self.is_including = true;
        self.reach_out();
        Some(wanted)
    }

    /// What the coordinator said of an inclusion.
    pub(crate) fn included(&mut self, places: Vec<Place>, outcome: Result<()>) {
        self.is_including = false;
        match outcome {
            Ok(()) => {
                self.reach = Reach::Something;
                self.partitions.extend(places.into_iter().map(|place| (place, true)));
            }
            Err(error) => {
                self.doubt(&error);
                self.fail(error);
            }
        }
    }

    /// Offsets are going to be committed. They are under way until
    /// [`offsets_committed`](Self::offsets_committed).
    ///
    /// # Errors
    /// The transaction takes no more.
    pub(crate) fn begin_offsets(&mut self, number: u64) -> Result<()> {
        self.check(number)?;
        self.committing_offsets += 1;
        self.reach_out();
        Ok(())
    }

    /// Whether the coordinator has yet to be told of a group.
    pub(crate) fn must_announce(&self, group: &Str) -> bool {
        self.generation == Generation::First && !self.groups.contains(group)
    }

    /// The coordinator has been told of a group.
    pub(crate) fn announced(&mut self, group: Str) {
        self.reach = Reach::Something;
        self.groups.insert(group);
    }

    /// What came of committing offsets.
    pub(crate) fn offsets_committed(&mut self, outcome: Result<()>) -> Result<()> {
        self.committing_offsets -= 1;
        outcome.map_err(|error| {
            self.doubt(&error);
            self.fail(error)
        })
    }

    /// What was asked for in vain may yet be done: it must not find the next transaction under
    /// the same epoch.
    fn doubt(&mut self, error: &Error) {
        self.needs_epoch |= error.possibly_written();
    }

    /// Takes no more, and goes to the end. Tells whether there is anything to end.
    pub(crate) fn end(&mut self, number: u64, end: End) -> bool {
        let is_open = matches!(self.state, State::Open) && number == self.number;
        if is_open {
            self.state = State::Ending(end);
        }
        is_open
    }

    /// Whether the caller is to see to the end now: that is said once.
    pub(crate) fn take_end(&mut self) -> bool {
        self.ending().is_some() && !std::mem::replace(&mut self.is_seen_to, true)
    }

    /// Whether nothing but batches is under way.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.is_including && self.committing_offsets == 0
    }

    /// Lets nothing of the transaction set out any more, if nothing is under way; otherwise tells
    /// that it is too early.
    pub(crate) fn conclude(&mut self) -> bool {
        self.is_concluded = self.is_quiet();
        self.is_concluded
    }

    /// How the coordinator is to end the transaction, if it knows of it.
    pub(crate) fn decision(&self) -> Option<End> {
        let end = self.ending()?;
        match (self.reach, &self.failure) {
            (Reach::Nothing, _) => None,
            (_, Some(_)) => Some(End::Abort),
            (_, None) => Some(end),
        }
    }

    /// Whether a refusal to end it says no more than that the coordinator never heard of it.
    pub(crate) fn was_unknown(&self, error: &Error) -> bool {
        self.reach < Reach::Something
            && self.decision() == Some(End::Abort)
            && error.code() == Some(ErrorCode::INVALID_TXN_STATE)
    }

    /// Whether the next transaction needs another epoch than the coordinator gave by `producer`.
    pub(crate) fn needs_epoch(&self, producer: BatchProducer) -> bool {
        self.needs_epoch && producer == self.producer
    }

    /// The transaction is over. The next one goes under `producer`, in this generation. Gives
    /// what a commit is told.
    pub(crate) fn ended(&mut self, outcome: Result<(BatchProducer, Generation)>) -> Result<()> {
        let failure = self.failure.take();
        let reached = match outcome {
            Ok((producer, generation)) if self.ending().is_some() => {
                (self.producer, self.generation) = (producer, generation);
                self.state = State::Ready;
                Ok(())
            }
            Ok(_) => self.check(self.number),
            // What an end cannot get over, nothing can.
            Err(error) => Err(self.give_up(error)),
        };
        self.partitions.clear();
        self.groups.clear();
        self.reach = Reach::Nothing;
        (self.is_seen_to, self.is_concluded, self.needs_epoch) = (false, false, false);
        match failure {
            Some(failure) if reached.is_ok() => Err(must_abort(&failure)),
            _ => reached,
        }
    }

    /// Goes no further. The first reason stands.
    fn give_up(&mut self, error: Error) -> Error {
        if let State::Fatal(first) = &self.state {
            return first.clone();
        }
        let error = match fenced(error, self.subject()) {
            error if error.is_fatal() => error,
            error => Error::ProducerLost { source: Arc::new(error) },
        };
        self.state = State::Fatal(error.clone());
        error
    }

    fn subject(&self) -> Subject {
        Subject::Name(self.id.clone())
    }
}

fn must_abort(failure: &Arc<Error>) -> Error {
    Error::MustAbort { source: Arc::clone(failure) }
}

/// Coordinators before Kafka 2.7 say it by the epoch.
fn fenced(error: Error, subject: Subject) -> Error {
    match (error.code(), error.origin()) {
        (Some(ErrorCode::INVALID_PRODUCER_EPOCH), Some(origin)) => {
            origin.error(ErrorCode::PRODUCER_FENCED, subject)
        }
        _ => error,
    }
}
