//! Records, and reading them from a batch.

use std::iter::FusedIterator;

use bytes::Bytes;

use super::{BATCH_HEADER_LEN, Batch, BatchError, BatchHeader, RecordError, TimestampType, varint};

/// One record. Key, value and headers share the buffer of the batch they were read from, or the
/// one it was decompressed into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Place in the partition.
    pub offset: i64,
    /// Milliseconds since 1970, given by the producer or, if the batch says so, by the broker.
    pub timestamp: i64,
    /// What partitions and compacts the record.
    pub key: Option<Bytes>,
    /// The payload; none deletes the key from a compacted topic.
    pub value: Option<Bytes>,
    /// In the order of the producer. Keys may repeat.
    pub headers: Vec<Header>,
}

/// A header of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// UTF-8 by convention, which is not checked.
    pub key: Bytes,
    /// The value, which may be absent.
    pub value: Option<Bytes>,
}

impl Batch {
    /// Reads the records, in the order of their offsets.
    ///
    /// Compressed records are decompressed first, as one piece, and refused if they take more than
    /// `limit` bytes. Key, value and headers are slices, of this batch or of that piece. The
    /// checksum is not looked at.
    pub fn records(&self, limit: usize) -> Result<RecordIter, BatchError> {
        let compression = self.header().attributes.compression()?;
        let payload = self.bytes().slice(BATCH_HEADER_LEN..);
        let payload = compression.decompress(&payload, limit)?;
        Ok(RecordIter { header: *self.header(), payload, position: 0, index: 0 })
    }
}

/// Iterator of [`Batch::records`].
///
/// Ends after the stated number of records, or for good after an error. Bytes behind the last
/// record are an error, too.
#[derive(Clone, Debug)]
pub struct RecordIter {
    header: BatchHeader,
    /// The records, decompressed.
    payload: Bytes,
    /// Where the next record starts in `payload`.
    position: usize,
    /// Which record is next, counted from 0. Beyond the record count: the end was reached.
    index: i32,
}

impl RecordIter {
    fn finish(&mut self) {
        self.position = self.payload.len();
        self.index = self.header.record_count.max(0);
    }

    fn read(&mut self) -> Result<Record, RecordError> {
        let mut rest = self.payload.get(self.position..).unwrap_or_default();
        let length = varint::take_i32(&mut rest)?;
        let length = usize::try_from(length).map_err(|_| RecordError::Length(length))?;
        let body = rest.get(..length).ok_or(RecordError::Truncated)?;
        let mut fields = Fields { payload: &self.payload, rest: body };
        let record = fields.record(&self.header)?;
        if !fields.rest.is_empty() {
            return Err(RecordError::Trailing { bytes: fields.rest.len() });
        }
        self.position = self.payload.len() - rest.len() + length;
        Ok(record)
    }
}

impl Iterator for RecordIter {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.header.record_count {
            let bytes = self.payload.len() - self.position;
            self.finish();
            return (bytes > 0).then_some(Err(BatchError::TrailingRecords { bytes }));
        }
        let index = self.index;
        match self.read() {
            Ok(record) => {
                self.index += 1;
                Some(Ok(record))
            }
            Err(cause) => {
                self.finish();
                Some(Err(BatchError::Record { index, cause }))
            }
        }
    }
}

impl FusedIterator for RecordIter {}

/// The fields of one record.
struct Fields<'a> {
    /// What slices are cut from.
    payload: &'a Bytes,
    /// The part of `payload` that is still unread.
    rest: &'a [u8],
}

