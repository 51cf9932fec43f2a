//! A transaction ends: it is decided how, the partitions are told, and that is it.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::Outcome;

use super::{Generation, Partitions, Producer, State, Transaction, Turn};

/// A producer ends its transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) producer: Producer,
    pub(crate) outcome: Outcome,
    pub(crate) generation: Generation,
}

/// What is to be written to partitions, so that they know how a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Markers {
    pub(crate) producer: Producer,
    pub(crate) outcome: Outcome,
    /// The partitions that have no marker yet.
    pub(crate) partitions: Partitions,
    /// In the second generation the marker's epoch is newer than that of what it ends.
    pub(crate) generation: Generation,
}

impl Transaction {
    /// Decides how the transaction ends. What the producer is from then on; in the second
    /// generation that is news.
    pub(crate) fn end(&mut self, end: End, turn: &mut Turn) -> Result<Producer, ErrorCode> {
        let may_end = match end.generation {
            Generation::First => self.may_end_first(end)?,
            Generation::Second => self.may_end_second(end)?,
        };
        if may_end {
            let ends_with_new_epoch = end.generation == Generation::Second;
            let is_last_epoch = ends_with_new_epoch && self.producer.is_exhausted();
            self.next_id = if is_last_epoch { Some(turn.take_id()?) } else { None };
            self.decide(end.outcome, end.generation, turn);
        }
        let next = self.next_id.map(|id| Producer { id, epoch: 0 });
        Ok(next.unwrap_or(self.producer))
    }

    /// Whether a producer of the first generation ends its transaction now; not if it has.
    fn may_end_first(&self, end: End) -> Result<bool, ErrorCode> {
        self.check(end.producer)?;
        self.check_settled()?;
        match self.state {
            State::Ongoing => Ok(true),
            State::Complete(outcome) if outcome == end.outcome => Ok(false),
            _ => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }

    /// Whether a producer of the second generation ends its transaction now; not if it has, under
    /// its last epoch. It may abort what it has not begun.
    fn may_end_second(&self, end: End) -> Result<bool, ErrorCode> {
        self.check_settled()?;
        if let State::Complete(outcome) = self.state
            && self.has_ended_as(end.producer)
        {
            let is_repeat = outcome == end.outcome;
            return if is_repeat { Ok(false) } else { Err(ErrorCode::INVALID_TXN_STATE) };
        }
        self.check(end.producer)?;
        let ends_something = self.state == State::Ongoing || end.outcome == Outcome::Abort;
        if ends_something { Ok(true) } else { Err(ErrorCode::INVALID_TXN_STATE) }
    }

    /// Whether the producer before the last end was this one. Only an end of the second generation
    /// brings the epoch that its producer goes on with: else it is a newer producer's.
    fn has_ended_as(&self, producer: Producer) -> bool {
        if self.generation != Generation::Second {
            return false;
        }
        let (now, before) = (self.producer, producer);
        // The last epoch of all only a fence brings, which for want of another is one higher then.
        let is_given = now.epoch < i16::MAX;
        let has_next_epoch = is_given && before.epoch.checked_add(1) == Some(now.epoch);
        let is_same = now.id == before.id && has_next_epoch;
        let was_replaced = self.previous_id == Some(before.id) && before.is_exhausted();
        is_same || (was_replaced && now.epoch == 0)
    }

    /// Aborts the open transaction in spite of its producer, which is fenced.
    pub(super) fn fence(&mut self, turn: &mut Turn) {
        // This epoch is given to nobody. The one that the end brings is then two higher than the
        // producer's, so that the producer does not take the end for its own.
        self.producer = self.producer.with_next_epoch();
        self.decide(Outcome::Abort, Generation::Second, turn);
        self.last_epoch = None;
    }

    /// Aborts the transaction if it has been open for too long.
    pub(crate) fn expire(&mut self, turn: &mut Turn) {
        if self.deadline_ms().is_some_and(|deadline| deadline <= turn.now_ms) {
            self.fence(turn);
        }
    }

    /// When the open transaction will have been open for too long, by the wall clock.
    pub(crate) fn deadline_ms(&self) -> Option<i64> {
        // Kafka says like this that a transaction may be open for ever.
        let is_bounded = self.state == State::Ongoing && self.timeout_ms != i32::MAX;
        let started_ms = self.started_ms.filter(|_| is_bounded)?;
        Some(started_ms.saturating_add(self.timeout_ms.into()))
    }

    fn decide(&mut self, outcome: Outcome, generation: Generation, turn: &mut Turn) {
        if self.state != State::Ongoing {
            self.started_ms = Some(turn.now_ms);
        }
        let producer = match generation {
            Generation::First => self.producer,
            Generation::Second => {
                self.last_epoch = Some(self.producer.epoch);
                self.producer.with_next_epoch()
            }
        };
        self.generation = generation;
        self.enter(State::Prepare(outcome), producer, turn);
        self.complete(turn);
    }

    /// The markers that are to be written before the transaction is complete, if its end is
    /// decided.
    pub(crate) fn markers(&self) -> Option<Markers> {
        let State::Prepare(outcome) = self.state else { return None };
        let partitions = self.partitions.clone();
        Some(Markers { producer: self.producer, outcome, partitions, generation: self.generation })
    }

    /// The marker of a partition is durable, or the partition is gone.
    pub(crate) fn marked(&mut self, producer: Producer, topic: &str, index: i32, turn: &mut Turn) {
        if !matches!(self.state, State::Prepare(_)) || producer != self.producer {
            return;
        }
        if let Some(indexes) = self.partitions.get_mut(topic) {
            indexes.remove(&index);
            if indexes.is_empty() {
                self.partitions.remove(topic);
            }
        }
        self.complete(turn);
    }

    /// Completes the transaction if all of its partitions have their markers.
    fn complete(&mut self, turn: &mut Turn) {
        let State::Prepare(outcome) = self.state else { return };
        if !self.partitions.is_empty() {
            return;
        }
        let next = self.next_id.take().map(|id| Producer { id, epoch: 0 });
        let producer = next.unwrap_or(self.producer);
        self.enter(State::Complete(outcome), producer, turn);
    }
}
