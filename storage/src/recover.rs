//! Opening the folder of a log that was not stopped cleanly.
//!
//! Segments below the durable point are taken as they are, if their indexes look whole. From the
//! durable point on every batch is read and its checksum verified. Damage above the point is what
//! a crash left of writes that nobody was promised: the log is cut there. Damage below it is rot
//! of bytes that were promised: it is reported, passed over and left in place, and reading it is
//! an error ([`Corrupt`]), while what lies before and behind it stays readable.

use std::ops::Range;
use std::path::{Path, PathBuf};

use klamm_protocol::records::BatchHeader;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::compaction;
use crate::disk::{self, OpenMode, Reach};
use crate::durable::{self, DurablePoint, Sidecar};
use crate::epochs::Epochs;
use crate::error::{At, Corrupt, DiskError, OpenError};
use crate::index::{Access, IndexEntry, IndexView, OffsetEntry, TimeEntry};
use crate::log::{State, jitter};
use crate::options::{Durability, LogOptions};
use crate::scan::{Damage, ScanError, Scanner};
use crate::segment::{self, Place, Segment};
use crate::topic_id::{self, TopicId};

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Whether the log had been stopped cleanly, so that nothing was read.
    pub clean: bool,
    /// Bytes whose checksums were verified.
    pub scanned_bytes: u64,
    /// The torn tail that was cut off, if there was one. Zeros behind the end of a synced log are
    /// none.
    pub cut: Option<CutTail>,
    /// Ranges below the durable point that cannot be read any more.
    pub damaged: Vec<Corrupt>,
    /// Segments whose indexes were built anew as a whole.
    pub indexes_rebuilt: usize,
}

/// A tail that was never promised to anybody and was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutTail {
    /// The segment file.
    pub file: PathBuf,
    /// Its new length.
    pub position: u64,
    /// Bytes that were cut off, those of later segments included.
    pub bytes: u64,
    /// What was wrong at `position`; `None` when there were only zeros.
    pub damage: Option<Damage>,
}

/// What recovery has to know.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    pub(crate) topic_id: TopicId,
    pub(crate) options: &'a LogOptions,
    pub(crate) now_ms: i64,
}

/// A log as it was found.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) sealed: Vec<Segment>,
    pub(crate) active: Segment,
    pub(crate) start: i64,
    pub(crate) epochs: Epochs,
    pub(crate) epochs_saved: bool,
    pub(crate) durable: DurablePoint,
    pub(crate) sidecar: Sidecar,
    pub(crate) has_folder: bool,
    pub(crate) report: RecoveryReport,
}

impl Recovered {
    /// A log that has no folder yet.
    pub(crate) fn nothing(place: &Place, now_ms: i64) -> Self {
        Self {
            sealed: Vec::new(),
            active: Segment::empty(&place.files, 0, now_ms),
            start: 0,
            epochs: Epochs::default(),
            epochs_saved: true,
            durable: DurablePoint::default(),
            sidecar: Sidecar::default(),
            has_folder: false,
            report: RecoveryReport { clean: true, ..RecoveryReport::default() },
        }
    }

    /// Makes this the content of a log. All of it is synced, whatever the durability, and counts
    /// as committed.
    pub(crate) fn install(self, state: &mut State) {
        state.high_watermark = self.active.facts.next_offset;
        state.roll_due = false;
        state.jitter_ms = jitter(&state.options, self.active.base);
        state.sealed = self.sealed;
        state.active = self.active;
        state.start = self.start;
        state.epochs = self.epochs;
        state.unsynced.epochs = !self.epochs_saved;
        state.durable = self.durable;
        state.sidecar = self.sidecar;
        state.has_folder = self.has_folder;
        state.first_dirty = None;
        let active = std::iter::once(&mut state.active);
        state.sealed.iter_mut().chain(active).for_each(Segment::distrust);
    }
}

/// Where the start of a log is kept once records were deleted by offset.
pub(crate) fn start_checkpoint(dir: &Path) -> Checkpoint {
    Checkpoint { path: dir.join("start.klamm"), version: 1, size_max: 64 }
}

