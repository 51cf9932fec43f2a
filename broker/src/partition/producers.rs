//! What a partition remembers of idempotent producers (KIP-98), so that a retry is not stored
//! twice and a lost batch is noticed.
//!
//! Pure: no lock, no clock, no file. Source of the rules: Kafka's `ProducerAppendInfo` and
//! `ProducerStateEntry`.

use std::collections::{HashMap, VecDeque};

use klamm_protocol::records::BatchHeader;

/// Batches remembered per producer: as many as a client may have in flight.
pub(crate) const BATCHES_MAX: usize = 5;

/// The producers that have written to one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Producers {
    entries: HashMap<i64, Entry>,
}

/// One producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) epoch: i16,
    /// The newest batches, oldest first.
    pub(crate) batches: VecDeque<Appended>,
    /// When it last wrote, as the broker's wall clock said.
    pub(crate) last_write_ms: i64,
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

/// Why a batch must not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The producer has been replaced by a newer one.
    #[error("producer {id} has epoch {current}, and this batch has the older epoch {epoch}")]
    OldEpoch { id: i64, epoch: i16, current: i16 },
    /// Batches before this one are missing.
    #[error("producer {id} sent sequence {sequence} where {expected} was due")]
    OutOfOrder { id: i64, sequence: i32, expected: i32 },
}

impl Producers {
    /// Judges a batch before it is stored. Batches without a producer id always pass.
    ///
    /// A producer that is not known may begin anywhere: its state may have expired.
    pub(crate) fn judge(&self, batch: &BatchHeader) -> Result<Verdict, Refusal> {
        let Some(entry) = self.entries.get(&batch.producer_id).filter(|_| batch.has_producer())
        else {
            return Ok(Verdict::Append);
        };
        if let Some(stored) = entry.find(batch) {
            return Ok(Verdict::Duplicate(*stored));
        }
        let (id, epoch, sequence) = (batch.producer_id, batch.producer_epoch, batch.base_sequence);
        let expected = match epoch.cmp(&entry.epoch) {
            std::cmp::Ordering::Less => {
                return Err(Refusal::OldEpoch { id, epoch, current: entry.epoch });
            }
            std::cmp::Ordering::Greater => 0,
            std::cmp::Ordering::Equal => entry.next_sequence(),
        };
        if sequence != expected {
            return Err(Refusal::OutOfOrder { id, sequence, expected });
        }
        Ok(Verdict::Append)
    }

    /// Remembers a batch that was stored at its header's offsets.
    pub(crate) fn stored(&mut self, batch: &BatchHeader, base_offset: i64, now_ms: i64) {
        if !batch.has_producer() || batch.producer_epoch < 0 {
            return;
        }
        let epoch = batch.producer_epoch;
        let fresh = || Entry { epoch, batches: VecDeque::new(), last_write_ms: now_ms };
        let entry = self.entries.entry(batch.producer_id).or_insert_with(fresh);
        if entry.epoch != epoch {
            *entry = fresh();
        }
        entry.last_write_ms = now_ms;
        if batch.attributes.is_control() {
            return;
        }
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

    /// Forgets producers that have not written since `before_ms`.
    pub(crate) fn expire(&mut self, before_ms: i64) {
        self.entries.retain(|_, entry| entry.last_write_ms >= before_ms);
    }

    /// The offset at which the last batch of each producer ends.
    pub(crate) fn last_offsets(&self) -> HashMap<i64, i64> {
        let last = |entry: &Entry| entry.batches.back().map(|batch| batch.last_offset);
        self.entries.iter().filter_map(|(id, entry)| Some((*id, last(entry)?))).collect()
    }

    /// Whether nobody is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every producer and its id, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    /// Puts a producer back as it was.
    pub(crate) fn restore(&mut self, id: i64, entry: Entry) {
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
        let verdict = producers.judge(batch).map(|verdict| match verdict {
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
}
