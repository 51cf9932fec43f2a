//! What a partition remembers of producers (KIP-98), so that a retry is not stored twice, a lost
//! batch is noticed, and a transaction counts as a whole.
//!
//! Pure: no lock, no clock, no file. Source of the rules: Kafka's `ProducerAppendInfo` and
//! `ProducerStateEntry`.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};

use klamm_protocol::records::BatchHeader;
use klamm_storage::AbortedTransaction;

use super::transactions::{Transactions, Verification};

/// Batches remembered per producer: as many as a client may have in flight.
pub(crate) const BATCHES_MAX: usize = 5;

/// The producers that have written to one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Producers {
    entries: HashMap<i64, Entry>,
    pub(super) transactions: Transactions,
}

/// One producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) epoch: i16,
    /// The newest batches, oldest first.
    pub(crate) batches: VecDeque<Appended>,
    /// When it last wrote, as the broker's wall clock said.
    pub(crate) last_write_ms: i64,
    /// Where its open transaction begins.
    pub(crate) open: Option<i64>,
    /// Of the coordinator that last ended a transaction of it; -1 where unknown.
    pub(crate) coordinator_epoch: i32,
}

/// A batch that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) timestamp: i64,
}

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is new and in order.
    Append,
    /// It is stored already: here.
    Duplicate(Appended),
}

/// The end of a producer's transaction, as its coordinator tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    /// Whether the epoch came with the end, so that nothing was written under it yet (KIP-890).
    pub(crate) has_new_epoch: bool,
    pub(crate) coordinator_epoch: i32,
    /// Whether this broker's coordinator ends the transaction, not an administrator.
    pub(crate) is_own: bool,
}

/// What is to be done with a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkerVerdict {
    Append,
    /// It is there already.
    Duplicate,
}

/// Why a batch must not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The producer has been replaced by a newer one.
    #[error("producer {id} has epoch {current}, and this batch has the older epoch {epoch}")]
    OldEpoch { id: i64, epoch: i16, current: i16 },
    /// Batches before this one are missing.
    #[error("producer {id} sent sequence {sequence} where {expected} was due")]
    OutOfOrder { id: i64, sequence: i32, expected: i32 },
    /// It is not known that the producer's transaction includes the partition.
    #[error("producer {id} has no transaction here")]
    NoTransaction { id: i64 },
    /// The producer has a transaction open, and this does not belong to it.
    #[error("producer {id} sent a batch outside of its transaction")]
    InTransaction { id: i64 },
    /// The coordinator has been replaced.
    #[error("a coordinator of epoch {epoch} ends a transaction that {current} has ended")]
    OldCoordinator { epoch: i32, current: i32 },
}

impl Producers {
    /// Judges a batch before it is stored. Batches without a producer id always pass.
    ///
    /// A producer that is not known may begin anywhere, since its state may have expired; but not in
    /// a transaction with an epoch of its own: there a batch before this one is still to come
    /// (KAFKA-18202). A transaction begins only with a verification that still counts.
    pub(crate) fn judge(
        &self,
        batch: &BatchHeader,
        verification: Option<Verification>,
    ) -> Result<Verdict, Refusal> {
        if !batch.has_producer() {
            return Ok(Verdict::Append);
        }
        let (id, epoch, sequence) = (batch.producer_id, batch.producer_epoch, batch.base_sequence);
        let known = self.entries.get(&id);
        // A coordinator that writes for a producer has no sequence.
        let has_sequence = sequence >= 0;
        if let Some(stored) = known.filter(|_| has_sequence).and_then(|it| it.find(batch)) {
            return Ok(Verdict::Duplicate(*stored));
        }
        if let Some(Entry { epoch: current, .. }) = known.filter(|entry| epoch < entry.epoch) {
            return Err(Refusal::OldEpoch { id, epoch, current: *current });
        }
        let lowest = |verification| self.transactions.lowest_sequence(id, epoch, verification);
        let lowest = verification.and_then(lowest);
        if self.begins_transaction(batch) && lowest.is_none() {
            return Err(Refusal::NoTransaction { id });
        }
        let expected = match known {
            Some(entry) if epoch == entry.epoch => entry.next_sequence(),
            None if !verification.is_some_and(Verification::begins_at_zero) => {
                lowest.unwrap_or(sequence)
            }
            Some(_) | None => 0,
        };
        if has_sequence && sequence != expected {
            return Err(Refusal::OutOfOrder { id, sequence, expected });
        }
        let Some(entry) = known else { return Ok(Verdict::Append) };
        if entry.open.is_some() && !batch.attributes.is_transactional() {
            return Err(Refusal::InTransaction { id });
        }
        Ok(Verdict::Append)
    }