/// Opens the folder at `place`.
pub(crate) fn recover(place: &Place, input: &Input<'_>) -> Result<Recovered, OpenError> {
    let disk = &**place.files.disk();
    let dir = &place.dir;
    let Some(entries) = disk::found(disk.list(dir)).at("list", dir)? else {
        return Ok(Recovered {
            report: RecoveryReport::default(),
            ..Recovered::nothing(place, input.now_ms)
        });
    };
    let topic = check_topic(place, input.topic_id)?;
    let entries = match compaction::settle(place, &entries)? {
        true => disk.list(dir).at("list", dir)?,
        false => entries,
    };
    let mut bases = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.is_dir) {
        if segment::is_leftover(&entry.name) {
            let path = dir.join(&entry.name);
            disk::found(disk.remove_file(&path)).at("remove", path)?;
        }
        bases.extend(segment::base_of(&entry.name, segment::LOG));
    }
    bases.sort_unstable();
    let (sidecar, durable) = read_durable_point(place)?;
    let start = read_start(place)?;
    let mut recovery = Recovery {
        place,
        options: input.options,
        durable,
        epochs: Epochs::read(disk, dir)?,
        report: RecoveryReport::default(),
        touched: Vec::new(),
        changed: false,
    };
    recovery.claim(topic, input.topic_id)?;
    let mut segments = recovery.segments(&bases)?;
    let found = segments.last().map_or(0, |last| last.facts.next_offset);
    if start > found {
        // Records before the start were lost that nobody may read any more.
        segments.drain(..).try_for_each(|segment| recovery.remove(segment.base))?;
    } else if durable.end > found && recovery.report.damaged.is_empty() {
        recovery.report_missing(found);
    }
    let end = found.max(durable.end).max(start);
    let active = match segments.pop_if(|last| last.facts.next_offset == end) {
        Some(last) => last,
        None => recovery.next_segment(end, input.now_ms)?,
    };
    recovery.finish(sidecar, segments, active, start)
}

/// What is known about a segment of `len` bytes that are sound, when only its index entries above
/// are to be dropped. For the segment in which a log is cut.
pub(crate) fn reload(
    place: &Place,
    base: i64,
    len: u64,
    options: &LogOptions,
) -> Result<Segment, DiskError> {
    let durable = DurablePoint { segment: base, position: len, ..DurablePoint::default() };
    let (epochs, report) = (Epochs::default(), RecoveryReport::default());
    let mut recovery =
        Recovery { place, options, durable, epochs, report, touched: Vec::new(), changed: false };
    recovery.scan(base, len, i64::MAX).map(|(segment, _)| segment)
}

/// The topic that the folder says it belongs to, if it says so.
fn check_topic(place: &Place, expected: TopicId) -> Result<Option<TopicId>, OpenError> {
    match topic_id::read(&**place.files.disk(), &place.dir)? {
        Some(found) if found != expected && expected != TopicId::ZERO => {
            Err(OpenError::OtherTopic { path: place.dir.clone(), found, expected })
        }
        found => Ok(found),
    }
}

fn read_durable_point(place: &Place) -> Result<(Sidecar, DurablePoint), DiskError> {
    let path = place.dir.join(durable::FILE);
    let opened = place.files.disk().open(&path, OpenMode::Existing);
    match disk::found(opened).at("open", &path)? {
        Some(file) => Sidecar::read(&*file).at("read", &path),
        None => Ok((Sidecar::default(), DurablePoint::default())),
    }
}

/// Where records begin that were not deleted by offset. If nobody can say, what is still there is
/// shown, as in Kafka: one small file keeps no log from opening.
fn read_start(place: &Place) -> Result<i64, CheckpointError> {
    match start_checkpoint(&place.dir).read(&**place.files.disk()) {
        Ok(start) => Ok(start.unwrap_or(0)),
        Err(error @ CheckpointError::Damaged { .. }) => {
            tracing::error!(%error, "records that were deleted by offset may be back");
            Ok(0)
        }
        Err(error) => Err(error),
    }
}

