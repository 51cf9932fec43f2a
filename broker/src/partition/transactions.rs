//! Which transactions are open in a partition, and who may open one. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The transactions of one partition of which it is not known for good how they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transactions {
    /// The first offsets of those that are open.
    open: BTreeSet<i64>,
    /// Those that are marked: by their first offsets the offsets of their markers.
    ending: BTreeMap<i64, i64>,
    /// Producers that may open a transaction, if what the coordinator is asked about them is true:
    /// by their ids and epochs, so that one who was replaced takes nothing from its successor.
    verifications: HashMap<(i64, i16), Verified>,
    last_verification: u64,
}

/// Stands for a question to the coordinator, whether a producer's transaction includes the
/// partition. No marker has come since it was asked as long as [`Transactions::lowest_sequence`] knows
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verification {
    number: u64,
    /// Whether the transaction begins with this: its epoch is its own, and so are its sequences.
    begins: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verified {
    verification: Verification,
    /// Of the batches for which it was asked, that of the first.
    lowest_sequence: i32,
}

impl Verification {
    /// It was what has the partition take part in the transaction, as clients of the second
    /// generation do it.
    pub(crate) fn that_begins(self) -> Self {
        Self { begins: true, ..self }
    }

    /// Whether the first batch here has sequence 0, unless one is missing before it.
    pub(super) fn begins_at_zero(self) -> bool {
        self.begins
    }
}

impl Transactions {
    /// The first offset that no reader of committed records may see yet.
    pub(crate) fn first_undecided(&self) -> Option<i64> {
        self.open.first().into_iter().chain(self.ending.keys().next()).min().copied()
    }

    /// Where the first transaction begins that is open, apart from the one that begins there.
    pub(crate) fn first_open_but(&self, first_offset: i64) -> Option<i64> {
        self.open.iter().find(|first| **first != first_offset).copied()
    }

    /// A producer opens a transaction with the record at this offset.
    pub(crate) fn open(&mut self, producer_id: i64, epoch: i16, first_offset: i64) {
        self.open.insert(first_offset);
        self.verifications.remove(&(producer_id, epoch));
    }

    /// The transaction that began there has its marker.
    pub(crate) fn end(&mut self, first_offset: i64, marker_offset: i64) {
        if self.open.remove(&first_offset) {
            self.ending.insert(first_offset, marker_offset);
        }
    }

    /// Everything before an offset is durable; ends before it are for good.
    pub(crate) fn settle(&mut self, high_watermark: i64) {
        self.ending.retain(|_, marker| *marker >= high_watermark);
    }

    /// Begins to verify that a producer may open a transaction with a batch of this sequence.
    pub(crate) fn verify(&mut self, producer_id: i64, epoch: i16, sequence: i32) -> Verification {
        let producer = (producer_id, epoch);
        if let Some(known) = self.verifications.get_mut(&producer) {
            known.lowest_sequence = known.lowest_sequence.min(sequence);
            return known.verification;
        }
        self.last_verification += 1;
        let verification = Verification { number: self.last_verification, begins: false };
        self.verifications.insert(producer, Verified { verification, lowest_sequence: sequence });
        verification
    }

    /// The lowest sequence for which this was asked, if that still counts: no marker has come since.
    pub(crate) fn lowest_sequence(
        &self,
        producer_id: i64,
        epoch: i16,
        verification: Verification,
    ) -> Option<i32> {
        let known = self.verifications.get(&(producer_id, epoch))?;
        let is_same = known.verification.number == verification.number;
        is_same.then_some(known.lowest_sequence)
    }

    /// What was asked about a producer is not true.
    pub(crate) fn refute(&mut self, producer_id: i64, epoch: i16) {
        self.verifications.remove(&(producer_id, epoch));
    }

    /// A marker has come: what was asked about a producer, of whatever epoch, may not be true any
    /// more.
    pub(crate) fn invalidate(&mut self, producer_id: i64) {
        self.verifications.retain(|(id, _), _| *id != producer_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_undecided_begins_with_the_first_open_or_unsettled_transaction() {
        let mut transactions = Transactions::default();
        let check = |transactions: &Transactions, first| {
            assert_eq!(transactions.first_undecided(), first);
        };
        check(&transactions, None);
        transactions.open(1, 0, 10);
        transactions.open(2, 0, 20);
        check(&transactions, Some(10));
        transactions.end(10, 30);
        check(&transactions, Some(10));
        transactions.settle(30);
        check(&transactions, Some(10));
        transactions.settle(31);
        check(&transactions, Some(20));
        transactions.end(20, 32);
        transactions.settle(33);
        check(&transactions, None);
        transactions.end(20, 40);
        check(&transactions, None);
    }

    #[test]
    fn a_verification_counts_until_a_marker_comes() {
        let mut transactions = Transactions::default();
        let first = transactions.verify(1, 0, 0);
        assert_eq!(transactions.verify(1, 0, 0), first);
        assert_ne!(transactions.verify(2, 0, 0), first);
        assert!(
            transactions.lowest_sequence(1, 0, first).is_some()
                && transactions.lowest_sequence(2, 0, first).is_none()
        );
        transactions.invalidate(1);
        assert!(transactions.lowest_sequence(1, 0, first).is_none());
        let second = transactions.verify(1, 0, 0);
        assert!(second != first && transactions.lowest_sequence(1, 0, second).is_some());
        transactions.open(1, 0, 10);
        assert!(transactions.lowest_sequence(1, 0, second).is_none());
    }

    #[test]
    fn who_was_replaced_takes_no_verification_from_its_successor() {
        let mut transactions = Transactions::default();
        let (new, old) = (transactions.verify(1, 5, 0), transactions.verify(1, 4, 0));
        assert!(new != old && transactions.lowest_sequence(1, 4, new).is_none());
        transactions.refute(1, 4);
        assert!(
            transactions.lowest_sequence(1, 4, old).is_none()
                && transactions.lowest_sequence(1, 5, new).is_some()
        );
        let old = transactions.verify(1, 4, 0);
        transactions.invalidate(1);
        assert!(
            transactions.lowest_sequence(1, 4, old).is_none()
                && transactions.lowest_sequence(1, 5, new).is_none()
        );
    }
}
