//! What compaction leaves of a batch: a pure function.

use klamm_protocol::records::{Batch, BatchError, EndTransaction, Record};

use super::newest::NewestOffsets;
use super::transactions::Standing;
use crate::log::RECORDS_SIZE_MAX;

/// What is left of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// The batch as it is.
    All,
    /// This instead of it.
    Some(Batch),
    /// Nothing.
    Nothing,
}

/// Decides which records stay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter<'a> {
    pub(crate) newest: &'a NewestOffsets,
    pub(crate) now_ms: i64,
    /// How long a tombstone stays after it was first compacted, and a marker after nothing was left
    /// of its transaction.
    pub(crate) tombstone_retention_ms: i64,
}

/// The records of a batch. What cannot be read is left alone.
pub(crate) fn records(batch: &Batch) -> Option<Vec<Record>> {
    let read = || batch.records(RECORDS_SIZE_MAX)?.collect::<Result<_, BatchError>>();
    read().ok()
}

impl Filter<'_> {
    /// What is left of a batch. With `keep_header` a batch without records stays as its header.
    pub(crate) fn apply(&self, batch: &Batch, standing: Standing, keep_header: bool) -> Left {
        match standing {
            Standing::Counts => self.apply_to_records(batch, keep_header),
            Standing::Aborted => nothing_of(batch, keep_header),
            Standing::NeededMarker => Left::All,
            Standing::SpentMarker => self.apply_to_marker(batch, keep_header),
        }
    }

    fn apply_to_records(&self, batch: &Batch, keep_header: bool) -> Left {
        let Some(records) = records(batch) else { return Left::All };
        let header = batch.header();
        let count = records.len();
        let stays = |record: &Record| self.stays(batch, record);
        let left: Vec<Record> = records.into_iter().filter(stays).collect();
        if left.is_empty() {
            return nothing_of(batch, keep_header);
        }
        let covered = header.last_offset() < self.newest.end();
        let marked = header.attributes.has_delete_horizon();
        let has_tombstone = left.iter().any(|record| record.value.is_none());
        let horizon = (covered && has_tombstone && !marked)
            .then(|| self.now_ms.saturating_add(self.tombstone_retention_ms));
        if left.len() == count && horizon.is_none() {
            return Left::All;
        }
        // A batch that cannot be built anew is no reason to lose anything.
        batch.retain(&left, horizon).map_or(Left::All, Left::Some)
    }

    /// A marker of which nobody has a use goes as a tombstone does: after a while, in which those
    /// who have read a part of its transaction can read on.
    fn apply_to_marker(&self, batch: &Batch, keep_header: bool) -> Left {
        let header = batch.header();
        let Some(records) = records(batch) else { return Left::All };
        if records.is_empty() {
            return nothing_of(batch, keep_header);
        }
        if !records.iter().all(|record| EndTransaction::parse(record).is_some()) {
            return Left::All;
        }
        if !header.attributes.has_delete_horizon() {
            let horizon = self.now_ms.saturating_add(self.tombstone_retention_ms);
            return batch.retain(&records, Some(horizon)).map_or(Left::All, Left::Some);
        }
        // Without its record a marker would be one of which no reader knows what it says.
        let stays = keep_header || header.base_timestamp > self.now_ms;
        if stays { Left::All } else { Left::Nothing }
    }

    fn stays(&self, batch: &Batch, record: &Record) -> bool {
        if record.offset >= self.newest.end() {
            return true;
        }
        // Nothing takes the place of a record without a key, and a compacted log has none.
        let Some(key) = &record.key else { return false };
        let header = batch.header();
        let is_newest = self.newest.get(key).is_none_or(|newest| record.offset >= newest);
        let has_expired =
            header.attributes.has_delete_horizon() && header.base_timestamp <= self.now_ms;
        is_newest && (record.value.is_some() || !has_expired)
    }
}

/// What is left of a batch of which no record stays.
fn nothing_of(batch: &Batch, keep_header: bool) -> Left {
    match batch.header().record_count {
        _ if !keep_header => Left::Nothing,
        0 => Left::All,
        _ => Left::Some(batch.emptied()),
    }
}

#[cfg(test)]
mod tests {
    use klamm_protocol::records::{BatchBuilder, BatchOptions, Compression, Outcome};

    use super::*;

    /// Records of the form `a=1`, or `a` for a tombstone, or `=1` for one without a key.
    fn batch(options: BatchOptions, base: i64, records: &[&str]) -> Batch {
        let mut builder = BatchBuilder::new(options);
        for text in records {
            let (key, value) = match text.split_once('=') {
                Some((key, value)) => (key, Some(value.as_bytes())),
                None => (*text, None),
            };
            let key = (!key.is_empty()).then_some(key.as_bytes());
            builder.push(1000, key, value, &[]).unwrap();
        }
        builder.build(base).unwrap()
    }

    fn described(batch: &Batch) -> Vec<String> {
        let text = |bytes: Option<bytes::Bytes>| {
            bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        };
        let describe = |record: Record| {
            let (offset, key) = (record.offset, text(record.key).unwrap_or_default());
            text(record.value).map_or(format!("{offset} {key}"), |v| format!("{offset} {key}={v}"))
        };
        records(batch).unwrap().into_iter().map(describe).collect()
    }