struct Recovery<'a> {
    place: &'a Place,
    options: &'a LogOptions,
    durable: DurablePoint,
    epochs: Epochs,
    report: RecoveryReport,
    /// Segments with bytes that may not be on the device, by base and length.
    touched: Vec<(i64, u32)>,
    /// Whether names in the folder, or bytes below the new durable point, are new.
    changed: bool,
}

impl Recovery<'_> {
    /// Has the folder say durably which topic it belongs to, unless it does. As long as no sync of
    /// the log is known to have ended, what it says may be gone after a power cut.
    fn claim(&mut self, found: Option<TopicId>, topic: TopicId) -> Result<(), DiskError> {
        let is_durable = found.is_some() && self.durable.end > 0;
        if is_durable || topic == TopicId::ZERO {
            return Ok(());
        }
        let (disk, dir) = (&**self.place.files.disk(), &self.place.dir);
        match topic_id::write(disk, dir, topic).and_then(|()| topic_id::sync(disk, dir)) {
            Ok(()) => self.changed = true,
            // A full disk keeps nobody from reading.
            Err(error) if error.is_shortage() => {
                tracing::warn!(dir = %dir.display(), %error, "the folder may not say whose it is");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn segments(&mut self, bases: &[i64]) -> Result<Vec<Segment>, DiskError> {
        let mut segments = Vec::with_capacity(bases.len());
        for (i, &base) in bases.iter().enumerate() {
            let path = self.place.path(base, segment::LOG);
            let file = self.place.files.disk().open(&path, OpenMode::Existing).at("open", &path)?;
            let len = file.len().at("read", &path)?;
            let next = bases.get(i + 1).copied();
            if let Some(next) = next.filter(|_| base < self.durable.segment) {
                segments.push(self.durable_segment(base, len, next)?);
                continue;
            }
            let (mut segment, torn) = self.scan(base, len, next.unwrap_or(i64::MAX))?;
            segment.facts.created_ms = file.modified_ms().at("read", &path)?;
            self.touched.push((base, segment.size));
            // A tail may be lost so that whole batches are left: the next segment tells.
            let hole = next.is_some_and(|next| segment.facts.next_offset != next);
            let is_whole = torn.is_some() && next.is_some() && !hole;
            let torn = if is_whole && has_zeros(&*file, segment.size, len).at("read", &path)? {
                // The power failed before the end of a full segment was trimmed durably.
                file.set_len(segment.size.into()).at("trim", &path)?;
                None
            } else {
                torn.or(hole.then_some(Damage::OffsetOrder))
            };
            let sound = torn.is_none();
            segments.push(segment);
            if let Some(damage) = torn {
                self.cut(segments.last(), len, damage, bases.get(i + 1..).unwrap_or_default())?;
            }
            if !sound {
                break;
            }
        }
        Ok(segments)
    }

    /// A full segment below the durable point: its indexes are believed if they can be true.
    fn durable_segment(&mut self, base: i64, len: u64, next: i64) -> Result<Segment, DiskError> {
        let size = u32::try_from(len).unwrap_or(u32::MAX);
        let mut segment = Segment::empty(&self.place.files, base, 0);
        segment.size = size;
        let path = self.place.path(base, segment::LOG);
        let file = segment.log_file(self.place, OpenMode::Existing).at("open", &path)?;
        segment.facts.created_ms = file.file().modified_ms().at("read", &path)?;
        segment.facts.next_offset = next;
        let known = self.believe_indexes(&mut segment, next);
        if matches!(known, Ok(true)) {
            let first = header_at(&**file.file(), base, 0..len).at("read", &path)?;
            segment.facts.first_time = first.map(|first| first.max_timestamp);
            return Ok(segment);
        }
        self.report.indexes_rebuilt += 1;
        let created_ms = segment.facts.created_ms;
        segment.forget_files(&self.place.files);
        self.remove_indexes(base)?;
        let (mut segment, _) = self.scan(base, len, next)?;
        (segment.facts.created_ms, segment.facts.next_offset) = (created_ms, next);
        Ok(segment)
    }

    fn believe_indexes(&self, segment: &mut Segment, next: i64) -> std::io::Result<bool> {
        let index = segment.index_file(self.place, OpenMode::Existing)?;
        let times = segment.time_file(self.place, OpenMode::Existing)?;
        let count = |len: u64, size: usize| {
            let whole = len.is_multiple_of(size as u64);
            whole.then(|| u32::try_from(len / size as u64).ok()).flatten()
        };
        let entries = count(index.file().len()?, OffsetEntry::SIZE);
        let time_entries = count(times.file().len()?, TimeEntry::SIZE);
        let (Some(entries), Some(time_entries)) = (entries, time_entries) else {
            return Ok(false);
        };
        let span = u32::try_from(next - segment.base).unwrap_or(u32::MAX);
        let last = IndexView::new(index, entries, Access::Read(Reach::Device))
            .last_where::<OffsetEntry>(|_| true)?;
        let fits = last.is_none_or(|last| last.position < segment.size && last.relative < span);
        let last = IndexView::new(times, time_entries, Access::Read(Reach::Device))
            .last_where::<TimeEntry>(|_| true)?;
        let Some(last) = last.filter(|last| fits && last.relative < span) else {
            return Ok(segment.size == 0 && entries == 0);
        };
        (segment.facts.index_entries, segment.facts.time_entries) = (entries, time_entries);
        (segment.facts.last_time, segment.facts.max_time) = (last, last);
        Ok(true)
    }

    /// Removes the files of a segment.
    fn remove(&mut self, base: i64) -> Result<(), DiskError> {
        let path = self.place.path(base, segment::LOG);
        disk::found(self.place.files.disk().remove_file(&path)).at("remove", path)?;
        self.touched.retain(|(touched, _)| *touched != base);
        let aborted = self.place.path(base, segment::ABORTED);
        disk::found(self.place.files.disk().remove_file(&aborted)).at("remove", aborted)?;
        self.changed = true;
        self.remove_indexes(base)
    }

    fn remove_indexes(&self, base: i64) -> Result<(), DiskError> {
        for extension in [segment::INDEX, segment::TIME_INDEX] {
            let path = self.place.path(base, extension);
            disk::found(self.place.files.disk().remove_file(&path)).at("remove", path)?;
        }
        Ok(())
    }

    /// Reads the batches of a segment from the last index entry below the durable point on, and
    /// makes its indexes fit. Returns what is sound, and what ended it if that is not its end.
    fn scan(
        &mut self,
        base: i64,
        len: u64,
        next: i64,
    ) -> Result<(Segment, Option<Damage>), DiskError> {
        let path = self.place.path(base, segment::LOG);
        let mut segment = Segment::empty(&self.place.files, base, 0);
        let file = segment.log_file(self.place, OpenMode::Existing).at("open", &path)?;
        let len = len.min(u32::MAX.into());
        let trusted = if base == self.durable.segment { self.durable.position.min(len) } else { 0 };
        let (from, offset) =
            self.keep_index_entries(&mut segment, trusted, len).at("read", &path)?;
        segment.size = u32::try_from(from).unwrap_or(u32::MAX);
        segment.facts.next_offset = offset;
        let mut scanner = Scanner::new(&**file.file(), from..len, offset..next);
        let mut torn = None;
        loop {
            match scanner.next_batch() {
                Ok(None) => break,
                Ok(Some((found, _))) => {
                    // Only full segments are compacted, and end where the next begins all the same:
                    // above the durable point the last one has no gaps.
                    let is_last = next == i64::MAX;
                    let gap = found.header.base_offset != segment.facts.next_offset;
                    if is_last && gap && !self.durable.covers(base, found.position) {
                        torn = Some(Damage::OffsetOrder);
                        break;
                    }
                    self.add(&mut segment, &found);
                }
                Err(ScanError::Io(error)) => return Err(error).at("read", path),
                Err(ScanError::Damage(damage)) => {
                    if !self.durable.covers(base, scanner.position()) {
                        torn = Some(damage);
                        break;
                    }
                    self.pass_rot(&mut scanner, &mut segment, next, damage).at("read", &path)?;
                }
            }
        }
        self.report.scanned_bytes += u64::from(segment.size).saturating_sub(from);
        Ok((segment, torn))
    }

    fn add(&mut self, segment: &mut Segment, found: &crate::scan::Found) {
        // Behind rot the segment goes on at a later position than the last sound batch ended.
        segment.size = u32::try_from(found.position).unwrap_or(u32::MAX);
        self.epochs.assign(found.header.leader_epoch, found.header.base_offset);
        let entries = segment.add(&found.header, self.options.index_interval_bytes);
        segment.keep_entries(entries);
        if let Err(error) = segment.write_many_entries(self.place) {
            tracing::warn!(dir = %self.place.dir.display(), %error, "index entries left out");
        }
    }

    /// Reports rot, and moves behind it.
    fn pass_rot(
        &mut self,
        scanner: &mut Scanner<'_>,
        segment: &mut Segment,
        next: i64,
        damage: Damage,
    ) -> std::io::Result<()> {
        let (position, offset) = (scanner.position(), scanner.offset_min());
        let more = scanner.resync()?;
        let end = if next == i64::MAX { self.durable.end.max(offset) } else { next };
        let corrupt = Corrupt {
            file: self.place.path(segment.base, segment::LOG),
            positions: position..scanner.position(),
            offsets: offset..if more { scanner.offset_min() } else { end },
        };
        tracing::error!(%corrupt, %damage, "bytes that were durable are damaged");
        if !more && next != i64::MAX {
            segment.facts.next_offset = next;
        }
        self.report.damaged.push(corrupt);
        segment.size = u32::try_from(scanner.position()).unwrap_or(u32::MAX);
        Ok(())
    }

    /// Keeps the index entries up to the last one below `trusted` if it points to the batch it
    /// says, and drops the others. Returns where the scan starts, and at which offset.
    fn keep_index_entries(
        &self,
        segment: &mut Segment,
        trusted: u64,
        len: u64,
    ) -> std::io::Result<(u64, i64)> {
        let index = disk::found(segment.index_file(self.place, OpenMode::Existing))?;
        let times = disk::found(segment.time_file(self.place, OpenMode::Existing))?;
        let (index, times) = match (index, times) {
            (Some(index), Some(times)) => (index, times),
            (Some(alone), None) | (None, Some(alone)) => {
                alone.file().set_len(0)?;
                return Ok((0, segment.base));
            }
            (None, None) => return Ok((0, segment.base)),
        };
        let count = |len: u64, size: usize| u32::try_from(len / size as u64).unwrap_or(u32::MAX);
        let entries = count(index.file().len()?, OffsetEntry::SIZE);
        let time_entries = count(times.file().len()?, TimeEntry::SIZE);
        let view = IndexView::new(index.clone(), entries, Access::Read(Reach::Device));
        let kept = view.count_where::<OffsetEntry>(|entry| u64::from(entry.position) < trusted)?;
        let last = kept.checked_sub(1).map(|at| view.entry::<OffsetEntry>(at)).transpose()?;
        let last = match last {
            Some(last) => self.batch_at(segment, last, len)?.map(|base_offset| (last, base_offset)),
            None => None,
        };
        let facts = &mut segment.facts;
        if let Some((last, _)) = last {
            facts.index_entries = kept;
            let view = IndexView::new(times.clone(), time_entries, Access::Read(Reach::Device));
            facts.time_entries = view.count_where::<TimeEntry>(|e| e.relative <= last.relative)?;
            let time = facts.time_entries.checked_sub(1).map(|at| view.entry::<TimeEntry>(at));
            if let Some(time) = time.transpose()? {
                (facts.last_time, facts.max_time) = (time, time);
            }
        }
        index.file().set_len(u64::from(facts.index_entries) * OffsetEntry::SIZE as u64)?;
        times.file().set_len(u64::from(facts.time_entries) * TimeEntry::SIZE as u64)?;
        Ok(last.map_or((0, segment.base), |(last, offset)| (last.position.into(), offset)))
    }

    /// The base offset of the batch that an index entry points to, if that is what it says.
    fn batch_at(
        &self,
        segment: &mut Segment,
        entry: OffsetEntry,
        len: u64,
    ) -> std::io::Result<Option<i64>> {
        let file = segment.log_file(self.place, OpenMode::Existing)?;
        let header = |position| header_at(&**file.file(), segment.base, position..len);
        let expected = segment.base + i64::from(entry.relative);
        let batch = header(entry.position.into())?.filter(|h| h.last_offset() == expected);
        let first = header(0)?;
        let first = first.filter(|_| batch.is_some());
        segment.facts.first_time = first.map(|first| first.max_timestamp);
        Ok(batch.map(|batch| batch.base_offset))
    }

    /// Cuts a torn tail: the rest of a segment and all later ones.
    fn cut(
        &mut self,
        last: Option<&Segment>,
        len: u64,
        damage: Damage,
        later: &[i64],
    ) -> Result<(), DiskError> {
        let Some(last) = last else { return Ok(()) };
        let disk = self.place.files.disk();
        let path = self.place.path(last.base, segment::LOG);
        let file = last.log_file(self.place, OpenMode::Existing).at("open", &path)?;
        let zeros = has_zeros(&**file.file(), last.size, len).at("read", &path)?;
        let mut bytes = len - u64::from(last.size);
        // Later segments go first, newest before oldest, so that a crash leaves no hole.
        for &base in later.iter().rev() {
            let path = self.place.path(base, segment::LOG);
            let later = disk.open(&path, OpenMode::Existing).and_then(|file| file.len());
            bytes += later.at("read", &path)?;
            self.remove(base)?;
        }
        file.file().set_len(last.size.into()).at("cut", &path)?;
        // Behind the end of a synced log zeros lie ready; elsewhere they were something once.
        let is_ready = zeros && later.is_empty() && self.options.durability == Durability::Synced;
        if !is_ready {
            let (position, damage) = (last.size.into(), (!zeros).then_some(damage));
            self.report.cut = Some(CutTail { file: path, position, bytes, damage });
        }
        Ok(())
    }

    /// The segment that follows rot at the very end, or the first one of an empty folder.
    fn next_segment(&mut self, base: i64, now_ms: i64) -> Result<Segment, DiskError> {
        let segment = Segment::empty(&self.place.files, base, now_ms);
        let path = self.place.path(base, segment::LOG);
        segment.create_files(self.place).at("create", path)?;
        self.changed = true;
        Ok(segment)
    }

    /// Reports durable records that are not even there as damaged bytes.
    fn report_missing(&mut self, found: i64) {
        let file = self.place.path(self.durable.segment, segment::LOG);
        let len = self.place.files.disk().open(&file, OpenMode::Existing).and_then(|f| f.len());
        let positions = len.unwrap_or(0)..self.durable.position;
        let corrupt = Corrupt { file, positions, offsets: found..self.durable.end };
        tracing::error!(%corrupt, "bytes that were durable are missing");
        self.report.damaged.push(corrupt);
    }

    fn finish(
        mut self,
        sidecar: Sidecar,
        mut sealed: Vec<Segment>,
        active: Segment,
        start: i64,
    ) -> Result<Recovered, OpenError> {
        let (disk, dir) = (&**self.place.files.disk(), &self.place.dir);
        sealed.iter_mut().for_each(|segment| segment.close_indexes(self.place));
        let end = active.facts.next_offset;
        let first = sealed.first().unwrap_or(&active).base;
        let start = start.max(first).min(end);
        self.make_durable(active.base)?;
        self.durable = DurablePoint {
            segment: active.base,
            position: active.size.into(),
            end,
            suspect: false,
        };
        let before = Epochs::read(disk, dir)?;
        self.epochs.truncate_end(end);
        self.epochs.truncate_start(start);
        let has_new_epochs = self.epochs != before;
        let mut sidecar = sidecar;
        let epochs_saved = match self.save(has_new_epochs, &mut sidecar) {
            Ok(()) => true,
            // A full disk keeps nobody from reading: a scan finds it again.
            Err(error) if error.is_shortage() && self.report.damaged.is_empty() => {
                tracing::warn!(dir = %dir.display(), %error, "the next start may scan this again");
                !has_new_epochs
            }
            Err(error) => return Err(error.into()),
        };
        if self.changed {
            disk.sync_dir(dir).at("sync", dir)?;
        }
        let Self { epochs, durable, report, .. } = self;
        Ok(Recovered {
            sealed,
            active,
            start,
            epochs,
            epochs_saved,
            durable,
            sidecar,
            has_folder: true,
            report,
        })
    }

    /// Saves the epochs, if there are new ones, and then the durable point, which must not pass an
    /// epoch that is not saved.
    fn save(&self, has_new_epochs: bool, sidecar: &mut Sidecar) -> Result<(), DiskError> {
        let (disk, dir) = (&**self.place.files.disk(), &self.place.dir);
        if has_new_epochs {
            self.epochs.write(disk, dir)?;
        }
        let path = dir.join(durable::FILE);
        let file = disk.open(&path, OpenMode::Create).at("open", &path)?;
        sidecar.write(&*file, &self.durable).at("write", &path)?;
        if !self.report.damaged.is_empty() {
            // Without the point the gap behind the damage would look like a torn tail.
            file.sync_data().at("sync", &path)?;
        }
        Ok(())
    }

    /// Syncs what was scanned. After a failed sync pages may look written that never reached the
    /// device: they are written anew first, since only that makes them dirty again.
    fn make_durable(&mut self, active: i64) -> Result<(), DiskError> {
        for &(base, size) in &self.touched {
            let path = self.place.path(base, segment::LOG);
            let file = self.place.files.disk().open(&path, OpenMode::Existing).at("open", &path)?;
            let from = if base == self.durable.segment { self.durable.position } else { 0 };
            if self.durable.suspect {
                rewrite(&*file, from, size.into()).at("write", &path)?;
            }
            // A full one may have been trimmed just before the crash. Zeros that come back behind the
            // active one end the log wherever they begin.
            let is_full = base != active;
            let is_new = from < u64::from(size) || self.report.cut.is_some();
            if is_full || is_new || self.durable.suspect {
                file.sync_data().at("sync", &path)?;
                self.changed = true;
            }
        }
        Ok(())
    }
}

/// The header of the batch with which a range of a segment begins, if one does.
fn header_at(
    file: &dyn disk::DiskFile,
    base: i64,
    positions: Range<u64>,
) -> std::io::Result<Option<BatchHeader>> {
    match Scanner::new(file, positions, base..i64::MAX).next_header() {
        Ok(found) => Ok(found.map(|found| found.header)),
        Err(ScanError::Damage(_)) => Ok(None),
        Err(ScanError::Io(error)) => Err(error),
    }
}

/// Whether the bytes of a segment file behind its batches are zeros.
fn has_zeros(file: &dyn disk::DiskFile, size: u32, len: u64) -> std::io::Result<bool> {
    Scanner::new(file, size.into()..len, 0..i64::MAX).only_zeros_follow()
}

/// Writes bytes over themselves.
fn rewrite(file: &dyn disk::DiskFile, from: u64, to: u64) -> std::io::Result<()> {
    let mut chunk = vec![0; 1 << 20];
    let mut position = from;
    while position < to {
        let len = chunk.len().min(usize::try_from(to - position).unwrap_or(usize::MAX));
        let part = chunk.get_mut(..len).unwrap_or_default();
        disk::read_exact_at(file, part, position)?;
        file.write_all_at(&[part], position)?;
        position += len as u64;
    }
    Ok(())
}