    /// Whether a batch is the first of a transaction, should it be stored.
    pub(crate) fn begins_transaction(&self, batch: &BatchHeader) -> bool {
        let is_transactional = batch.has_producer() && batch.attributes.is_transactional();
        is_transactional && !self.has_open(batch.producer_id, batch.producer_epoch)
    }

    /// Whether a producer has a transaction open.
    pub(crate) fn has_open(&self, id: i64, epoch: i16) -> bool {
        let is_open = |entry: &Entry| entry.open.is_some() && entry.epoch == epoch;
        self.entries.get(&id).is_some_and(is_open)
    }

    /// Of a marker, the epoch of the coordinator under which it is stored. There is no coordinator
    /// but this broker's: an administrator who has ended a transaction under a higher epoch does
    /// not replace it.
    pub(crate) fn coordinator_epoch(&self, marker: &Marker) -> i32 {
        let known = self.entries.get(&marker.producer_id).map(|entry| entry.coordinator_epoch);
        known.filter(|_| marker.is_own).unwrap_or(-1).max(marker.coordinator_epoch)
    }

    /// Judges the end of a transaction before it is stored.
    pub(crate) fn judge_marker(&self, marker: &Marker) -> Result<MarkerVerdict, Refusal> {
        let Some(entry) = self.entries.get(&marker.producer_id) else {
            return Ok(MarkerVerdict::Append);
        };
        let (epoch, current) = (marker.coordinator_epoch, entry.coordinator_epoch);
        if epoch < current {
            return Err(Refusal::OldCoordinator { epoch, current });
        }
        let (id, epoch, current) = (marker.producer_id, marker.producer_epoch, entry.epoch);
        match epoch.cmp(&current) {
            Ordering::Less => Err(Refusal::OldEpoch { id, epoch, current }),
            Ordering::Equal if marker.has_new_epoch && entry.open.is_none() => {
                Ok(MarkerVerdict::Duplicate)
            }
            Ordering::Equal if marker.has_new_epoch => {
                Err(Refusal::OldEpoch { id, epoch, current })
            }
            Ordering::Equal | Ordering::Greater => Ok(MarkerVerdict::Append),
        }
    }

    /// Remembers a batch that was stored at its header's offsets. Ends of transactions are not
    /// meant.
    pub(crate) fn stored(&mut self, batch: &BatchHeader, base_offset: i64, now_ms: i64) {
        if !batch.has_producer() || batch.producer_epoch < 0 {
            return;
        }
        let begins = self.begins_transaction(batch);
        let entry = self.entry(batch.producer_id, batch.producer_epoch, now_ms);
        if batch.base_sequence >= 0 {
            if entry.batches.len() == BATCHES_MAX {
                entry.batches.pop_front();
            }
            entry.batches.push_back(Appended {
                base_sequence: batch.base_sequence,
                last_sequence: batch.last_sequence(),
                base_offset,
                last_offset: base_offset + i64::from(batch.last_offset_delta),
                timestamp: batch.max_timestamp,
            });
        }
        if begins && entry.open.is_none() {
            entry.open = Some(base_offset);
            self.transactions.open(batch.producer_id, batch.producer_epoch, base_offset);
        }
    }

    /// What is to be noted if a marker at an offset aborts a transaction; `None` if there is none
    /// to abort.
    pub(crate) fn aborted_by(&self, marker: &Marker, offset: i64) -> Option<AbortedTransaction> {
        let first_offset = self.entries.get(&marker.producer_id)?.open?;
        let next = self.transactions.first_open_but(first_offset);
        Some(AbortedTransaction {
            producer_id: marker.producer_id,
            first_offset,
            last_offset: offset,
            stable_offset: next.unwrap_or(offset + 1),
        })
    }

