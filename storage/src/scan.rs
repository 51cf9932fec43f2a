//! Walking over the batches of a segment file, trusting none of its bytes.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use klamm_protocol::records::{BATCH_HEADER_LEN, Batch, BatchError, BatchHeader};

use crate::disk::{DiskFile, Reach};

/// Read ahead when only headers are looked at; small, since batches are mostly skipped.
const HEADERS_AT_ONCE: usize = 16 << 10;
/// Read ahead when whole batches are looked at.
const BATCHES_AT_ONCE: usize = 1 << 20;

/// Walks over the batches in `position..end` of a file.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    file: &'a dyn DiskFile,
    reach: Reach,
    position: u64,
    end: u64,
    /// The least base offset the next batch may have.
    offset_min: i64,
    /// All offsets are below this.
    offset_end: i64,
    /// Where the batch before this one starts, and the least offset that it could have.
    before: Option<(u64, i64)>,
    buffer: Bytes,
    /// Where in the file the buffer starts.
    buffer_at: u64,
}

/// A batch that a scan found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) header: BatchHeader,
    pub(crate) position: u64,
}

/// Why a scan cannot go on.
#[derive(Debug)]
pub(crate) enum ScanError {
    /// The bytes from here on are no batch, or not the one that should follow.
    Damage(Damage),
    /// The disk failed.
    Io(io::Error),
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What is wrong with the bytes at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The header or the checksum is wrong.
    Batch(BatchError),
    /// The batch goes on beyond the end of the segment.
    CutOff,
    /// The batch has offsets below those of the batch before it, or none at all.
    OffsetOrder,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Batch(error) => error.fmt(f),
            Self::CutOff => f.write_str("the batch is cut off"),
            Self::OffsetOrder => f.write_str("the batch is out of order"),
        }
    }
}

impl<'a> Scanner<'a> {
    /// A scan of the batches in `positions`, whose offsets are all in `offsets`.
    pub(crate) fn new(file: &'a dyn DiskFile, positions: Range<u64>, offsets: Range<i64>) -> Self {
        Self {
            file,
            reach: Reach::Device,
            position: positions.start,
            end: positions.end,
            offset_min: offsets.start,
            offset_end: offsets.end,
            before: None,
            buffer: Bytes::new(),
            buffer_at: positions.start,
        }
    }

