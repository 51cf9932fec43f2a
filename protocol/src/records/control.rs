//! Control batches: how a transaction's end is marked in each partition it wrote to.
//!
//! The format is that of KIP-98 and of Kafka's `ControlRecordType.java` and
//! `EndTransactionMarker.java`: one record, whose key holds a version and a type, whose value
//! holds a version and the epoch of the coordinator, all big-endian.

use bytes::{Buf, BufMut};

use super::{Batch, BatchBuilder, BatchOptions, BatchProducer, BuildError, Record};

/// Version of key and value that is written. Readers take any newer one for this one with more
/// behind it.
const VERSION: i16 = 0;

/// How a transaction ended. The discriminants are those of the record key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its records are not to be delivered.
    Abort = 0,
    /// Its records count.
    Commit = 1,
}

/// The end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransaction {
    /// How it ended.
    pub outcome: Outcome,
    /// Epoch of the transaction coordinator that says so.
    pub coordinator_epoch: i32,
}

impl EndTransaction {
    /// Reads the record of a control batch. `None` if it marks something else, or nothing that can
    /// be understood: a reader passes over those, as Kafka's do.
    #[must_use]
    pub fn parse(record: &Record) -> Option<Self> {
        let mut key = record.key.as_deref()?;
        let key_version = key.try_get_i16().ok()?;
        let outcome = match key.try_get_i16().ok()? {
            0 => Outcome::Abort,
            1 => Outcome::Commit,
            _ => return None,
        };
        let mut value = record.value.as_deref()?;
        let value_version = value.try_get_i16().ok()?;
        let coordinator_epoch = value.try_get_i32().ok()?;
        let known = key_version >= VERSION && value_version >= VERSION;
        known.then_some(Self { outcome, coordinator_epoch })
    }

    /// Key and value of the record.
    #[must_use]
    pub fn encode(&self) -> ([u8; 4], [u8; 6]) {
        let (mut key, mut value) = ([0; 4], [0; 6]);
        let mut out = &mut key[..];
        out.put_i16(VERSION);
        out.put_i16(self.outcome as i16);
        let mut out = &mut value[..];
        out.put_i16(VERSION);
        out.put_i32(self.coordinator_epoch);
        (key, value)
    }

    /// The control batch that ends the transaction of this producer at `timestamp`, in milliseconds
    /// since 1970. Its base offset is 0; the log assigns the real one.
    pub fn batch(
        &self,
        producer_id: i64,
        producer_epoch: i16,
        timestamp: i64,
    ) -> Result<Batch, BuildError> {
        let options =
            BatchOptions { transactional: true, control: true, ..BatchOptions::default() };
        let mut builder = BatchBuilder::new(options);
        builder.set_producer(BatchProducer {
            id: producer_id,
            epoch: producer_epoch,
            base_sequence: BatchProducer::NONE.base_sequence,
        });
        let (key, value) = self.encode();
        builder.push(timestamp, Some(&key), Some(&value), &[])?;
        builder.build(0)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(key: &[u8], value: &[u8]) -> Record {
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        Record { key: Some(key), value: Some(value), ..Record::default() }
    }

    #[test]
    fn markers_round_trip_through_a_batch() {
        for outcome in [Outcome::Abort, Outcome::Commit] {
            let marker = EndTransaction { outcome, coordinator_epoch: 77 };
            let batch = marker.batch(4001, 3, 1_700_000_000_000).unwrap();
            assert_eq!(batch.check(), Ok(()));
            let header = batch.header();
            assert!(header.attributes.is_control() && header.attributes.is_transactional());
            assert_eq!((header.producer_id, header.producer_epoch), (4001, 3));
            assert_eq!(header.base_sequence, -1);
            let records: Vec<_> = batch.records(0).unwrap().map(Result::unwrap).collect();
            let [record] = &records[..] else { panic!("one record, not {records:?}") };
            assert_eq!(EndTransaction::parse(record), Some(marker));
        }
    }

    #[test]
    fn marker_bytes_are_those_of_kip_98() {
        let marker = EndTransaction { outcome: Outcome::Commit, coordinator_epoch: 0x0102_0304 };
        assert_eq!(marker.encode(), ([0, 0, 0, 1], [0, 0, 1, 2, 3, 4]));
    }

    #[test]
    fn a_newer_version_is_read_and_nonsense_is_not() {
        let marker = EndTransaction { outcome: Outcome::Abort, coordinator_epoch: 9 };
        let parse = |key: &[u8], value: &[u8]| EndTransaction::parse(&record(key, value));
        assert_eq!(parse(&[0, 3, 0, 0, 7], &[0, 1, 0, 0, 0, 9, 7, 7]), Some(marker));
        assert_eq!(parse(&[0, 0, 0, 2], &[0, 0, 0, 0, 0, 9]), None, "a change of leader");
        assert_eq!(parse(&[0xff, 0xff, 0, 0], &[0, 0, 0, 0, 0, 9]), None);
        for len in 0..4 {
            assert_eq!(parse(&[0; 4][..len], &[0; 6]), None);
        }
        for len in 0..6 {
            assert_eq!(parse(&[0; 4], &[0; 6][..len]), None);
        }
        assert_eq!(EndTransaction::parse(&Record::default()), None);
    }
}
