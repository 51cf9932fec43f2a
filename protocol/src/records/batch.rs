//! A record batch and its header.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Attributes, BatchError, TimestampType, crc32c};

/// Bytes of a batch header, that is of a batch without its records.
pub const BATCH_HEADER_LEN: usize = 61;

/// Bytes of base offset and batch length, which the batch length does not count.
pub const LOG_OVERHEAD: usize = 12;

const MAGIC: i8 = BatchHeader::MAGIC;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
/// First byte the checksum covers. All before it may change without a new checksum.
const CHECKED_FROM: usize = 21;
/// What the batch length counts of the header: at least this much must be announced.
const LENGTH_MIN: i32 = (BATCH_HEADER_LEN - LOG_OVERHEAD) as i32;

/// The fields of a batch header, in the order of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record. A producer sends 0; the log assigns the real one.
    pub base_offset: i64,
    /// Bytes that follow this field, up to the end of the batch.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch, -1 before that.
    pub leader_epoch: i32,
    /// Format version, 2.
    pub magic: i8,
    /// CRC-32C from the attributes to the end of the batch.
    pub crc: u32,
    /// Compression, timestamp type, transaction, control.
    pub attributes: Attributes,
    /// Offset of the last record minus the base offset. Compaction keeps it when it drops records.
    pub last_offset_delta: i32,
    /// Milliseconds since 1970 to which the records' timestamps are relative.
    pub base_timestamp: i64,
    /// Greatest timestamp of the records, in milliseconds since 1970.
    pub max_timestamp: i64,
    /// Id of an idempotent producer, otherwise -1.
    pub producer_id: i64,
    /// Epoch of an idempotent producer, otherwise -1.
    pub producer_epoch: i16,
    /// Sequence number of the first record, -1 without a producer id.
    pub base_sequence: i32,
    /// Records in the batch.
    pub record_count: i32,
}

impl BatchHeader {
    /// The only format version there is here.
    pub const MAGIC: i8 = 2;

    /// Reads a header from the start of `bytes`, which may go on behind it.
    ///
    /// Only the structure is looked at: the version is 2 and the announced length covers the
    /// header. Fails with [`BatchError::Truncated`] on fewer than [`BATCH_HEADER_LEN`] bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(mut head) = bytes.get(..BATCH_HEADER_LEN) else {
            let present = bytes.len();
            return Err(BatchError::Truncated { needed: BATCH_HEADER_LEN, present });
        };
        let header = Self {
            base_offset: head.get_i64(),
            batch_length: head.get_i32(),
            leader_epoch: head.get_i32(),
            magic: head.get_i8(),
            crc: head.get_u32(),
            attributes: Attributes(head.get_i16()),
            last_offset_delta: head.get_i32(),
            base_timestamp: head.get_i64(),
            max_timestamp: head.get_i64(),
            producer_id: head.get_i64(),
            producer_epoch: head.get_i16(),
            base_sequence: head.get_i32(),
            record_count: head.get_i32(),
        };
        if header.magic != MAGIC {
            return Err(BatchError::Magic(header.magic));
        }
        if header.batch_length < LENGTH_MIN {
            return Err(BatchError::Length(header.batch_length));
        }
        Ok(header)
    }

    /// The header as bytes. The checksum is the field's and is not computed here.
    #[must_use]
    pub fn encode(&self) -> [u8; BATCH_HEADER_LEN] {
        let mut bytes = [0; BATCH_HEADER_LEN];
        let mut out = &mut bytes[..];
        out.put_i64(self.base_offset);
        out.put_i32(self.batch_length);
        out.put_i32(self.leader_epoch);
        out.put_i8(self.magic);
        out.put_u32(self.crc);
        out.put_i16(self.attributes.0);
        out.put_i32(self.last_offset_delta);
        out.put_i64(self.base_timestamp);
        out.put_i64(self.max_timestamp);
        out.put_i64(self.producer_id);
        out.put_i16(self.producer_epoch);
        out.put_i32(self.base_sequence);
        out.put_i32(self.record_count);
        bytes
    }

    /// Offset of the last record; the greatest possible offset where the sum has no room.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Bytes of the whole batch, this header included. A parsed header announces at least
    /// [`BATCH_HEADER_LEN`].
    #[must_use]
    pub fn size(&self) -> usize {
        LOG_OVERHEAD + usize::try_from(self.batch_length).unwrap_or(0)
    }

    /// Sequence number of the last record, -1 when the batch has none.
    ///
    /// Sequence numbers go up to 2^31 - 1 and then start again at 0.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        self.base_sequence.wrapping_add(self.last_offset_delta) & i32::MAX
    }

    /// Whether an idempotent producer wrote the batch.
    #[must_use]
    pub fn has_producer(&self) -> bool {
        self.producer_id >= 0
    }
}