    /// The same scan, with bytes from no farther than this.
    pub(crate) fn within(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// Where the next batch starts.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The least offset that the next batch may have.
    pub(crate) fn offset_min(&self) -> i64 {
        self.offset_min
    }

    /// Goes on at another place, behind damage.
    pub(crate) fn jump(&mut self, position: u64, offset_min: i64) {
        (self.position, self.offset_min, self.before) = (position, offset_min, None);
    }

    /// Moves a scan of headers, which stands at damage, to where that begins: to the batch before
    /// if its checksum is wrong, since then its length may have led astray.
    pub(crate) fn find_begin_of_damage(&mut self) -> io::Result<()> {
        let Some((position, offset_min)) = self.before else { return Ok(()) };
        let here = (self.position, self.offset_min);
        self.jump(position, offset_min);
        match self.next_batch() {
            Ok(_) => self.jump(here.0, here.1),
            Err(ScanError::Damage(_)) => {}
            Err(ScanError::Io(error)) => return Err(error),
        }
        Ok(())
    }

    /// Reads again what was read before from where the scan stands.
    pub(crate) fn look_again(&mut self) {
        self.buffer = Bytes::new();
    }

    /// Passes over all that is left.
    pub(crate) fn jump_to_end(&mut self) {
        self.position = self.end;
    }

    /// The header of the next batch, whose checksum is not looked at; `None` at the end.
    /// On damage the scan stays where it is.
    pub(crate) fn next_header(&mut self) -> Result<Option<Found>, ScanError> {
        let Some(header) = self.header(HEADERS_AT_ONCE)? else { return Ok(None) };
        Ok(Some(self.step(header)))
    }

    /// The next batch, with its checksum verified; `None` at the end.
    /// On damage the scan stays where it is.
    pub(crate) fn next_batch(&mut self) -> Result<Option<(Found, Batch)>, ScanError> {
        let Some(header) = self.header(BATCHES_AT_ONCE)? else { return Ok(None) };
        let bytes = self.bytes(header.size(), BATCHES_AT_ONCE)?;
        let batch = Batch::parse(bytes).map_err(damage)?;
        batch.verify_crc().map_err(damage)?;
        Ok(Some((self.step(header), batch)))
    }

    /// Looks behind damage for the next place where a batch with a sound checksum starts, and
    /// leaves the scan there. `false`, with the scan at the end, when there is none.
    pub(crate) fn resync(&mut self) -> io::Result<bool> {
        let least = self.offset_min;
        for position in self.position + 1..self.end {
            self.jump(position, least);
            match self.likely_batch() {
                Ok(Some(offset)) => {
                    self.jump(position, offset);
                    return Ok(true);
                }
                Ok(None) | Err(ScanError::Damage(_)) => {}
                Err(ScanError::Io(error)) => return Err(error),
            }
        }
        self.jump(self.end, least);
        Ok(false)
    }

    /// Whether only zeros follow, as in space that was reserved or never reached the device.
    pub(crate) fn only_zeros_follow(&mut self) -> io::Result<bool> {
        let mut position = self.position;
        let mut chunk = vec![0; HEADERS_AT_ONCE];
        while position < self.end {
            let read = self.reach.read_at(self.file, &mut chunk, position)?;
            let part = chunk.get(..read).unwrap_or_default();
            if part.is_empty() || part.iter().any(|byte| *byte != 0) {
                return Ok(part.is_empty());
            }
            position += read as u64;
        }
        Ok(true)
    }

    /// The base offset of the sound batch that starts here. The checksum, which costs most, is
    /// looked at only where the header is one that this segment could have.
    fn likely_batch(&mut self) -> Result<Option<i64>, ScanError> {
        let least = self.offset_min;
        let Some(header) = self.header(BATCHES_AT_ONCE)? else { return Ok(None) };
        let near = header.base_offset.saturating_sub(least) <= i64::from(i32::MAX);
        let counted =
            (0..=header.last_offset_delta.saturating_add(1)).contains(&header.record_count);
        if !near || !counted {
            return Ok(None);
        }
        Ok(self.next_batch()?.map(|(found, _)| found.header.base_offset))
    }

    fn header(&mut self, read_ahead: usize) -> Result<Option<BatchHeader>, ScanError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let bytes = self.bytes(BATCH_HEADER_LEN, read_ahead)?;
        let header = BatchHeader::parse(&bytes).map_err(damage)?;
        if header.base_offset < self.offset_min
            || header.last_offset_delta < 0
            || header.last_offset() >= self.offset_end
        {
            return Err(ScanError::Damage(Damage::OffsetOrder));
        }
        if header.size() as u64 > self.end - self.position {
            return Err(ScanError::Damage(Damage::CutOff));
        }
        if header.base_offset > self.offset_min && self.overtakes_next(&header, read_ahead)? {
            return Err(ScanError::Damage(Damage::OffsetOrder));
        }
        Ok(Some(header))
    }

    /// Whether a batch behind a gap has offsets that the batch after it has as well. No checksum
    /// covers the base offset: a gap is what compaction leaves, or a base offset that rotted.
    fn overtakes_next(&mut self, header: &BatchHeader, ahead: usize) -> Result<bool, ScanError> {
        let position = self.position;
        self.position += header.size() as u64;
        let next = self.bytes(BATCH_HEADER_LEN, ahead);
        self.position = position;
        match next {
            Ok(next) => Ok(BatchHeader::parse(&next)
                .is_ok_and(|next| next.base_offset <= header.last_offset())),
            Err(ScanError::Damage(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn step(&mut self, header: BatchHeader) -> Found {
        let found = Found { header, position: self.position };
        self.before = Some((self.position, self.offset_min));
        self.position += header.size() as u64;
        self.offset_min = header.last_offset() + 1;
        found
    }

    /// `len` bytes from the position on, of which the file must hold all.
    fn bytes(&mut self, len: usize, read_ahead: usize) -> Result<Bytes, ScanError> {
        if len as u64 > self.end - self.position {
            return Err(ScanError::Damage(Damage::CutOff));
        }
        let start = self.position.checked_sub(self.buffer_at).map(|start| start as usize);
        if let Some(start) = start.filter(|start| start + len <= self.buffer.len()) {
            return Ok(self.buffer.slice(start..start + len));
        }
        let rest = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let mut buffer = vec![0; len.max(read_ahead).min(rest)];
        let read = self.reach.read_at(self.file, &mut buffer, self.position)?;
        buffer.truncate(read);
        (self.buffer, self.buffer_at) = (Bytes::from(buffer), self.position);
        if read < len {
            return Err(ScanError::Damage(Damage::CutOff));
        }
        Ok(self.buffer.slice(..len))
    }
}

fn damage(error: BatchError) -> ScanError {
    ScanError::Damage(Damage::Batch(error))
}
