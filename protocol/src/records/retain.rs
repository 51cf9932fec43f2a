//! Taking records out of a batch, as compaction does.

use super::builder::{Delta, body_len, put_body};
use super::{
    Attributes, BATCH_HEADER_LEN, Batch, BatchHeader, BuildError, Compression, Record,
    TimestampType, varint,
};

/// The base timestamp of a batch without records.
const NO_TIMESTAMP: i64 = -1;

impl Batch {
    /// This batch with only `records`, which were read from it.
    ///
    /// Offsets, leader epoch, producer and sequence stay as they are, whatever records are left, so
    /// that the last offset and the last sequence of a producer stay true. So does the compression,
    /// at the codec's default level. With `delete_horizon_ms` the base timestamp becomes that time,
    /// after which compaction may drop the batch's tombstones; without it a horizon that the batch
    /// has stays.
    pub fn retain(
        &self,
        records: &[Record],
        delete_horizon_ms: Option<i64>,
    ) -> Result<Self, BuildError> {
        let mut header = *self.header();
        let times = records.iter().map(|record| record.timestamp);
        match (times.max(), header.attributes.timestamp_type()) {
            (None, _) => return Ok(self.emptied()),
            (Some(max), TimestampType::Create) => header.max_timestamp = max,
            (Some(_), TimestampType::LogAppend) => {}
        }
        if let Some(horizon) = delete_horizon_ms {
            header.base_timestamp = horizon;
            header.attributes = header.attributes.with_delete_horizon(true);
        }
        // There are no more records than the batch had.
        header.record_count = records.len() as i32;
        let mut bytes = vec![0; BATCH_HEADER_LEN];
        match header.attributes.compression().unwrap_or_default() {
            Compression::None => put_records(&header, records, &mut bytes),
            codec => {
                let mut plain = Vec::new();
                put_records(&header, records, &mut plain);
                codec.compress(None, &plain, &mut bytes)?;
            }
        }
        if i32::try_from(bytes.len()).is_err() {
            return Err(BuildError::TooLarge { bytes: bytes.len() });
        }
        Ok(Self::sealed(header, bytes))
    }

    /// This batch without any record: a header that stands for its offsets and its producer.
    #[must_use]
    pub fn emptied(&self) -> Self {
        let header = *self.header();
        let attributes = header.attributes;
        let header = BatchHeader {
            attributes: Attributes::default()
                .with_timestamp_type(attributes.timestamp_type())
                .with_transactional(attributes.is_transactional())
                .with_control(attributes.is_control()),
            base_timestamp: NO_TIMESTAMP,
            record_count: 0,
            ..header
        };
        Self::sealed(header, vec![0; BATCH_HEADER_LEN])
    }
}

fn put_records(header: &BatchHeader, records: &[Record], out: &mut Vec<u8>) {
    for record in records {
        let delta = Delta {
            timestamp: record.timestamp.wrapping_sub(header.base_timestamp),
            offset: record.offset.wrapping_sub(header.base_offset),
        };
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        varint::put(body_len(delta, key, value, &record.headers) as i64, out);
        put_body(delta, key, value, &record.headers, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{BatchBuilder, BatchOptions, BatchProducer, golden};
    use super::*;

    fn read(batch: &Batch) -> Vec<Record> {
        batch.records(1 << 20).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn all_records_make_the_same_batch() {
        let batch = Batch::parse(golden::bytes()).unwrap();
        assert_eq!(batch.retain(&golden::records(), None), Ok(batch));
    }

    #[test]
    fn the_offsets_and_the_sequence_outlive_the_records() {
        let batch = Batch::parse(golden::bytes()).unwrap();
        let one = batch.retain(&golden::records()[..1], None).unwrap();
        assert_eq!(read(&one), golden::records()[..1]);
        let header = one.header();
        assert_eq!((header.base_offset, header.last_offset(), header.last_sequence()), (40, 41, 8));
        assert_eq!((header.record_count, header.max_timestamp), (1, 1_700_000_000_000));
        assert_eq!(one.check(), Ok(()));

        let none = one.retain(&[], Some(5)).unwrap();
        assert_eq!(none, one.emptied());
        assert_eq!(none.bytes().len(), BATCH_HEADER_LEN);
        assert_eq!((none.check(), read(&none)), (Ok(()), vec![]));
        let header = none.header();
        assert_eq!((header.base_offset, header.last_offset(), header.last_sequence()), (40, 41, 8));
        assert_eq!((header.base_timestamp, header.leader_epoch), (-1, 5));
    }

    #[test]
    fn a_horizon_is_the_base_timestamp_and_stays() {
        let batch = Batch::parse(golden::bytes()).unwrap();
        let marked = batch.retain(&golden::records(), Some(1_800_000_000_000)).unwrap();
        assert!(marked.header().attributes.has_delete_horizon());
        assert_eq!(marked.header().base_timestamp, 1_800_000_000_000);
        assert_eq!(read(&marked), golden::records(), "the records' own times stay");
        let less = marked.retain(&golden::records()[1..], None).unwrap();
        assert!(less.header().attributes.has_delete_horizon());
        assert_eq!(less.header().base_timestamp, 1_800_000_000_000);
        assert_eq!(read(&less), golden::records()[1..]);
    }

    #[test]
    fn the_time_of_an_append_stays() {
        let batch = Batch::parse(golden::bytes()).unwrap().with_log_append_time(99);
        let records = read(&batch);
        let less = batch.retain(&records[1..], None).unwrap();
        assert_eq!(less.header().max_timestamp, 99);
        assert_eq!(read(&less), records[1..]);
    }

    proptest! {
        #[test]
        fn what_is_retained_is_read_again(
            values in prop::collection::vec((any::<i64>(), prop::option::of(0u8..9), any::<bool>()), 1..30),
            horizon in prop::option::of(0..i64::MAX),
        ) {
            for compression in Compression::ALL {
                let options = BatchOptions { compression, ..BatchOptions::default() };
                let mut builder = BatchBuilder::new(options);
                for (time, value, _) in &values {
                    let value = value.map(|value| vec![value; 20]);
                    builder.push(*time, Some(b"key"), value.as_deref(), &[]).unwrap();
                }
                builder.set_producer(BatchProducer { id: 7, epoch: 1, base_sequence: 3 });
                let batch = builder.build(1000).unwrap();
                let keep = read(&batch).into_iter().zip(&values);
                let keep: Vec<_> = keep.filter(|(_, (.., keep))| *keep).map(|(r, _)| r).collect();
                let less = batch.retain(&keep, horizon).unwrap();
                prop_assert_eq!(less.check(), Ok(()));
                prop_assert_eq!(Batch::parse(less.bytes().clone()), Ok(less.clone()));
                prop_assert_eq!(read(&less), keep);
                prop_assert_eq!(less.header().last_offset(), batch.header().last_offset());
                prop_assert_eq!(less.header().last_sequence(), batch.header().last_sequence());
            }
        }
    }
}
