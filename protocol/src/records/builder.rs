//! Building a batch.

use super::{
    Attributes, BATCH_HEADER_LEN, Batch, BatchHeader, BuildError, Compression, Header,
    TimestampType, varint,
};

/// What a batch is besides its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchOptions {
    /// How to compress the records.
    pub compression: Compression,
    /// How hard to, as [`Compression::check_level`] allows. None is the codec's default.
    pub level: Option<i32>,
    /// What the timestamps mean.
    pub timestamp_type: TimestampType,
    /// Whether the batch belongs to a transaction.
    pub transactional: bool,
    /// Whether the records are a broker's marks.
    pub control: bool,
    /// Whether the checksum is left out: for those who will write a producer's number into the
    /// header, which it covers.
    pub unsummed: bool,
}

/// Who wrote a batch, and where in that writer's sequence it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchProducer {
    /// Producer id.
    pub id: i64,
    /// Producer epoch.
    pub epoch: i16,
    /// Sequence number of the first record; -1 for the marks of a transaction, which have none.
    pub base_sequence: i32,
}

impl BatchProducer {
    /// No idempotent producer.
    pub const NONE: Self = Self { id: -1, epoch: -1, base_sequence: -1 };
}

/// Collects records into one batch.
///
/// Each record is written into the batch's buffer as it will travel, without an allocation of its
/// own. Compression happens at the end, of all records at once.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    options: BatchOptions,
    producer: BatchProducer,
    /// Room for the header, then records.
    buffer: Vec<u8>,
    record_count: i32,
    /// That of the first record.
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// An empty batch.
    #[must_use]
    pub fn new(options: BatchOptions) -> Self {
        Self::with_capacity(options, BATCH_HEADER_LEN)
    }

    /// An empty batch that takes no more memory until its records fill `capacity` bytes.
    #[must_use]
    pub fn with_capacity(options: BatchOptions, capacity: usize) -> Self {
        let mut buffer = Vec::with_capacity(capacity.max(BATCH_HEADER_LEN));
        buffer.resize(BATCH_HEADER_LEN, 0);
        Self {
            options,
            producer: BatchProducer::NONE,
            buffer,
            record_count: 0,
            base_timestamp: 0,
            max_timestamp: i64::MIN,
        }
    }

    /// Says who writes the batch. It may be said at any time before [`build`](Self::build), for a
    /// sequence number is given when a batch is sent and not when it is begun.
    pub fn set_producer(&mut self, producer: BatchProducer) {
        self.producer = producer;
    }

    /// Appends a record with a timestamp in milliseconds since 1970, and returns its offset minus
    /// the base offset of the batch. On failure the batch is as before.
    pub fn push(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<i32, BuildError> {
        let delta = self.delta(timestamp);
        let body = body_len(delta, key, value, headers);
        let bytes = self.buffer.len() + varint::len(body as i64) + body;
        if i32::try_from(bytes).is_err() {
            return Err(BuildError::TooLarge { bytes });
        }
        if self.is_empty() {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);

        let out = &mut self.buffer;
        varint::put(body as i64, out);
        put_body(delta, key, value, headers, out);
        debug_assert_eq!(out.len(), bytes, "a record takes what was reckoned");
        let offset_delta = self.record_count;
        self.record_count += 1;
        Ok(offset_delta)
    }

    /// Records so far.
    #[must_use]
    pub fn len(&self) -> usize {
        // Never negative: it counts up from 0.
        self.record_count as usize
    }

    /// Whether there is no record yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Bytes of the batch if it were built now without compression, which is exact, and hardly
    /// ever exceeded with it.
    #[must_use]
    pub fn estimated_size(&self) -> usize {
        self.buffer.len()
    }

    /// What [`estimated_size`](Self::estimated_size) would become by pushing this record.
    #[must_use]
    pub fn estimated_size_with(
        &self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> usize {
        let body = body_len(self.delta(timestamp), key, value, headers);
        self.buffer.len() + varint::len(body as i64) + body
    }

    /// The batch, with this offset for its first record. A producer gives 0.
    pub fn build(self, base_offset: i64) -> Result<Batch, BuildError> {
        if self.is_empty() {
            return Err(BuildError::Empty);
        }
        let header = self.header(base_offset);
        let bytes = match self.options.compression {
            Compression::None => self.buffer,
            codec => {
                let (room, records) = self.buffer.split_at(BATCH_HEADER_LEN);
                let mut bytes = room.to_vec();
                codec.compress(self.options.level, records, &mut bytes)?;
                bytes
            }
        };
        if i32::try_from(bytes.len()).is_err() {
            return Err(BuildError::TooLarge { bytes: bytes.len() });
        }
        Ok(if self.options.unsummed {
            Batch::unsummed(header, bytes)
        } else {
            Batch::sealed(header, bytes)
        })
    }

    /// The header, but for length and checksum.
    fn header(&self, base_offset: i64) -> BatchHeader {
        BatchHeader {
            base_offset,
            batch_length: 0,
            leader_epoch: -1,
            magic: BatchHeader::MAGIC,
            crc: 0,
            attributes: Attributes::default()
                .with_compression(self.options.compression)
                .with_timestamp_type(self.options.timestamp_type)
                .with_transactional(self.options.transactional)
                .with_control(self.options.control),
            last_offset_delta: self.record_count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: self.producer.id,
            producer_epoch: self.producer.epoch,
            base_sequence: self.producer.base_sequence,
            record_count: self.record_count,
        }
    }

    fn delta(&self, timestamp: i64) -> Delta {
        let base = if self.is_empty() { timestamp } else { self.base_timestamp };
        Delta { timestamp: timestamp.wrapping_sub(base), offset: self.record_count.into() }
    }
}

/// What a record states relative to its batch.
#[derive(Clone, Copy)]
pub(super) struct Delta {
    pub(super) timestamp: i64,
    pub(super) offset: i64,
}

/// Bytes of a record without the length in front of it.
pub(super) fn body_len(
    delta: Delta,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header],
) -> usize {
    const ATTRIBUTES_LEN: usize = 1;
    let headers_len: usize = headers
        .iter()
        .map(|header| nullable_len(Some(&header.key)) + nullable_len(header.value.as_deref()))
        .sum();
    ATTRIBUTES_LEN
        + varint::len(delta.timestamp)
        + varint::len(delta.offset)
        + nullable_len(key)
        + nullable_len(value)
        + varint::len(headers.len() as i64)
        + headers_len
}

