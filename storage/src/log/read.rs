//! Reading whole batches.

use bytes::Bytes;
use klamm_protocol::records::{Batch, BatchHeader};

use super::{Log, LogInner, State};
use crate::disk::{CachedFile, OpenMode};
use crate::error::{At, Corrupt, DiskError, ReadError};
use crate::offsets::Bound;
use crate::scan::{Found, ScanError, Scanner};
use crate::segment::{self, Place, Segment};

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

/// What one read asks of a segment.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    from: i64,
    size_max: usize,
    min_one: bool,
    limit: i64,
    verify: bool,
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
        let mut at = from;
        loop {
            let (snapshot, wanted) = {
                let state = self.0.lock();
                state.check_readable(from)?;
                let (limit, verify) = (state.limit(bound), state.options.verify_reads);
                if at >= limit {
                    return Ok(Slice::empty(from));
                }
                (state.snapshot(at), Wanted { from: at, size_max, min_one, limit, verify })
            };
            match snapshot.read(&self.0.place, wanted) {
                Ok(Some(slice)) => return Ok(slice),
                Ok(None) => at = snapshot.next.max(at + 1),
                // The segment changed under the read: what it saw says nothing.
                Err(_) if self.0.lock().generation != snapshot.generation => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Calls `visit` with the header and the position in its segment of each batch from the one
    /// that contains `from` on, up to the end of the log, in order. May block on the disk.
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
                Err(error) => return Err(error),
            }
        }
    }
}

impl LogInner {
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
    pub(super) fn file(&self, place: &Place) -> Result<std::sync::Arc<CachedFile>, DiskError> {
        let path = || place.path(self.segment.base, segment::LOG);
        self.segment.log_file(place, OpenMode::Existing).at("open", path())
    }

    /// A scan which starts at or before the batch that contains `from`. An index entry that does
    /// not fit the batch it points to is not believed: the scan then starts at the beginning.
    pub(super) fn scanner<'a>(
        &self,
        place: &Place,
        file: &'a CachedFile,
        from: i64,
    ) -> Result<Scanner<'a>, DiskError> {
        let Segment { base, size, .. } = self.segment;
        let end = self.segment.facts.next_offset;
        let scanner = |position: u32, offset| {
            Scanner::new(&**file.file(), position.into()..size.into(), offset..end)
        };
        let floor = self.segment.floor(place, from, self.sealed).unwrap_or_else(|error| {
            tracing::warn!(dir = %place.dir.display(), base, %error, "index not readable");
            None
        });
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

    fn read(&self, place: &Place, wanted: Wanted) -> Result<Option<Slice>, ReadError> {
        if self.segment.size == 0 {
            return Ok(None);
        }
        let file = self.file(place)?;
        let mut scanner = self.scanner(place, &file, wanted.from)?;
        while let Some(first) = self.next_from(place, &mut scanner, wanted.from)? {
            if first.header.base_offset >= wanted.limit {
                return Ok(Some(Slice::empty(wanted.from)));
            }
            let bytes = self.bytes(place, &file, &first, wanted)?;
            let is_whole = bytes.len() >= first.header.size();
            let slice = whole_batches(bytes, &first, wanted, self.segment.facts.next_offset);
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

    /// What a read takes in, from its first batch on.
    fn bytes(
        &self,
        place: &Place,
        file: &CachedFile,
        first: &Found,
        wanted: Wanted,
    ) -> Result<Bytes, ReadError> {
        let least = if wanted.min_one { first.header.size() } else { 0 };
        let rest = u64::from(self.segment.size).saturating_sub(first.position);
        let len = wanted.size_max.max(least).min(usize::try_from(rest).unwrap_or(usize::MAX));
        let mut bytes = vec![0; len];
        let read = file.file().read_at(&mut bytes, first.position);
        bytes.truncate(read.map_err(|error| self.io(place, error))?);
        Ok(bytes.into())
    }

    pub(super) fn io(&self, place: &Place, error: std::io::Error) -> ReadError {
        let path = place.path(self.segment.base, segment::LOG);
        ReadError::Disk(Err::<(), _>(error).at("read", path).expect_err("it is an error"))
    }
}

/// The sound batches at the start of `bytes`, up to the limit, of a segment that ends before the
/// offset `end`.
fn whole_batches(bytes: Bytes, first: &Found, wanted: Wanted, end_offset: i64) -> Slice {
    let mut rest = bytes.clone();
    let mut next_offset = first.header.base_offset;
    let mut end = 0;
    while let Ok(Some(batch)) = Batch::split_first(&mut rest) {
        let header = batch.header();
        let follows = header.base_offset == next_offset || {
            // A gap, or a base offset that rotted, which no checksum covers: the batch behind it
            // tells, and the next read looks at that where it is not here.
            let behind = BatchHeader::parse(&rest).ok().map(|behind| behind.base_offset);
            header.base_offset > next_offset
                && behind.is_some_and(|behind| behind > header.last_offset())
        };
        let in_order =
            follows && header.last_offset_delta >= 0 && header.last_offset() < end_offset;
        if !in_order || header.base_offset >= wanted.limit {
            break;
        }
        if wanted.verify && batch.verify_crc().is_err() {
            break;
        }
        end += batch.bytes().len();
        next_offset = header.last_offset().saturating_add(1);
    }
    let base_offset = if end == 0 { wanted.from } else { first.header.base_offset };
    let next_offset = if end == 0 { wanted.from } else { next_offset };
    Slice { bytes: bytes.slice(..end), base_offset, next_offset }
}
