//! One segment: its three files, what is known about them, and how a batch is added.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use klamm_protocol::records::BatchHeader;

use crate::disk::{CachedFile, FileCache, FileId, OpenMode, Reach};
use crate::error::{At, DiskError};
use crate::index::{Access, IndexEntry, OffsetEntry, TimeEntry};
use crate::notes::Notes;
use crate::options::LogOptions;
use crate::recent::Recent;

/// Names a file of a segment: the base offset in 20 digits, then this.
pub(crate) const LOG: &str = "log";
pub(crate) const INDEX: &str = "index";
pub(crate) const TIME_INDEX: &str = "timeindex";
/// Aborted transactions; there is none where no transaction was.
pub(crate) const ABORTED: &str = "txnindex";
/// The files that every segment has.
pub(crate) const EXTENSIONS: [&str; 3] = [LOG, INDEX, TIME_INDEX];
/// What no segment grows beyond: Kafka counts positions in 31 bits.
pub(crate) const SIZE_MAX: u32 = i32::MAX as u32;
/// Added to the name of a file that compaction is writing.
pub(crate) const CLEANED: &str = "cleaned";
/// Added to the name of a file that compaction has written, and that will lose it.
pub(crate) const SWAP: &str = "swap";
/// Added to the name of a file that is to be removed.
pub(crate) const DELETED: &str = "deleted";

/// Where the files of one log are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) files: Arc<FileCache>,
    pub(crate) dir: PathBuf,
}

impl Place {
    pub(crate) fn path(&self, base: i64, extension: &str) -> PathBuf {
        self.dir.join(format!("{base:020}.{extension}"))
    }
}

/// What is known about one segment. A clone is a snapshot: what lies before `size`, and the
/// entries counted here, do not change unless the log is truncated.
///
/// The newest index entries of the segment that takes appends are in memory, and written together.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    /// Offset of the first record the segment may hold.
    pub(crate) base: i64,
    log: FileId,
    index: FileId,
    time_index: FileId,
    /// Bytes of batches.
    pub(crate) size: u32,
    /// Bytes up to which blocks are reserved on disk.
    pub(crate) reserved: u32,
    /// Bytes up to which zeros were written behind the end; may lie before it by now.
    pub(crate) zeros_end: u32,
    pub(crate) facts: SegmentFacts,
    recent: Recent<OffsetEntry>,
    recent_times: Recent<TimeEntry>,
    pub(crate) notes: Arc<Notes>,
}

/// The part of a segment that recovery computes and a clean stop writes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentFacts {
    /// Entries of the offset index, those included that are not written yet.
    pub(crate) index_entries: u32,
    /// Entries of the time index, likewise.
    pub(crate) time_entries: u32,
    /// The last entry of the time index; what may follow it depends on it.
    pub(crate) last_time: TimeEntry,
    /// The greatest timestamp of the segment and the last offset, minus base, of its batch.
    pub(crate) max_time: TimeEntry,
    /// Bytes appended since the last entry of the offset index.
    pub(crate) since_entry: u32,
    /// The greatest timestamp of the first batch, from which the age of the segment counts.
    pub(crate) first_time: Option<i64>,
    /// When the segment was made: stands in for timestamps that records do not have.
    pub(crate) created_ms: i64,
    /// The last offset of the last batch plus one.
    pub(crate) next_offset: i64,
}

impl Segment {
    /// A segment without any bytes. Touches no disk.
    pub(crate) fn empty(files: &FileCache, base: i64, created_ms: i64) -> Self {
        let none = TimeEntry { timestamp: -1, relative: 0 };
        let facts = SegmentFacts {
            index_entries: 0,
            time_entries: 0,
            last_time: none,
            max_time: none,
            since_entry: 0,
            first_time: None,
            created_ms,
            next_offset: base,
        };
        Self::known(files, base, 0, facts)
    }