    /// Remembers the end of a transaction that was stored at an offset.
    pub(crate) fn marked(&mut self, marker: &Marker, offset: i64, now_ms: i64) {
        let entry = self.entry(marker.producer_id, marker.producer_epoch, now_ms);
        entry.coordinator_epoch = entry.coordinator_epoch.max(marker.coordinator_epoch);
        let first = entry.open.take();
        self.transactions.invalidate(marker.producer_id);
        if let Some(first) = first {
            self.transactions.end(first, offset);
        }
    }

    /// The last transaction of a producer was ended by a coordinator of this epoch.
    pub(crate) fn ended_by(&mut self, producer_id: i64, coordinator_epoch: i32) {
        if let Some(entry) = self.entries.get_mut(&producer_id) {
            entry.coordinator_epoch = entry.coordinator_epoch.max(coordinator_epoch);
        }
    }

    /// What is known of a producer, which writes now.
    fn entry(&mut self, id: i64, epoch: i16, now_ms: i64) -> &mut Entry {
        let fresh = || Entry {
            epoch,
            batches: VecDeque::new(),
            last_write_ms: now_ms,
            open: None,
            coordinator_epoch: -1,
        };
        let entry = self.entries.entry(id).or_insert_with(fresh);
        if entry.epoch != epoch {
            entry.epoch = epoch;
            entry.batches.clear();
        }
        entry.last_write_ms = now_ms;
        entry
    }

    /// Forgets producers that have not written since `before_ms`, but for those whose transactions
    /// are open.
    pub(crate) fn expire(&mut self, before_ms: i64) {
        self.entries.retain(|_, entry| entry.last_write_ms >= before_ms || entry.open.is_some());
    }

    /// The offset at which the last batch of each producer ends.
    pub(crate) fn last_offsets(&self) -> HashMap<i64, i64> {
        let last = |entry: &Entry| entry.batches.back().map(|batch| batch.last_offset);
        self.entries.iter().filter_map(|(id, entry)| Some((*id, last(entry)?))).collect()
    }

    /// Every producer and its id, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    /// Puts a producer back as it was.
    pub(crate) fn restore(&mut self, id: i64, entry: Entry) {
        if let Some(first) = entry.open {
            self.transactions.open(id, entry.epoch, first);
        }
        self.entries.insert(id, entry);
    }
}

impl Entry {
    fn find(&self, batch: &BatchHeader) -> Option<&Appended> {
        let same = |stored: &&Appended| {
            stored.base_sequence == batch.base_sequence
                && stored.last_sequence == batch.last_sequence()
        };
        self.batches.iter().find(same).filter(|_| batch.producer_epoch == self.epoch)
    }

    /// Sequences wrap from 2^31 - 1 to 0.
    fn next_sequence(&self) -> i32 {
        self.batches.back().map_or(0, |last| last.last_sequence.wrapping_add(1).max(0))
    }
}

#[cfg(test)]
mod tests {
    use klamm_protocol::records::Attributes;

    use super::*;

    fn batch(epoch: i16, sequence: i32, count: i32) -> BatchHeader {
        BatchHeader {
            base_offset: 0,
            batch_length: 49,
            leader_epoch: -1,
            magic: 2,
            crc: 0,
            attributes: Attributes(0),
            last_offset_delta: count - 1,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: 7,
            producer_epoch: epoch,
            base_sequence: sequence,
            record_count: count,
        }
    }

    fn after(batches: &[(i16, i32, i32)]) -> Producers {
        let mut producers = Producers::default();
        let mut offset = 100;
        for (epoch, sequence, count) in batches {
            producers.stored(&batch(*epoch, *sequence, *count), offset, 0);
            offset += i64::from(*count);
        }
        producers
    }

    fn check(producers: &Producers, batch: &BatchHeader, expected: Result<Option<i64>, Refusal>) {
        let verdict = producers.judge(batch, None).map(|verdict| match verdict {
            Verdict::Append => None,
            Verdict::Duplicate(stored) => Some(stored.base_offset),
        });
        assert_eq!(verdict, expected);
    }

    fn out_of_order(sequence: i32, expected: i32) -> Result<Option<i64>, Refusal> {
        Err(Refusal::OutOfOrder { id: 7, sequence, expected })
    }

    #[test]
    fn an_unknown_producer_may_begin_anywhere() {
        check(&after(&[]), &batch(0, 41, 3), Ok(None));
    }