    /// Offsets 10 to 13, of keys seen later at these offsets.
    fn check(newest: &[(&str, i64)], end: i64, records: &[&str], left: Option<&[&str]>) {
        let mut map = NewestOffsets::new(1 << 20, 0);
        newest.iter().for_each(|(key, offset)| assert!(map.note(key.as_bytes(), *offset)));
        map.cover(end);
        let filter = Filter { newest: &map, now_ms: 5000, tombstone_retention_ms: 100 };
        for compression in Compression::ALL {
            let options = BatchOptions { compression, ..BatchOptions::default() };
            let batch = batch(options, 10, records);
            match (filter.apply(&batch, Standing::Counts, false), left) {
                (Left::All, Some(left)) => assert_eq!(described(&batch), left),
                (Left::Some(batch), Some(left)) => assert_eq!(described(&batch), left),
                (Left::Nothing, None) => {}
                (got, _) => panic!("{got:?}"),
            }
        }
    }

    #[test]
    fn the_newest_record_of_a_key_stays() {
        let three = ["a=1", "b=1", "a=2"];
        check(&[("a", 12), ("b", 11)], 20, &three, Some(&["11 b=1", "12 a=2"]));
        check(&[("a", 15), ("b", 11)], 20, &three, Some(&["11 b=1"]));
        check(&[("a", 15), ("b", 16)], 20, &three, None);
    }

    #[test]
    fn what_is_not_covered_and_keys_that_are_not_known_stay() {
        check(&[("a", 15)], 12, &["a=1", "b=1", "a=2"], Some(&["11 b=1", "12 a=2"]));
        check(&[], 20, &["a=1", "=1", "b=1"], Some(&["10 a=1", "12 b=1"]));
    }

    #[test]
    fn a_tombstone_gets_a_horizon_and_goes_behind_it() {
        let mut map = NewestOffsets::new(1 << 20, 0);
        assert!(map.note(b"a", 10));
        map.cover(11);
        let at = |now_ms| Filter { newest: &map, now_ms, tombstone_retention_ms: 100 };
        let plain = batch(BatchOptions::default(), 10, &["a"]);
        let Left::Some(marked) = at(5000).apply(&plain, Standing::Counts, false) else {
            panic!("no horizon")
        };
        assert_eq!(marked.header().base_timestamp, 5100);
        assert!(marked.header().attributes.has_delete_horizon());
        assert_eq!(at(5099).apply(&marked, Standing::Counts, false), Left::All);
        assert_eq!(at(5100).apply(&marked, Standing::Counts, false), Left::Nothing);
        assert_eq!(at(5100).apply(&marked, Standing::Counts, true), Left::Some(marked.emptied()));
        assert_eq!(at(5100).apply(&marked.emptied(), Standing::Counts, true), Left::All);
        assert_eq!(at(5100).apply(&marked.emptied(), Standing::Counts, false), Left::Nothing);
        let uncovered = NewestOffsets::new(1 << 20, 10);
        let filter = Filter { newest: &uncovered, now_ms: 5000, tombstone_retention_ms: 100 };
        assert_eq!(filter.apply(&plain, Standing::Counts, false), Left::All);
    }

    #[test]
    fn of_an_aborted_transaction_nothing_stays() {
        let newest = NewestOffsets::new(1 << 20, 0);
        let filter = Filter { newest: &newest, now_ms: 0, tombstone_retention_ms: 0 };
        let transactional = BatchOptions { transactional: true, ..BatchOptions::default() };
        let data = batch(transactional, 10, &["a=1"]);
        assert_eq!(filter.apply(&data, Standing::Aborted, false), Left::Nothing);
        let emptied = data.emptied();
        let left = filter.apply(&data, Standing::Aborted, true);
        assert_eq!(left, Left::Some(emptied.clone()));
        assert_eq!(filter.apply(&emptied, Standing::Aborted, true), Left::All);
        assert_eq!(filter.apply(&emptied, Standing::Aborted, false), Left::Nothing);
    }

    #[test]
    fn a_marker_goes_a_while_after_its_transaction() {
        let newest = NewestOffsets::new(1 << 20, 0);
        let at = |now_ms| Filter { newest: &newest, now_ms, tombstone_retention_ms: 100 };
        let end = EndTransaction { outcome: Outcome::Abort, coordinator_epoch: 3 };
        let marker = end.batch(7, 0, 1000).unwrap();
        assert_eq!(at(5000).apply(&marker, Standing::NeededMarker, false), Left::All);
        let Left::Some(marked) = at(5000).apply(&marker, Standing::SpentMarker, false) else {
            panic!("no horizon")
        };
        assert_eq!(marked.header().base_timestamp, 5100);
        let record = records(&marked).unwrap().remove(0);
        assert_eq!(EndTransaction::parse(&record), Some(end));
        assert_eq!(at(5099).apply(&marked, Standing::SpentMarker, false), Left::All);
        assert_eq!(at(5100).apply(&marked, Standing::NeededMarker, false), Left::All);
        assert_eq!(at(5100).apply(&marked, Standing::SpentMarker, true), Left::All);
        assert_eq!(at(5100).apply(&marked, Standing::SpentMarker, false), Left::Nothing);
    }

    #[test]
    fn control_records_of_other_kinds_are_left_alone() {
        let newest = NewestOffsets::new(1 << 20, 0);
        let filter = Filter { newest: &newest, now_ms: 0, tombstone_retention_ms: 0 };
        let control = BatchOptions { control: true, ..BatchOptions::default() };
        let other = batch(control, 10, &["a=1"]);
        assert_eq!(filter.apply(&other, Standing::SpentMarker, false), Left::All);
    }
}