    /// A segment that recovery or a clean stop described.
    pub(crate) fn known(files: &FileCache, base: i64, size: u32, facts: SegmentFacts) -> Self {
        let (log, index, time_index) = (files.new_id(), files.new_id(), files.new_id());
        let (recent, recent_times) = (Recent::default(), Recent::default());
        let notes = Arc::new(Notes::new(size));
        let (reserved, zeros_end) = (size, 0);
        Self {
            base,
            log,
            index,
            time_index,
            size,
            reserved,
            zeros_end,
            facts,
            recent,
            recent_times,
            notes,
        }
    }

    /// Whether zeros follow the end.
    pub(crate) fn has_zeros(&self) -> bool {
        self.zeros_end > self.size
    }

    /// Whether zeros follow the end, or blocks are reserved there.
    pub(crate) fn has_spare(&self) -> bool {
        self.has_zeros() || (self.size + 1..u32::MAX).contains(&self.reserved)
    }

    /// Cuts off the zeros behind the end, and frees the blocks that are reserved there.
    pub(crate) fn trim(&mut self, place: &Place) -> Result<(), DiskError> {
        let path = || place.path(self.base, LOG);
        let file = self.log_file(place, OpenMode::Existing).at_with("open", path)?;
        file.file().set_len(self.size.into()).at_with("trim", path)?;
        self.forget_spare();
        Ok(())
    }

    /// Takes note that the file ends with the last batch.
    pub(crate) fn forget_spare(&mut self) {
        (self.zeros_end, self.reserved) = (0, self.size);
    }

    /// The segment file.
    pub(crate) fn log_file(&self, place: &Place, mode: OpenMode) -> io::Result<Arc<CachedFile>> {
        place.files.open(self.log, mode, || place.path(self.base, LOG))
    }

    /// The offset index.
    pub(crate) fn index_file(&self, place: &Place, mode: OpenMode) -> io::Result<Arc<CachedFile>> {
        place.files.open(self.index, mode, || place.path(self.base, INDEX))
    }

    /// The time index.
    pub(crate) fn time_file(&self, place: &Place, mode: OpenMode) -> io::Result<Arc<CachedFile>> {
        place.files.open(self.time_index, mode, || place.path(self.base, TIME_INDEX))
    }

    /// Forgets what was noted while nobody knew what is in the file.
    pub(crate) fn distrust(&mut self) {
        self.notes = Arc::new(Notes::new(self.size));
    }

    /// The segment file as far as it can be had without waiting.
    pub(crate) fn held_log_file(&self, files: &FileCache) -> Option<Arc<CachedFile>> {
        files.held(self.log)
    }

    /// Makes the three files, and makes them empty whatever a crash, a full disk or a segment that
    /// had this base before may have left.
    pub(crate) fn create_files(&self, place: &Place) -> io::Result<()> {
        let log = self.log_file(place, OpenMode::Create)?;
        let indexes =
            [self.index_file(place, OpenMode::Create)?, self.time_file(place, OpenMode::Create)?];
        indexes.iter().chain([&log]).try_for_each(|file| file.file().set_len(0))
    }