    #[test]
    fn sequences_continue_and_gaps_are_refused() {
        let producers = after(&[(0, 0, 10)]);
        check(&producers, &batch(0, 10, 1), Ok(None));
        check(&producers, &batch(0, 11, 1), out_of_order(11, 10));
        check(&producers, &batch(0, 5, 1), out_of_order(5, 10));
    }

    #[test]
    fn an_exact_repeat_of_the_last_five_is_a_duplicate() {
        let producers = after(&[(0, 0, 1), (0, 1, 1), (0, 2, 1), (0, 3, 1), (0, 4, 1), (0, 5, 1)]);
        check(&producers, &batch(0, 0, 1), out_of_order(0, 6));
        for sequence in 1..6 {
            check(&producers, &batch(0, sequence, 1), Ok(Some(100 + i64::from(sequence))));
        }
        check(&producers, &batch(0, 5, 2), out_of_order(5, 6));
    }

    #[test]
    fn a_new_epoch_begins_at_zero_and_fences_the_old() {
        let mut producers = after(&[(3, 0, 10)]);
        check(&producers, &batch(4, 10, 1), out_of_order(10, 0));
        check(&producers, &batch(4, 0, 1), Ok(None));
        producers.stored(&batch(4, 0, 1), 200, 0);
        let old = Refusal::OldEpoch { id: 7, epoch: 3, current: 4 };
        check(&producers, &batch(3, 10, 1), Err(old));
        check(&producers, &batch(3, 0, 10), Err(old));
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let producers = after(&[(0, i32::MAX - 1, 2)]);
        check(&producers, &batch(0, 0, 1), Ok(None));
        let producers = after(&[(0, i32::MAX, 3)]);
        check(&producers, &batch(0, 2, 1), Ok(None));
    }

    #[test]
    fn batches_without_a_producer_always_pass() {
        let mut plain = batch(-1, -1, 1);
        plain.producer_id = -1;
        let mut producers = after(&[]);
        producers.stored(&plain, 0, 0);
        assert_eq!(producers, Producers::default());
        check(&producers, &plain, Ok(None));
    }

    #[test]
    fn the_silent_are_forgotten() {
        let mut producers = after(&[(0, 0, 10)]);
        producers.expire(1);
        check(&producers, &batch(0, 55, 1), Ok(None));
    }

    fn transactional(epoch: i16, sequence: i32, count: i32) -> BatchHeader {
        let attributes = Attributes(0).with_transactional(true);
        BatchHeader { attributes, ..batch(epoch, sequence, count) }
    }

    fn marker(epoch: i16, has_new_epoch: bool) -> Marker {
        let coordinator_epoch = 3;
        Marker {
            producer_id: 7,
            producer_epoch: epoch,
            has_new_epoch,
            coordinator_epoch,
            is_own: false,
        }
    }

    /// It was stored, and those before it could not come any more.
    #[test]
    fn a_batch_behind_one_that_was_refused_waits_for_it() {
        let mut producers = after(&[]);
        let (first, second) = (transactional(0, 41, 10), transactional(0, 51, 10));
        producers.transactions.verify(7, 0, 41);
        let verification = producers.transactions.verify(7, 0, 51);
        let out_of_order = Refusal::OutOfOrder { id: 7, sequence: 51, expected: 41 };
        assert_eq!(producers.judge(&second, Some(verification)), Err(out_of_order));
        assert_eq!(producers.judge(&first, Some(verification)), Ok(Verdict::Append));
        producers.stored(&first, 100, 0);
        check(&producers, &second, Ok(None));
    }

    #[test]
    fn a_transaction_begins_with_what_was_verified() {
        let mut producers = after(&[]);
        let (no, first) = (Err(Refusal::NoTransaction { id: 7 }), transactional(0, 0, 10));
        check(&producers, &first, no);
        let verification = producers.transactions.verify(7, 0, 0);
        assert_eq!(producers.judge(&first, Some(verification)), Ok(Verdict::Append));
        producers.stored(&first, 100, 0);
        assert_eq!(producers.transactions.first_undecided(), Some(100));
        check(&producers, &transactional(0, 10, 1), Ok(None));
        check(&producers, &first, Ok(Some(100)));
        check(&producers, &batch(0, 10, 1), Err(Refusal::InTransaction { id: 7 }));
        producers.marked(&marker(0, false), 110, 0);
        check(&producers, &transactional(0, 10, 1), no);
        assert!(producers.judge(&transactional(0, 10, 1), Some(verification)).is_err());
        check(&producers, &batch(0, 10, 1), Ok(None));
    }