/// One whole batch, sharing the buffer it was cut from.
///
/// Its structure is sound by construction; its checksum and counts are checked only by
/// [`check`](Self::check) and [`check_produced`](Self::check_produced). A clone shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
}

impl Batch {
    /// Cuts the first batch off `input`.
    ///
    /// `None` means that `input` is empty or ends within a batch, and leaves it as it was: a Fetch
    /// answer may end so, and a caller to whom that is an error sees that `input` is not empty.
    pub fn split_first(input: &mut Bytes) -> Result<Option<Self>, BatchError> {
        if let Some(&magic) = input.get(MAGIC_AT)
            && magic != MAGIC as u8
        {
            return Err(BatchError::Magic(magic as i8));
        }
        let header = match BatchHeader::parse(input) {
            Ok(header) => header,
            Err(BatchError::Truncated { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if header.size() > input.len() {
            return Ok(None);
        }
        let bytes = input.split_to(header.size());
        Ok(Some(Self { header, bytes }))
    }

    /// The one batch that `bytes` are, no less and no more.
    pub fn parse(bytes: Bytes) -> Result<Self, BatchError> {
        let mut rest = bytes;
        match Self::split_first(&mut rest)? {
            Some(batch) if rest.is_empty() => Ok(batch),
            Some(_) => Err(BatchError::Trailing { bytes: rest.len() }),
            None => {
                let needed = BatchHeader::parse(&rest).map_or(BATCH_HEADER_LEN, |h| h.size());
                Err(BatchError::Truncated { needed, present: rest.len() })
            }
        }
    }

    /// Writes `header` into the room that `bytes` has for it in front of the records, with the
    /// length and the checksum that result.
    ///
    /// The caller has made sure that the length fits its field.
    pub(super) fn sealed(header: BatchHeader, bytes: Vec<u8>) -> Self {
        Self::headed(header, bytes, seal)
    }

    /// As [`sealed`](Self::sealed), but for the checksum, which is 0.
    pub(super) fn unsummed(header: BatchHeader, bytes: Vec<u8>) -> Self {
        Self::headed(header, bytes, |header, bytes| {
            bytes[..BATCH_HEADER_LEN].copy_from_slice(&header.encode());
            header.crc
        })
    }

    /// `write` writes the header, with the length that results, and tells the checksum.
    fn headed(
        mut header: BatchHeader,
        mut bytes: Vec<u8>,
        write: impl FnOnce(&BatchHeader, &mut [u8]) -> u32,
    ) -> Self {
        let length = bytes.len() - LOG_OVERHEAD;
        header.batch_length = i32::try_from(length).expect("the caller checked the length");
        header.crc = write(&header, &mut bytes);
        Self { header, bytes: bytes.into() }
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch as it came.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Compares the checksum in the header with that of the bytes.
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let stored = self.header.crc;
        let computed = crc32c(&self.bytes[CHECKED_FROM..]);
        if stored != computed {
            return Err(BatchError::Checksum { stored, computed });
        }
        Ok(())
    }

    /// Checks all that can be known without decompressing, of a batch from any log: the checksum,
    /// the compression, and that the records fit into the offsets, of which compaction may have
    /// freed some or all.
    pub fn check(&self) -> Result<(), BatchError> {
        self.verify_crc()?;
        self.header.attributes.compression()?;
        let BatchHeader { record_count, last_offset_delta, .. } = self.header;
        if record_count < 0 || last_offset_delta < 0 || last_offset_delta < record_count - 1 {
            return Err(BatchError::Count { record_count, last_offset_delta });
        }
        Ok(())
    }

    /// Checks a batch that a client asks to append: what [`check`](Self::check) does, and that
    /// there is at least one record and exactly one for each offset, that the batch is not a
    /// control batch, and that a producer id comes with an epoch and a sequence number.
    pub fn check_produced(&self) -> Result<(), BatchError> {
        self.check()?;
        let header = &self.header;
        let BatchHeader { record_count, last_offset_delta, .. } = *header;
        if record_count < 1 || last_offset_delta != record_count - 1 {
            return Err(BatchError::Count { record_count, last_offset_delta });
        }
        if header.attributes.is_control() {
            return Err(BatchError::Control);
        }
        // Kafka takes an id without an epoch for no producer at all.
        if header.has_producer() && header.base_sequence < 0 {
            return Err(BatchError::Producer {
                producer_id: header.producer_id,
                producer_epoch: header.producer_epoch,
                base_sequence: header.base_sequence,
            });
        }
        Ok(())
    }

    /// The first 16 bytes of this batch as the log writes them: with its own base offset and
    /// leader epoch. They lie outside the checksum, so that what follows them,
    /// `bytes()[16..]`, is written as it came.
    #[must_use]
    pub fn stamp(&self, base_offset: i64, leader_epoch: i32) -> [u8; 16] {
        let mut stamp = [0; 16];
        let mut out = &mut stamp[..];
        out.put_i64(base_offset);
        out.put_i32(self.header.batch_length);
        out.put_i32(leader_epoch);
        stamp
    }

    /// This batch with the time of its append, in milliseconds since 1970, as the timestamp of all
    /// its records. The base timestamp stays, as in Kafka.
    ///
    /// Only header fields and the checksum change, and records are not decoded. The change is made
    /// in place when this batch is the only owner of its buffer. Otherwise others may be reading
    /// the buffer, and the whole batch is copied first.
    #[must_use]
    pub fn with_log_append_time(self, append_time_ms: i64) -> Self {
        let mut header = self.header;
        header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppend);
        header.max_timestamp = append_time_ms;
        self.with_header(header)
    }

    /// This batch without the mark that its timestamps are those of an append, which a client may
    /// have set although only a broker can know. Costs what
    /// [`with_log_append_time`](Self::with_log_append_time) costs.
    #[must_use]
    pub fn with_create_time(self) -> Self {
        let mut header = self.header;
        header.attributes = header.attributes.with_timestamp_type(TimestampType::Create);
        self.with_header(header)
    }

    /// The same records under a header that tells this of the newest of them.
    #[must_use]
    pub fn with_max_timestamp(self, max_timestamp: i64) -> Self {
        let header = BatchHeader { max_timestamp, ..self.header };
        self.with_header(header)
    }

    /// The same records under another header, whose checksum is made anew.
    fn with_header(self, mut header: BatchHeader) -> Self {
        let bytes = self.bytes;
        let mut bytes = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        header.crc = seal(&header, &mut bytes);
        Self { header, bytes: bytes.freeze() }
    }
}

/// Writes `header` over the start of the batch in `bytes`, with the checksum of the result, which
/// is returned.
fn seal(header: &BatchHeader, bytes: &mut [u8]) -> u32 {
    bytes[..BATCH_HEADER_LEN].copy_from_slice(&header.encode());
    let crc = crc32c(&bytes[CHECKED_FROM..]);
    bytes[CRC_AT..CHECKED_FROM].copy_from_slice(&crc.to_be_bytes());
    crc
}

/// The batches of `input`, one after the other.
///
/// Ends quietly at a partial last batch, which [`Batches::rest`] then holds, and for good after an
/// error, since nothing tells where the next batch would start.
#[must_use]
pub fn batches(input: Bytes) -> Batches {
    Batches { rest: input, failed: false }
}

/// Iterator of [`batches`].
#[derive(Clone, Debug)]
pub struct Batches {
    rest: Bytes,
    failed: bool,
}

impl Batches {
    /// The bytes from which no batch was cut: at the end, those of a partial batch.
    #[must_use]
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = Batch::split_first(&mut self.rest).transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::*;

    fn golden() -> Batch {
        Batch::parse(golden::bytes()).unwrap()
    }

    /// The golden batch with a changed header and the checksum that fits it.
    fn golden_with(change: impl FnOnce(&mut BatchHeader)) -> Batch {
        let mut header = golden::header();
        change(&mut header);
        Batch::sealed(header, golden::bytes().to_vec())
    }

    #[test]
    fn header_is_read_and_written() {
        assert_eq!(BatchHeader::parse(&golden::bytes()), Ok(golden::header()));
        assert_eq!(golden::header().encode(), golden::bytes()[..BATCH_HEADER_LEN]);
        assert_eq!(golden::header().size(), golden::bytes().len());
        assert_eq!(golden::header().last_offset(), 41);
        assert!(golden::header().has_producer());
    }

    #[test]
    fn sequence_wraps_to_zero() {
        let last = |base_sequence, last_offset_delta| {
            BatchHeader { base_sequence, last_offset_delta, ..golden::header() }.last_sequence()
        };
        assert_eq!(last(7, 1), 8);
        assert_eq!(last(i32::MAX - 1, 1), i32::MAX);
        assert_eq!(last(i32::MAX, 1), 0);
        assert_eq!(last(i32::MAX - 1, 4), 2);
        assert_eq!(last(-1, 4), -1);
    }

    #[test]
    fn golden_batch_is_sound() {
        assert_eq!(golden().header(), &golden::header());
        assert_eq!(golden().check(), Ok(()));
        assert_eq!(golden().check_produced(), Ok(()));
    }

    #[test]
    fn partial_batch_is_none_or_an_error_where_it_must_be_whole() {
        let whole = golden::bytes();
        for present in 0..whole.len() {
            let mut input = whole.slice(..present);
            assert_eq!(Batch::split_first(&mut input), Ok(None));
            assert_eq!(input.len(), present, "what was not cut off stays");
            let needed = if present < BATCH_HEADER_LEN { BATCH_HEADER_LEN } else { whole.len() };
            let error = BatchError::Truncated { needed, present };
            assert_eq!(Batch::parse(whole.slice(..present)), Err(error));
        }
    }

    #[test]
    fn version_and_length_are_judged_before_the_bytes_they_announce() {
        let mut bytes = BytesMut::from(&golden::bytes()[..]);
        for length in [i32::MIN, -1, 0, 48] {
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            let result = Batch::split_first(&mut bytes.clone().freeze());
            assert_eq!(result, Err(BatchError::Length(length)));
        }
        bytes[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(Batch::split_first(&mut bytes.clone().freeze()), Ok(None));
        bytes[MAGIC_AT] = 1;
        let result = Batch::split_first(&mut bytes.freeze().slice(..=MAGIC_AT));
        assert_eq!(result, Err(BatchError::Magic(1)));
    }

    #[test]
    fn every_flipped_bit_under_the_checksum_is_found() {
        let whole = golden::bytes();
        for bit in CRC_AT * 8..whole.len() * 8 {
            let mut bytes = BytesMut::from(&whole[..]);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let batch = Batch::parse(bytes.freeze()).unwrap();
            assert!(matches!(batch.check(), Err(BatchError::Checksum { .. })), "bit {bit}");
        }
    }

    #[test]
    fn counts_must_fit_the_offsets() {
        let check = |record_count, last_offset_delta| {
            let batch = golden_with(|header| {
                header.record_count = record_count;
                header.last_offset_delta = last_offset_delta;
            });
            (batch.check().is_ok(), batch.check_produced().is_ok())
        };
        assert_eq!(check(2, 1), (true, true));
        assert_eq!(check(1, 1), (true, false), "compaction dropped one");
        assert_eq!(check(0, 1), (true, false), "compaction dropped all");
        assert_eq!(check(3, 1), (false, false));
        assert_eq!(check(0, -1), (false, false));
        assert_eq!(check(-1, 0), (false, false));
        assert_eq!(check(i32::MIN, i32::MIN), (false, false));
        assert_eq!(check(i32::MAX, i32::MAX - 1), (true, true), "nothing was decoded");
    }

    #[test]
    fn clients_may_not_write_what_is_the_brokers() {
        let control = golden_with(|h| h.attributes = h.attributes.with_control(true));
        assert_eq!(control.check(), Ok(()));
        assert_eq!(control.check_produced(), Err(BatchError::Control));

        let unknown = golden_with(|h| h.attributes = Attributes(5));
        assert_eq!(unknown.check(), Err(BatchError::UnknownCompression(5)));

        let unnumbered = golden_with(|h| h.base_sequence = -1);
        assert_eq!(unnumbered.check(), Ok(()));
        assert!(matches!(unnumbered.check_produced(), Err(BatchError::Producer { .. })));

        let anonymous = golden_with(|h| {
            (h.producer_id, h.producer_epoch, h.base_sequence) = (-1, -1, -1);
        });
        assert_eq!(anonymous.check_produced(), Ok(()));
    }

    #[test]
    fn stamp_keeps_the_checksum() {
        let batch = golden();
        let mut bytes = BytesMut::from(&batch.stamp(7_000_000_000, 12)[..]);
        bytes.extend_from_slice(&batch.bytes()[bytes.len()..]);
        let stamped = Batch::parse(bytes.freeze()).unwrap();
        assert_eq!(stamped.check_produced(), Ok(()));
        let expected =
            BatchHeader { base_offset: 7_000_000_000, leader_epoch: 12, ..golden::header() };
        assert_eq!(stamped.header(), &expected);
    }

    #[test]
    fn append_time_changes_its_own_fields_and_no_other_owner() {
        let received = BytesMut::from(&golden::bytes()[..]).freeze();
        let batch = Batch::parse(received.clone()).unwrap();
        let appended = batch.with_log_append_time(1_800_000_000_000);
        assert_eq!(received, golden::bytes(), "someone else's bytes stay");
        assert_eq!(appended.check_produced(), Ok(()));
        let expected = BatchHeader {
            attributes: Attributes(0x08),
            max_timestamp: 1_800_000_000_000,
            crc: appended.header().crc,
            ..golden::header()
        };
        assert_eq!(appended.header(), &expected);
        assert_eq!(BatchHeader::parse(appended.bytes()), Ok(expected));
        assert_eq!(appended.bytes()[BATCH_HEADER_LEN..], received[BATCH_HEADER_LEN..]);

        let address = received.as_ptr();
        let sole = Batch::parse(received).unwrap().with_log_append_time(1_800_000_000_000);
        assert_eq!(sole, appended);
        assert_eq!(sole.bytes().as_ptr(), address, "a sole owner's bytes change in place");
    }

    #[test]
    fn batches_follow_each_other_to_a_partial_one() {
        let one = golden::bytes();
        let mut input = BytesMut::from(&[&one[..], &one[..], &one[..70]].concat()[..]);
        let mut whole = batches(input.clone().freeze());
        assert_eq!(whole.by_ref().collect::<Result<Vec<_>, _>>(), Ok(vec![golden(), golden()]));
        assert_eq!(whole.rest(), &one[..70]);

        input[one.len() + MAGIC_AT] = 0;
        let results: Vec<_> = batches(input.freeze()).collect();
        assert_eq!(results, [Ok(golden()), Err(BatchError::Magic(0))]);
        let two = Bytes::from([&one[..], &one[..]].concat());
        assert_eq!(Batch::parse(two), Err(BatchError::Trailing { bytes: one.len() }));
    }
}