    /// Whether both are the same files, and not others that have their names.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.log == other.log
    }

    /// Closes the files as far as the cache holds them.
    pub(crate) fn forget_files(&self, files: &FileCache) {
        for id in [self.log, self.index, self.time_index] {
            files.forget(id);
        }
    }

    /// The greatest timestamp, or when the segment was made where records have none.
    pub(crate) fn largest_timestamp(&self) -> i64 {
        let timestamp = self.facts.max_time.timestamp;
        if timestamp >= 0 { timestamp } else { self.facts.created_ms }
    }

    /// The last entry of the offset index for which `before` holds, which must hold for a prefix of
    /// the entries.
    pub(crate) fn last_entry(
        &self,
        place: &Place,
        access: Access,
        before: impl Fn(OffsetEntry) -> bool,
    ) -> io::Result<Option<OffsetEntry>> {
        let found =
            self.recent.last_where(before, self.facts.index_entries, access, || match access {
                Access::Read(Reach::Memory) => {
                    place.files.held(self.index).ok_or(io::ErrorKind::WouldBlock.into())
                }
                _ => self.index_file(place, OpenMode::Existing),
            })?;
        Ok(found.filter(|entry| entry.position < self.size))
    }

    /// The position from which a scan for `offset` starts: that of the last indexed batch which
    /// ends at or before it.
    pub(crate) fn floor(
        &self,
        place: &Place,
        offset: i64,
        access: Access,
    ) -> io::Result<Option<OffsetEntry>> {
        let relative = offset.saturating_sub(self.base);
        self.last_entry(place, access, |entry| i64::from(entry.relative) <= relative)
    }

    /// The last entry of the time index whose timestamp is at most `timestamp`.
    pub(crate) fn time_floor(
        &self,
        place: &Place,
        timestamp: i64,
        access: Access,
    ) -> io::Result<Option<TimeEntry>> {
        self.recent_times.last_where(
            |entry| entry.timestamp <= timestamp,
            self.facts.time_entries,
            access,
            || self.time_file(place, OpenMode::Existing),
        )
    }

    /// Whether an append of `size` bytes up to `last_offset` needs a new segment first. The rules
    /// are those of Kafka's `LogSegment.shouldRoll`.
    pub(crate) fn must_roll(&self, append: &RollInput, options: &LogOptions) -> bool {
        if self.size == 0 {
            return false;
        }
        let age = match self.facts.first_time {
            Some(first) if first >= 0 => append.max_timestamp.saturating_sub(first),
            _ => append.now_ms - self.facts.created_ms,
        };
        let full = |entries: u32, size: usize, spare: u32| {
            entries + spare >= options.index_bytes_max / size as u32
        };
        u64::from(self.size) + append.size > u64::from(options.segment_bytes)
            || age > options.segment_ms - append.jitter_ms
            || full(self.facts.index_entries, OffsetEntry::SIZE, 0)
            || full(self.facts.time_entries, TimeEntry::SIZE, 1)
            || append.last_offset - self.base > i64::from(i32::MAX)
    }

    /// Takes note of a batch that lies at the end of the segment. Returns the index entries that
    /// are due now, which Kafka adds *before* it counts the batch's bytes.
    pub(crate) fn add(&mut self, header: &BatchHeader, interval: u32) -> NewEntries {
        let position = self.size;
        self.notes.note_batch(header);
        let facts = &mut self.facts;
        let relative = u32::try_from(header.last_offset() - self.base).unwrap_or(u32::MAX);
        // What compaction left of a batch without records says no time that a record has.
        if header.max_timestamp > facts.max_time.timestamp && header.record_count > 0 {
            facts.max_time = TimeEntry { timestamp: header.max_timestamp, relative };
        }
        facts.first_time.get_or_insert(header.max_timestamp);
        let mut new = NewEntries::default();
        if facts.since_entry > interval {
            new.offset = Some(OffsetEntry { relative, position });
            new.time = facts.time_due();
            facts.since_entry = 0;
        }
        let size = u32::try_from(header.size()).unwrap_or(u32::MAX);
        facts.since_entry = facts.since_entry.saturating_add(size);
        facts.next_offset = header.last_offset() + 1;
        self.size = self.size.saturating_add(size);
        new
    }

    /// Keeps entries in memory, behind those there are.
    pub(crate) fn keep_entries(&mut self, new: NewEntries) {
        self.facts.count(new);
        new.offset.into_iter().for_each(|entry| self.recent.push(entry));
        new.time.into_iter().for_each(|entry| self.recent_times.push(entry));
    }

    /// Writes the entries in memory once enough of them have gathered.
    pub(crate) fn write_many_entries(&mut self, place: &Place) -> io::Result<()> {
        if self.recent.is_full() || self.recent_times.is_full() {
            return self.write_entries(place);
        }
        Ok(())
    }

    /// Writes the entries in memory. Those that cannot be written are left out, but for the last
    /// one: the index is merely sparser.
    pub(crate) fn write_entries(&mut self, place: &Place) -> io::Result<()> {
        let open = |id, extension| {
            place.files.open(id, OpenMode::Create, || place.path(self.base, extension))
        };
        let (facts, index, times) = (&mut self.facts, self.index, self.time_index);
        let written = self.recent.write(&mut facts.index_entries, || open(index, INDEX));
        let times = || open(times, TIME_INDEX);
        written.and(self.recent_times.write(&mut facts.time_entries, times))
    }

    /// Ends the time index with the greatest timestamp, as a segment that takes no more appends
    /// must, and writes what is left of both indexes. Where that fails the segment does without
    /// them, until they are rebuilt when the log is opened after a crash.
    pub(crate) fn close_indexes(&mut self, place: &Place) {
        let time = self.facts.time_due();
        self.keep_entries(NewEntries { offset: None, time });
        if let Err(error) = self.write_entries(place) {
            let (dir, base) = (place.dir.display(), self.base);
            tracing::warn!(%dir, base, %error, "indexes dropped; to be rebuilt");
            self.drop_entries();
            self.forget_files(&place.files);
            remove_indexes(place, self.base);
        }
    }

    /// Forgets all index entries, whatever the files say.
    pub(crate) fn drop_entries(&mut self) {
        (self.facts.index_entries, self.facts.time_entries) = (0, 0);
        (self.recent, self.recent_times) = (Recent::default(), Recent::default());
    }
}

