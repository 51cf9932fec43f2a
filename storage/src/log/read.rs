//! Reading whole batches.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use klamm_protocol::records::{Batch, BatchHeader};

use super::{Log, LogInner, State};
use crate::disk::{CachedFile, OpenMode, Reach};
use crate::error::{At, Corrupt, DiskError, ReadError};
use crate::index::Access;
use crate::notes::Notes;
use crate::offsets::Bound;
use crate::options::VerifyReads;
use crate::scan::{Found, ScanError, Scanner};
use crate::segment::{self, Place, Segment};

/// What is brought into memory ahead of a reader that waits for the device, at the least.
const AHEAD_MIN: u64 = 4 << 20;

/// Batches as they lie on disk, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Whole batches. The first contains the offset that was asked for, or is the first one
    /// behind it where compaction left a gap.
    pub bytes: Bytes,
    /// Offset of the first record in `bytes`; the offset that was asked for when there is none.
    pub base_offset: i64,
    /// Where the next read goes on.
    pub next_offset: i64,
}

impl Slice {
    fn empty(offset: i64) -> Self {
        Self { bytes: Bytes::new(), base_offset: offset, next_offset: offset }
    }
}

/// A segment as it was when a read began.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) segment: Segment,
    pub(super) sealed: bool,
    pub(super) generation: u64,
    /// Base offset of the segment behind it, or the end of the log.
    pub(super) next: i64,
}

/// What a reader asks of a log.
#[derive(Clone, Copy, Debug)]
struct Ask {
    size_max: usize,
    min_one: bool,
    bound: Bound,
    reach: Reach,
}

/// What one read asks of a segment.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    from: i64,
    size_max: usize,
    min_one: bool,
    limit: i64,
    verify: VerifyReads,
    reach: Reach,
}

impl Log {
    /// Whole batches from the one that contains `from` on, up to `bound` and to about `size_max`
    /// bytes: none when `from` is at the bound, and, only with `min_one`, a first batch that is
    /// larger than `size_max`. Never crosses from one segment to the next. May block on the disk.
    pub fn read(
        &self,
        from: i64,
        size_max: usize,
        min_one: bool,
        bound: Bound,
    ) -> Result<Slice, ReadError> {
        match self.read_at_once(from, size_max, min_one, bound)? {
            Some(slice) => Ok(slice),
            None => self.0.read(from, Ask { size_max, min_one, bound, reach: Reach::Device }),
        }
    }