/// Writes what [`body_len`] counts.
pub(super) fn put_body(
    delta: Delta,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header],
    out: &mut Vec<u8>,
) {
    out.push(0);
    varint::put(delta.timestamp, out);
    varint::put(delta.offset, out);
    put_nullable(key, out);
    put_nullable(value, out);
    varint::put(headers.len() as i64, out);
    for header in headers {
        put_nullable(Some(&header.key), out);
        put_nullable(header.value.as_deref(), out);
    }
}

fn nullable_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(varint::len(-1), |bytes| varint::len(bytes.len() as i64) + bytes.len())
}

fn put_nullable(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    match bytes {
        None => varint::put(-1, out),
        Some(bytes) => {
            varint::put(bytes.len() as i64, out);
            out.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::super::{Record, golden};
    use super::*;

    fn push(builder: &mut BatchBuilder, record: &Record) -> i32 {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let expected = builder.estimated_size_with(record.timestamp, key, value, &record.headers);
        let delta = builder.push(record.timestamp, key, value, &record.headers).unwrap();
        assert_eq!(builder.estimated_size(), expected);
        delta
    }

    fn build(options: BatchOptions, records: &[Record]) -> Batch {
        let mut builder = BatchBuilder::new(options);
        for (index, record) in records.iter().enumerate() {
            assert_eq!(usize::try_from(push(&mut builder, record)), Ok(index));
        }
        assert_eq!(builder.len(), records.len());
        let size = builder.estimated_size();
        let batch = builder.build(records[0].offset).unwrap();
        if options.compression == Compression::None {
            assert_eq!(batch.bytes().len(), size);
        }
        batch
    }

    #[test]
    fn golden_batch_is_built() {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for record in golden::records() {
            push(&mut builder, &record);
        }
        builder.set_producer(BatchProducer { id: 4001, epoch: 3, base_sequence: 7 });
        let batch = builder.build(40).unwrap();
        assert_eq!(batch.header().leader_epoch, -1);
        assert_eq!(batch.stamp(40, 5), golden::bytes()[..16]);
        assert_eq!(batch.bytes()[16..], golden::bytes()[16..]);
    }

    #[test]
    fn an_empty_batch_is_refused() {
        let builder = BatchBuilder::new(BatchOptions::default());
        assert!(builder.is_empty());
        assert_eq!(builder.estimated_size(), BATCH_HEADER_LEN);
        assert_eq!(builder.build(0), Err(BuildError::Empty));
    }

    #[test]
    fn a_wrong_level_is_told_at_the_end() {
        let options =
            BatchOptions { compression: Compression::Zstd, level: Some(23), ..Default::default() };
        let mut builder = BatchBuilder::new(options);
        builder.push(0, None, None, &[]).unwrap();
        assert!(matches!(builder.build(0), Err(BuildError::Compression(_))));
    }

    #[test]
    fn options_and_times_reach_the_header() {
        let options = BatchOptions {
            timestamp_type: TimestampType::LogAppend,
            transactional: true,
            control: true,
            ..BatchOptions::default()
        };
        let mut builder = BatchBuilder::with_capacity(options, 1000);
        for timestamp in [-5, -9, -7] {
            builder.push(timestamp, None, None, &[]).unwrap();
        }
        let header = *builder.build(i64::MAX - 2).unwrap().header();
        assert_eq!(header.attributes, Attributes(0b11_1000));
        assert_eq!((header.base_timestamp, header.max_timestamp), (-5, -5));
        assert_eq!((header.last_offset(), header.last_sequence()), (i64::MAX, -1));
        assert!(!header.has_producer());
    }

    fn bytes() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..80).prop_map(Bytes::from)
    }

    fn record() -> impl Strategy<Value = Record> {
        let header =
            (bytes(), prop::option::of(bytes())).prop_map(|(key, value)| Header { key, value });
        let headers = prop::collection::vec(header, 0..4);
        (any::<i64>(), prop::option::of(bytes()), prop::option::of(bytes()), headers).prop_map(
            |(timestamp, key, value, headers)| Record { offset: 0, timestamp, key, value, headers },
        )
    }

    proptest! {
        #[test]
        fn records_round_trip(
            mut records in prop::collection::vec(record(), 1..40),
            base_offset in 0..i64::MAX - 40,
        ) {
            for (offset, record) in (base_offset..).zip(&mut records) {
                record.offset = offset;
            }
            for compression in Compression::ALL {
                let options = BatchOptions { compression, ..BatchOptions::default() };
                let batch = build(options, &records);
                prop_assert_eq!(batch.check_produced(), Ok(()));
                let parsed = Batch::parse(batch.bytes().clone()).unwrap();
                prop_assert_eq!(&parsed, &batch);
                let max = records.iter().map(|record| record.timestamp).max();
                prop_assert_eq!(Some(batch.header().max_timestamp), max);
                let read: Result<Vec<_>, _> = parsed.records(1 << 20).unwrap().collect();
                prop_assert_eq!(read.as_ref(), Ok(&records));
            }
        }
    }
}