    #[test]
    fn a_transaction_of_the_second_generation_begins_with_its_first_batch() {
        let mut producers = after(&[]);
        let verification = producers.transactions.verify(7, 1, 10);
        let (first, second) = (transactional(1, 0, 10), transactional(1, 10, 10));
        let early = Refusal::OutOfOrder { id: 7, sequence: 10, expected: 0 };
        let judge = |producers: &Producers, batch, verification| {
            producers.judge(batch, Some(verification)).map(|_| ())
        };
        assert_eq!(judge(&producers, &second, verification.that_begins()), Err(early));
        assert_eq!(judge(&producers, &second, verification), Ok(()), "it may have been forgotten");
        assert_eq!(judge(&producers, &first, verification.that_begins()), Ok(()));
        // What a coordinator writes for it has no sequence.
        let offsets = transactional(1, -1, 1);
        assert_eq!(judge(&producers, &offsets, verification.that_begins()), Ok(()));
        producers.stored(&first, 100, 0);
        check(&producers, &second, Ok(None));
    }

    #[test]
    fn who_was_replaced_is_told_so_whatever_was_verified() {
        let mut producers = after(&[]);
        producers.marked(&marker(4, true), 100, 0);
        let refused = Refusal::OldEpoch { id: 7, epoch: 3, current: 4 };
        check(&producers, &transactional(3, 0, 1), Err(refused));
        let verification = producers.transactions.verify(7, 4, 0);
        let (old, new) = (transactional(3, 0, 1), transactional(4, 0, 1));
        assert_eq!(producers.judge(&old, Some(verification)), Err(refused));
        assert_eq!(producers.judge(&new, Some(verification)), Ok(Verdict::Append));
    }

    #[test]
    fn a_marker_with_a_new_epoch_fences_and_is_stored_once() {
        let mut producers = after(&[]);
        producers.stored(&transactional(0, 0, 10), 100, 0);
        let (old, new) = (marker(0, true), marker(1, true));
        let refused = Refusal::OldEpoch { id: 7, epoch: 0, current: 0 };
        assert_eq!(producers.judge_marker(&old), Err(refused));
        assert_eq!(producers.judge_marker(&new), Ok(MarkerVerdict::Append));
        producers.marked(&new, 110, 0);
        assert_eq!(producers.judge_marker(&new), Ok(MarkerVerdict::Duplicate));
        let refused = Refusal::OldEpoch { id: 7, epoch: 0, current: 1 };
        check(&producers, &batch(0, 10, 1), Err(refused));
        assert_eq!(producers.judge_marker(&old), Err(refused));
        check(&producers, &batch(1, 0, 1), Ok(None));
    }

    #[test]
    fn a_marker_without_a_transaction_makes_the_producer_known() {
        let mut producers = after(&[]);
        assert_eq!(producers.judge_marker(&marker(4, true)), Ok(MarkerVerdict::Append));
        producers.marked(&marker(4, true), 100, 0);
        let refused = Refusal::OldEpoch { id: 7, epoch: 3, current: 4 };
        check(&producers, &batch(3, 0, 1), Err(refused));
    }

    #[test]
    fn a_coordinator_that_was_replaced_ends_nothing() {
        let mut producers = after(&[(0, 0, 1)]);
        producers.marked(&marker(0, false), 110, 0);
        let old = Marker { coordinator_epoch: 2, ..marker(0, false) };
        let refused = Refusal::OldCoordinator { epoch: 2, current: 3 };
        assert_eq!(producers.judge_marker(&old), Err(refused));
    }

    #[test]
    fn who_has_a_transaction_open_is_not_forgotten() {
        let mut producers = after(&[]);
        producers.stored(&transactional(0, 0, 10), 100, 0);
        producers.expire(1);
        assert_eq!(producers.iter().count(), 1);
        producers.marked(&marker(0, false), 110, 0);
        producers.expire(1);
        assert_eq!(producers.iter().count(), 0);
    }
}