    /// As [`read`](Self::read), but never waits for the disk: `None` when that would be needed.
    pub fn read_at_once(
        &self,
        from: i64,
        size_max: usize,
        min_one: bool,
        bound: Bound,
    ) -> Result<Option<Slice>, ReadError> {
        let ask = Ask { size_max, min_one, bound, reach: Reach::Memory };
        match self.0.read(from, ask) {
            Ok(slice) => Ok(Some(slice)),
            Err(ReadError::Disk(error)) if error.would_block() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Calls `visit` with the header and the position in its segment of each batch from the one
    /// that contains `from` on, up to the end of the log, in order. Damage is passed over and told
    /// in the program's log. May block on the disk.
    pub fn scan(
        &self,
        from: i64,
        mut visit: impl FnMut(&BatchHeader, u64),
    ) -> Result<(), ReadError> {
        let mut at = from;
        loop {
            let snapshot = {
                let state = self.0.lock();
                state.check_readable(from)?;
                if at >= state.end() {
                    return Ok(());
                }
                state.snapshot(at)
            };
            match snapshot.scan(&self.0.place, &mut at, &mut visit) {
                Ok(()) => at = at.max(snapshot.next),
                // The segment changed under the scan, which goes on where it is.
                Err(_) if self.0.lock().generation != snapshot.generation => {}
                Err(ReadError::Corrupt(corrupt)) => {
                    tracing::warn!(log = self.name(), %corrupt, "what is there is not looked at");
                    at = at.max(corrupt.offsets.end);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl LogInner {
    fn read(&self, from: i64, ask: Ask) -> Result<Slice, ReadError> {
        let Ask { size_max, min_one, bound, reach } = ask;
        let mut at = from;
        loop {
            let (snapshot, wanted) = {
                let state = self.lock();
                state.check_readable(from)?;
                let (limit, verify) = (state.limit(bound), state.options.verify_reads);
                if at >= limit {
                    return Ok(Slice::empty(from));
                }
                let wanted = Wanted { from: at, size_max, min_one, limit, verify, reach };
                (state.snapshot(at), wanted)
            };
            match snapshot.read(self, wanted) {
                Ok(Some(slice)) => return Ok(slice),
                Ok(None) => at = snapshot.next.max(at + 1),
                // The segment changed under the read: what it saw says nothing.
                Err(_) if self.lock().generation != snapshot.generation => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes a look that may fail because segments change under it, until it does not.
    pub(super) fn look<T>(
        &self,
        mut look: impl FnMut() -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        loop {
            let generation = self.lock().generation;
            match look() {
                Err(_) if self.lock().generation != generation => {}
                looked => return looked,
            }
        }
    }
}

impl State {
    pub(super) fn check_readable(&self, from: i64) -> Result<(), ReadError> {
        let (start, end) = (self.start, self.end());
        if self.closed {
            return Err(ReadError::Closed);
        }
        if !(start..=end).contains(&from) {
            return Err(ReadError::OffsetOutOfRange { start, end });
        }
        Ok(())
    }

    /// The segment that holds `offset`, or would.
    pub(super) fn snapshot(&self, offset: i64) -> Snapshot {
        let behind = self.sealed.partition_point(|segment| segment.base <= offset);
        let generation = self.generation;
        if offset >= self.active.base {
            let (segment, next) = (self.active.clone(), self.end());
            return Snapshot { segment, sealed: false, generation, next };
        }
        let found = behind.checked_sub(1).and_then(|at| self.sealed.get(at));
        let next = self.sealed.get(behind).unwrap_or(&self.active).base;
        let segment = found.or(self.sealed.first()).unwrap_or(&self.active).clone();
        Snapshot { segment, sealed: true, generation, next }
    }
}

impl Snapshot {
    pub(super) fn file(&self, place: &Place) -> Result<Arc<CachedFile>, DiskError> {
        let path = || place.path(self.segment.base, segment::LOG);
        self.segment.log_file(place, OpenMode::Existing).at("open", path())
    }

    /// The file as far as a read of this reach can have it.
    fn file_within(&self, place: &Place, reach: Reach) -> Result<Arc<CachedFile>, DiskError> {
        match reach {
            Reach::Device => self.file(place),
            Reach::Memory => {
                let held = self.segment.held_log_file(&place.files);
                let path = || place.path(self.segment.base, segment::LOG);
                held.ok_or(io::ErrorKind::WouldBlock.into()).at("open", path())
            }
        }
    }

    /// How indexes are read.
    pub(super) fn access(&self, reach: Reach) -> Access {
        match reach {
            Reach::Device if self.sealed => Access::Map,
            reach => Access::Read(reach),
        }
    }

    /// A scan which starts at or before the batch that contains `from`. An index entry that does
    /// not fit the batch it points to is not believed: the scan then starts at the beginning.
    pub(super) fn scanner<'a>(
        &self,
        place: &Place,
        file: &'a CachedFile,
        from: i64,
    ) -> Result<Scanner<'a>, DiskError> {
        self.scanner_within(place, file, from, Reach::Device)
    }

    fn scanner_within<'a>(
        &self,
        place: &Place,
        file: &'a CachedFile,
        from: i64,
        reach: Reach,
    ) -> Result<Scanner<'a>, DiskError> {
        let Segment { base, size, .. } = self.segment;
        let end = self.segment.facts.next_offset;
        let scanner = |position: u32, offset| {
            let positions = position.into()..size.into();
            Scanner::new(&**file.file(), positions, offset..end).within(reach)
        };
        let floor = match self.segment.floor(place, from, self.access(reach)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(error).at("read", place.path(base, segment::INDEX));
            }
            Err(error) => {
                tracing::warn!(dir = %place.dir.display(), base, %error, "index not readable");
                None
            }
            Ok(floor) => floor,
        };
        let Some(entry) = floor else { return Ok(scanner(0, base)) };
        match scanner(entry.position, base).next_header() {
            Ok(Some(found)) if found.header.last_offset() == base + i64::from(entry.relative) => {
                Ok(scanner(entry.position, found.header.base_offset))
            }
            Err(ScanError::Io(error)) => Err(error).at("read", place.path(base, segment::LOG)),
            _ => {
                tracing::warn!(dir = %place.dir.display(), base, ?entry, "index entry is wrong");
                Ok(scanner(0, base))
            }
        }
    }

    /// The next batch that ends at or behind `from`. Damage before `from` is passed over, damage
    /// that may hide `from` is an error.
    pub(super) fn next_from(
        &self,
        place: &Place,
        scanner: &mut Scanner<'_>,
        from: i64,
    ) -> Result<Option<Found>, ReadError> {
        loop {
            match scanner.next_header() {
                Ok(Some(found)) if found.header.last_offset() < from => {}
                Ok(found) => return Ok(found),
                Err(ScanError::Io(error)) => return Err(self.io(place, error)),
                Err(ScanError::Damage(_)) => {
                    let corrupt = self.pass_damage(place, scanner)?;
                    if from < corrupt.offsets.end {
                        return Err(corrupt.into());
                    }
                }
            }
        }
    }

    /// Moves a scan behind the damage it stands at, and says what was passed over.
    fn pass_damage(&self, place: &Place, scanner: &mut Scanner<'_>) -> Result<Corrupt, ReadError> {
        scanner.find_begin_of_damage().map_err(|error| self.io(place, error))?;
        let (position, offset) = (scanner.position(), scanner.offset_min());
        let more = scanner.resync().map_err(|error| self.io(place, error))?;
        let offsets = offset..if more { scanner.offset_min() } else { self.next.max(offset) };
        let file = place.path(self.segment.base, segment::LOG);
        Ok(Corrupt { file, positions: position..scanner.position(), offsets })
    }

    fn scan(
        &self,
        place: &Place,
        at: &mut i64,
        visit: &mut impl FnMut(&BatchHeader, u64),
    ) -> Result<(), ReadError> {
        let file = self.file(place)?;
        let mut scanner = self.scanner(place, &file, *at)?;
        while let Some(found) = self.next_from(place, &mut scanner, *at)? {
            visit(&found.header, found.position);
            *at = found.header.last_offset() + 1;
        }
        Ok(())
    }

    fn read(&self, log: &LogInner, wanted: Wanted) -> Result<Option<Slice>, ReadError> {
        if self.segment.size == 0 {
            return Ok(None);
        }
        let place = &log.place;
        let file = self.file_within(place, wanted.reach)?;
        if let Some(slice) = self.go_on(log, &file, wanted)? {
            return Ok(Some(slice));
        }
        let mut scanner = self.scanner_within(place, &file, wanted.from, wanted.reach)?;
        while let Some(first) = self.next_from(place, &mut scanner, wanted.from)? {
            if first.header.base_offset >= wanted.limit {
                return Ok(Some(Slice::empty(wanted.from)));
            }
            let least = if wanted.min_one { first.header.size() } else { 0 };
            let bytes = self.bytes(
                log,
                &file,
                first.position,
                Wanted { size_max: wanted.size_max.max(least), ..wanted },
            )?;
            let is_whole = bytes.len() >= first.header.size();
            let slice = self.whole_batches(bytes, &first, wanted);
            if !slice.bytes.is_empty() || !is_whole {
                return Ok(Some(slice));
            }
            // The checksum is wrong, and so may be what the header says about offsets and length.
            scanner.jump(first.position, first.header.base_offset);
            let corrupt = self.pass_damage(place, &mut scanner)?;
            if wanted.from < corrupt.offsets.end {
                return Err(corrupt.into());
            }
        }
        Ok(None)
    }

    /// Reads where another read ended, without a look for the place: `None` where none ended, or
    /// where what is there needs a second look.
    fn go_on(
        &self,
        log: &LogInner,
        file: &CachedFile,
        wanted: Wanted,
    ) -> Result<Option<Slice>, ReadError> {
        let position = self.segment.notes.ends().find(self.generation, wanted.from);
        let Some(position) = position.filter(|at| *at < self.segment.size.into()) else {
            return Ok(None);
        };
        let bytes = self.bytes(log, file, position, wanted)?;
        let Ok(header) = BatchHeader::parse(&bytes) else { return Ok(None) };
        if header.base_offset != wanted.from {
            return Ok(None);
        }
        let slice = self.whole_batches(bytes, &Found { header, position }, wanted);
        Ok(Some(slice).filter(|slice| !slice.bytes.is_empty()))
    }

    /// What a read takes in, from a batch on.
    fn bytes(
        &self,
        log: &LogInner,
        file: &CachedFile,
        position: u64,
        wanted: Wanted,
    ) -> Result<Bytes, ReadError> {
        let rest = u64::from(self.segment.size).saturating_sub(position);
        let len = wanted.size_max.min(usize::try_from(rest).unwrap_or(usize::MAX));
        let mut buffer = log.core.buffers.take(len);
        if wanted.reach == Reach::Device {
            self.segment.notes.verified().forget(self.segment.size);
            let ahead = (2 * len as u64).max(AHEAD_MIN).min(rest);
            file.file().read_ahead(position, ahead);
        }
        let read = wanted.reach.read_at(&**file.file(), &mut buffer, position);
        buffer.truncate(read.map_err(|error| self.io(&log.place, error))?);
        Ok(Bytes::from_owner(buffer))
    }

    /// The sound batches at the start of `bytes`, up to the limit.
    fn whole_batches(&self, bytes: Bytes, first: &Found, wanted: Wanted) -> Slice {
        let notes = &self.segment.notes;
        let verified = match wanted.verify {
            VerifyReads::Always => first.position,
            VerifyReads::Unseen => notes.verified().reach(first.position),
        };
        let trusted = usize::try_from(verified - first.position).unwrap_or(usize::MAX);
        let end_offset = self.segment.facts.next_offset;
        let whole = Whole { limit: wanted.limit, end_offset, trusted, notes };
        let (end, next_offset) = whole.batches(bytes.clone(), first.header.base_offset);
        if end == 0 {
            return Slice::empty(wanted.from);
        }
        let end_position = first.position + end as u64;
        if end > trusted {
            notes.verified().add(first.position..end_position);
        }
        notes.ends().add(self.generation, next_offset, end_position);
        let whole = bytes.slice(..end);
        // A small part would hold on to all that was read.
        let bytes = if end < bytes.len() / 2 { Bytes::copy_from_slice(&whole) } else { whole };
        Slice { bytes, base_offset: first.header.base_offset, next_offset }
    }

    pub(super) fn io(&self, place: &Place, error: std::io::Error) -> ReadError {
        let path = place.path(self.segment.base, segment::LOG);
        ReadError::Disk(Err::<(), _>(error).at("read", path).expect_err("it is an error"))
    }
}

/// What batches must be like to be given out.
#[derive(Clone, Copy, Debug)]
struct Whole<'a> {
    /// They begin below this offset.
    limit: i64,
    /// They end below this one, as the segment does.
    end_offset: i64,
    /// So many bytes were verified before.
    trusted: usize,
    /// Hear of each.
    notes: &'a Notes,
}

impl Whole<'_> {
    /// How many bytes of sound batches there are at the start of `rest`, and the offset behind
    /// them. The first begins with `next_offset`.
    fn batches(self, mut rest: Bytes, mut next_offset: i64) -> (usize, i64) {
        let mut end = 0;
        while let Ok(Some(batch)) = Batch::split_first(&mut rest) {
            let header = batch.header();
            let follows = header.base_offset == next_offset || {
                // A gap, or a base offset that rotted, which no checksum covers: the batch behind
                // it tells, and the next read looks at that where it is not here.
                let behind = BatchHeader::parse(&rest).ok().map(|behind| behind.base_offset);
                header.base_offset > next_offset
                    && behind.is_some_and(|behind| behind > header.last_offset())
            };
            let in_order =
                follows && header.last_offset_delta >= 0 && header.last_offset() < self.end_offset;
            let batch_end = end + batch.bytes().len();
            if !in_order
                || header.base_offset >= self.limit
                || (batch_end > self.trusted && batch.verify_crc().is_err())
            {
                break;
            }
            self.notes.note_batch(header);
            end = batch_end;
            next_offset = header.last_offset().saturating_add(1);
        }
        (end, next_offset)
    }
}