impl Fields<'_> {
    fn record(&mut self, batch: &BatchHeader) -> Result<Record, RecordError> {
        self.attributes()?;
        let timestamp_delta = varint::take_i64(&mut self.rest)?;
        let offset_delta = varint::take_i32(&mut self.rest)?;
        Ok(Record {
            offset: batch.base_offset.saturating_add(offset_delta.into()),
            timestamp: match batch.attributes.timestamp_type() {
                TimestampType::Create => batch.base_timestamp.wrapping_add(timestamp_delta),
                TimestampType::LogAppend => batch.max_timestamp,
            },
            key: self.nullable()?,
            value: self.nullable()?,
            headers: self.headers()?,
        })
    }

    /// One byte, of which no bit has a meaning yet.
    fn attributes(&mut self) -> Result<(), RecordError> {
        let (_, rest) = self.rest.split_first().ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(())
    }

    fn nullable(&mut self) -> Result<Option<Bytes>, RecordError> {
        match varint::take_i32(&mut self.rest)? {
            -1 => Ok(None),
            length => self.slice(length).map(Some),
        }
    }

    fn headers(&mut self) -> Result<Vec<Header>, RecordError> {
        let count = varint::take_i32(&mut self.rest)?;
        let expected = usize::try_from(count).map_err(|_| RecordError::Length(count))?;
        // The smallest header takes two bytes, so that this many cannot be there. The list grows
        // with what is read: a count alone makes nobody take memory.
        if expected > self.rest.len() / 2 {
            return Err(RecordError::Truncated);
        }
        let mut headers = Vec::new();
        for _ in 0..expected {
            let key_length = varint::take_i32(&mut self.rest)?;
            headers.push(Header { key: self.slice(key_length)?, value: self.nullable()? });
        }
        Ok(headers)
    }

    fn slice(&mut self, length: i32) -> Result<Bytes, RecordError> {
        let length = usize::try_from(length).map_err(|_| RecordError::Length(length))?;
        let (slice, rest) = self.rest.split_at_checked(length).ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(self.payload.slice_ref(slice))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Attributes, golden};
    use super::*;

    /// Reads `payload` as `record_count` records of an uncompressed batch.
    fn read(record_count: i32, payload: &[u8]) -> Result<Vec<Record>, BatchError> {
        let header = BatchHeader { record_count, ..golden::header() };
        Batch::sealed(header, [&header.encode(), payload].concat()).records(0)?.collect()
    }

    fn check(payload: &[u8], cause: RecordError) {
        assert_eq!(read(1, payload), Err(BatchError::Record { index: 0, cause }));
    }

    #[test]
    fn golden_records() {
        let batch = Batch::parse(golden::bytes()).unwrap();
        let records: Result<Vec<_>, _> = batch.records(0).unwrap().collect();
        assert_eq!(records, Ok(golden::records()));
    }

    #[test]
    fn slices_share_the_batch() {
        let batch = Batch::parse(golden::bytes()).unwrap();
        let record = batch.records(0).unwrap().next().unwrap().unwrap();
        assert_eq!(record.key.unwrap().as_ptr(), batch.bytes()[66..].as_ptr());
    }

    #[test]
    fn append_time_is_the_time_of_all_records() {
        let batch = Batch::parse(golden::bytes()).unwrap().with_log_append_time(9);
        let times: Vec<_> = batch.records(0).unwrap().map(|r| r.unwrap().timestamp).collect();
        assert_eq!(times, [9, 9]);
    }

    #[test]
    fn lengths_and_counts_are_not_believed() {
        // Length, attributes, timestamp delta, offset delta, key, value, headers.
        check(&[], RecordError::Truncated);
        check(&[0x01], RecordError::Length(-1));
        check(&[0x0e, 0, 0, 0, 1, 1, 0], RecordError::Truncated);
        check(&[0x0e, 0, 0, 0, 1, 1, 0, 0], RecordError::Trailing { bytes: 1 });
        check(&[0x0c, 0, 0, 0, 3, 1, 0], RecordError::Length(-2));
        check(&[0x0c, 0, 0, 0, 8, 1, 0], RecordError::Truncated);
        check(&[0x0c, 0, 0, 0, 1, 1, 1], RecordError::Length(-1));
        check(&[0x0c, 0, 0, 0, 1, 1, 2], RecordError::Truncated);
        check(&[0x10, 0, 0, 0, 1, 1, 2, 1, 1], RecordError::Length(-1));
        check(&[0x14, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f], RecordError::Truncated);
        check(&[0xff, 0xff, 0xff, 0xff, 0x1f], RecordError::Varint);
        assert_eq!(read(1, &[0x0c, 0, 0, 0, 1, 1, 0]).map(|records| records.len()), Ok(1));
    }

    #[test]
    fn record_count_and_bytes_must_agree() {
        let payload = &golden::bytes()[BATCH_HEADER_LEN..];
        assert_eq!(read(2, payload), Ok(golden::records()));
        assert_eq!(read(1, payload), Err(BatchError::TrailingRecords { bytes: 7 }));
        let cut = BatchError::Record { index: 2, cause: RecordError::Truncated };
        assert_eq!(read(3, payload), Err(cut));
        assert_eq!(read(i32::MAX, payload), Err(cut));
        assert_eq!(read(0, &[]), Ok(vec![]));
        for negative in [-1, i32::MIN] {
            assert_eq!(read(negative, payload), Err(BatchError::TrailingRecords { bytes: 22 }));
        }
    }

    #[test]
    fn every_cut_payload_is_an_error() {
        let payload = &golden::bytes()[BATCH_HEADER_LEN..];
        for present in 0..payload.len() {
            assert!(read(2, &payload[..present]).is_err(), "cut at {present}");
        }
    }

    #[test]
    fn iteration_ends_with_the_first_error() {
        let header = BatchHeader { record_count: 5, ..golden::header() };
        let batch = Batch::sealed(header, [&header.encode()[..], &[0x01; 9]].concat());
        let mut records = batch.records(0).unwrap();
        assert!(records.next().is_some_and(|record| record.is_err()));
        assert_eq!(records.next(), None);
        assert_eq!(records.next(), None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            attributes: i16,
            record_count: i32,
            payload in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let attributes = Attributes(attributes);
            let header = BatchHeader { attributes, record_count, ..golden::header() };
            let batch = Batch::sealed(header, [&header.encode()[..], &payload].concat());
            if let Ok(records) = batch.records(10_000) {
                prop_assert!(records.count() <= 10_001);
            }
        }

        #[test]
        fn damaged_records_never_panic(at in 61usize..83, byte: u8, count in -1i32..4) {
            let mut bytes = golden::bytes().to_vec();
            bytes[at] = byte;
            let header = BatchHeader { record_count: count, ..golden::header() };
            let batch = Batch::sealed(header, bytes);
            prop_assert!(batch.records(0).unwrap().count() <= 4);
        }
    }
}