fn remove_indexes(place: &Place, base: i64) {
    for path in [place.path(base, INDEX), place.path(base, TIME_INDEX)] {
        if let Err(error) = crate::disk::found(place.files.disk().remove_file(&path)) {
            tracing::warn!(path = %path.display(), %error, "index could not be removed");
        }
    }
}

impl SegmentFacts {
    /// Takes note of new entries.
    pub(crate) fn count(&mut self, new: NewEntries) {
        self.index_entries += u32::from(new.offset.is_some());
        self.time_entries += u32::from(new.time.is_some());
        self.last_time = new.time.unwrap_or(self.last_time);
    }

    /// The greatest timestamp, if no entry of the time index says it yet.
    pub(crate) fn time_due(&self) -> Option<TimeEntry> {
        (self.max_time.timestamp > self.last_time.timestamp).then_some(self.max_time)
    }
}

/// What decides whether a segment rolls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RollInput {
    pub(crate) size: u64,
    pub(crate) last_offset: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) now_ms: i64,
    pub(crate) jitter_ms: i64,
}

/// Index entries that a batch brought about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NewEntries {
    pub(crate) offset: Option<OffsetEntry>,
    pub(crate) time: Option<TimeEntry>,
}

/// The base offset in the name of a segment file with this extension.
pub(crate) fn base_of(name: &str, extension: &str) -> Option<i64> {
    let digits = name.strip_suffix(extension)?.strip_suffix('.')?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Moves the files of a segment out of the way, to be removed later. Missing ones are passed over.
/// An index that stays is not an error: without its segment nobody looks at it, and a segment of
/// the same name starts with empty ones.
pub(crate) fn mark_deleted(place: &Place, segment: &Segment) -> io::Result<Vec<PathBuf>> {
    segment.forget_files(&place.files);
    let mut marked = Vec::with_capacity(4);
    for extension in EXTENSIONS.into_iter().chain([ABORTED]) {
        let path = place.path(segment.base, extension);
        let target = path.with_added_extension(DELETED);
        match crate::disk::found(place.files.disk().rename(&path, &target)) {
            Ok(Some(())) => marked.push(target),
            Ok(None) => {}
            Err(error) if extension == LOG => return Err(error),
            Err(error) => tracing::warn!(path = %path.display(), %error, "index not removed"),
        }
    }
    Ok(marked)
}

/// Whether a name is that of a file left by [`mark_deleted`] or by a write that never ended.
pub(crate) fn is_leftover(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    matches!(extension, Some(DELETED | CLEANED | "tmp"))
}
