//! What of transactions counts, and which markers are still needed. Pure.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use klamm_protocol::records::BatchHeader;

use crate::log::AbortedTransaction;

/// What a batch is to compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its records count.
    Counts,
    /// Its records are of a transaction that was aborted.
    Aborted,
    /// It says how a transaction ended of which there still are batches.
    NeededMarker,
    /// It says how a transaction ended of which nothing is left.
    SpentMarker,
}

/// What is known of transactions while a log is gone through in its order, from its start on.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// The offsets from first record to marker of the aborted transactions of each producer, in their
    /// order, as far as they reach into the present segment.
    aborted: HashMap<i64, Vec<Range<i64>>>,
    /// The producers of whose last transaction a batch came by, but no marker yet.
    open: HashSet<i64>,
}

impl Transactions {
    /// A segment begins, into which these aborted transactions reach, in the order of their
    /// markers.
    pub(crate) fn begin_segment(&mut self, aborted: &[AbortedTransaction]) {
        self.aborted.clear();
        for it in aborted {
            let offsets = it.first_offset..it.last_offset;
            self.aborted.entry(it.producer_id).or_default().push(offsets);
        }
    }

    /// Whether a marker of the segment aborts a transaction that is noted as aborted.
    pub(crate) fn is_noted(&self, marker: &BatchHeader) -> bool {
        let ended = self.next_ended(marker.producer_id, marker.base_offset);
        ended.is_some_and(|it| it.end == marker.base_offset)
    }

    /// The aborted transaction of a producer that ended first at or behind an offset.
    fn next_ended(&self, producer_id: i64, offset: i64) -> Option<&Range<i64>> {
        let all = self.aborted.get(&producer_id)?;
        all.get(all.partition_point(|it| it.end < offset))
    }

    /// A batch of the segment comes by.
    pub(crate) fn pass(&mut self, header: &BatchHeader) -> Standing {
        let producer_id = header.producer_id;
        if header.attributes.is_control() {
            let is_needed = self.open.remove(&producer_id);
            return if is_needed { Standing::NeededMarker } else { Standing::SpentMarker };
        }
        if !header.attributes.is_transactional() {
            return Standing::Counts;
        }
        self.open.insert(producer_id);
        match self.next_ended(producer_id, header.base_offset) {
            Some(aborted) if aborted.contains(&header.base_offset) => Standing::Aborted,
            Some(_) | None => Standing::Counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use klamm_protocol::records::{BatchBuilder, BatchOptions, BatchProducer};

    use super::*;

    fn header(producer_id: i64, base_offset: i64, options: BatchOptions) -> BatchHeader {
        let mut builder = BatchBuilder::new(options);
        builder.set_producer(BatchProducer { id: producer_id, epoch: 0, base_sequence: 0 });
        builder.push(0, Some(b"key"), None, &[]).unwrap();
        *builder.build(base_offset).unwrap().header()
    }

    fn check(transactions: &mut Transactions, batch: (i64, i64, &str), standing: Standing) {
        let (producer_id, offset, kind) = batch;
        let transactional = BatchOptions { transactional: true, ..BatchOptions::default() };
        let options = match kind {
            "plain" => BatchOptions::default(),
            "data" => transactional,
            _ => BatchOptions { control: true, ..transactional },
        };
        let passed = transactions.pass(&header(producer_id, offset, options));
        assert_eq!(passed, standing, "{batch:?}");
    }

    #[test]
    fn records_count_unless_their_own_transaction_was_aborted() {
        let mut transactions = Transactions::default();
        let aborted = |producer_id, first_offset, last_offset| AbortedTransaction {
            producer_id,
            first_offset,
            last_offset,
            stable_offset: last_offset + 1,
        };
        transactions.begin_segment(&[aborted(1, 10, 20), aborted(1, 30, 40), aborted(2, 12, 22)]);
        for (offset, standing) in [
            (9, Standing::Counts),
            (10, Standing::Aborted),
            (19, Standing::Aborted),
            (25, Standing::Counts),
            (30, Standing::Aborted),
            (41, Standing::Counts),
        ] {
            check(&mut transactions, (1, offset, "data"), standing);
        }
        check(&mut transactions, (3, 15, "data"), Standing::Counts);
        check(&mut transactions, (1, 15, "plain"), Standing::Counts);
        transactions.begin_segment(&[]);
        check(&mut transactions, (1, 50, "data"), Standing::Counts);
    }

    #[test]
    fn a_marker_is_needed_while_there_is_a_batch_of_its_transaction() {
        let mut transactions = Transactions::default();
        check(&mut transactions, (1, 0, "marker"), Standing::SpentMarker);
        check(&mut transactions, (1, 1, "data"), Standing::Counts);
        check(&mut transactions, (2, 2, "marker"), Standing::SpentMarker);
        transactions.begin_segment(&[]);
        check(&mut transactions, (1, 3, "marker"), Standing::NeededMarker);
        check(&mut transactions, (1, 4, "marker"), Standing::SpentMarker);
        check(&mut transactions, (1, 5, "plain"), Standing::Counts);
        check(&mut transactions, (1, 6, "marker"), Standing::SpentMarker);
    }
}
