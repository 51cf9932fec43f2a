//! Reading full segments and writing, aside, the one that takes their place.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use klamm_protocol::records::Batch;

use super::filter::{self, Filter, Left};
use super::newest::NewestOffsets;
use super::transactions::{Standing, Transactions};
use super::{CompactError, Pace};
use crate::disk::{DiskFile, OpenMode};
use crate::error::{At, Corrupt, DiskError};
use crate::index::IndexEntry;
use crate::log::{AbortedTransaction, LogInner};
use crate::scan::{Found, ScanError, Scanner};
use crate::segment::{self, NewEntries, Place, Segment};

/// Bytes that are gathered before they are written.
const WRITE_AT_ONCE: usize = 1 << 20;

/// What a pass reads, for as long as it may go on.
pub(super) struct Source<'a> {
    pub(super) inner: &'a LogInner,
    pace: &'a dyn Fn(u64) -> Pace,
    /// Bytes that were read and written since the pace was asked for.
    moved: Cell<u64>,
    /// The generation of the log, unless somebody else changes it: it rises with each segment that
    /// the pass replaces.
    pub(super) generation: Cell<u64>,
}

/// Notes the newest offset of each key in dirty segments, in order, until there is no more room.
pub(super) fn note_newest(
    source: &Source<'_>,
    dirty: &[Segment],
    newest: &mut NewestOffsets,
) -> Result<(), CompactError> {
    let first_dirty = newest.end();
    let mut transactions = Transactions::default();
    for segment in dirty {
        transactions.begin_segment(&source.aborted_in(segment)?);
        let mut full = false;
        source.for_each_batch(segment, |found, batch| {
            let standing = transactions.pass(&found.header);
            let last_offset = found.header.last_offset();
            if full || last_offset < first_dirty {
                return Ok(());
            }
            full = standing == Standing::Counts && !note_batch(batch, first_dirty, newest);
            if !full {
                newest.cover(last_offset + 1);
            }
            Ok(())
        })?;
        if full {
            return Ok(());
        }
        newest.cover(segment.facts.next_offset);
    }
    Ok(())
}

/// `false` when there is no room for all keys of the batch. There always is for those of the first:
/// it must not hold up the log for ever, and to cover it without knowing all of its keys would
/// bring back those that its tombstones delete. The size of a batch bounds what that takes.
fn note_batch(batch: &Batch, first_dirty: i64, newest: &mut NewestOffsets) -> bool {
    let is_first = newest.end() == first_dirty;
    let records = filter::records(batch).unwrap_or_default();
    let mut dirty = records.iter().filter(|record| record.offset >= first_dirty);
    dirty.all(|record| match &record.key {
        Some(key) if is_first => {
            newest.note_at_any_size(key, record.offset);
            true
        }
        Some(key) => newest.note(key, record.offset),
        None => true,
    })
}

impl<'a> Source<'a> {
    pub(super) fn new(inner: &'a LogInner, pace: &'a dyn Fn(u64) -> Pace) -> Self {
        let generation = Cell::new(inner.lock().generation);
        Self { inner, pace, moved: Cell::new(0), generation }
    }

    /// Visits the sound batches of a full segment. Damage is an error: what is damaged stays for
    /// whoever can mend it.
    fn for_each_batch(
        &self,
        segment: &Segment,
        mut visit: impl FnMut(&Found, &Batch) -> Result<(), CompactError>,
    ) -> Result<(), CompactError> {
        if segment.size == 0 {
            return Ok(());
        }
        let place = &self.inner.place;
        let path = place.path(segment.base, segment::LOG);
        let file = segment.log_file(place, OpenMode::Existing).at("open", &path)?;
        let (size, next) = (u64::from(segment.size), segment.facts.next_offset);
        let mut scanner = Scanner::new(&**file.file(), 0..size, segment.base..next);
        loop {
            self.check()?;
            match scanner.next_batch() {
                Ok(Some((found, batch))) => {
                    self.count(batch.bytes());
                    visit(&found, &batch)?;
                }
                Ok(None) => return Ok(()),
                Err(ScanError::Io(error)) => Err(error).at("read", &path)?,
                Err(ScanError::Damage(_)) => {
                    let (positions, offsets) =
                        (scanner.position()..size, scanner.offset_min()..next);
                    return Err(Corrupt { file: path, positions, offsets }.into());
                }
            }
        }
    }

    fn count(&self, bytes: &[u8]) {
        self.moved.update(|moved| moved + bytes.len() as u64);
    }

    /// The aborted transactions that reach into a full segment.
    fn aborted_in(&self, segment: &Segment) -> Result<Vec<AbortedTransaction>, DiskError> {
        self.inner.aborted(segment.base..segment.facts.next_offset)
    }

    /// Waits until the pass may go on.
    fn check(&self) -> Result<(), CompactError> {
        loop {
            if self.inner.lock().closed {
                return Err(CompactError::Closed);
            }
            match (self.pace)(self.moved.take()) {
                Pace::Go => return Ok(()),
                Pace::Wait => {}
                Pace::Stop => return Err(CompactError::Stopped),
            }
        }
    }
}

/// A segment that is written aside and synced.
#[derive(Clone, Debug)]
pub(super) struct Rewritten {
    /// The segment as it will be, with all of its index entries.
    pub(super) segment: Segment,
    /// Whether it differs from what it was made of.
    pub(super) changed: bool,
    /// Where noted transactions have their markers of which there was nothing else left.
    pub(super) spent: BTreeSet<i64>,
}

/// By what is decided which batches stay.
pub(super) struct Rules<'a> {
    pub(super) filter: Filter<'a>,
    /// The last offsets of producers that may go on.
    pub(super) producers: &'a HashMap<i64, i64>,
    /// Has gone through all segments before.
    pub(super) transactions: Transactions,
}

/// Writes what the rules leave of neighbouring segments into the files of one segment aside, and
/// syncs them. `None` when the result would be too large.
pub(super) fn rewrite(
    source: &Source<'_>,
    group: &[Segment],
    rules: &mut Rules<'_>,
    index_interval: u32,
) -> Result<Option<Rewritten>, CompactError> {
    let Rules { filter, producers, transactions } = rules;
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(None) };
    let place = &source.inner.place;
    let mut writer = Writer::new(place, first.base, last.facts.created_ms, index_interval)?;
    let mut changed = group.len() > 1;
    let mut too_large = false;
    let mut spent = BTreeSet::new();
    for segment in group {
        transactions.begin_segment(&source.aborted_in(segment)?);
        source.for_each_batch(segment, |found, batch| {
            let standing = transactions.pass(&found.header);
            if standing == Standing::SpentMarker && transactions.is_noted(&found.header) {
                spent.insert(found.header.base_offset);
            }
            let last_offset = found.header.last_offset();
            // The last header of a segment is kept so that the segment says by itself where it
            // ends: recovery depends on it.
            let keep_header = last_offset + 1 == last.facts.next_offset
                || producers.get(&found.header.producer_id) == Some(&last_offset);
            let left = filter.apply(batch, standing, keep_header);
            changed |= left != Left::All;
            let kept = match &left {
                Left::All => batch,
                Left::Some(batch) => batch,
                Left::Nothing => return Ok(()),
            };
            too_large |= writer.size() + kept.bytes().len() > segment::SIZE_MAX as usize;
            if !too_large {
                source.count(kept.bytes());
                writer.push(kept)?;
            }
            Ok(())
        })?;
    }
    if too_large {
        return Ok(None);
    }
    let mut segment = writer.finish()?;
    segment.facts.next_offset = last.facts.next_offset;
    Ok(Some(Rewritten { segment, changed, spent }))
}

/// Removes what a rewrite has left aside.
pub(super) fn discard(place: &Place, base: i64) -> Result<(), DiskError> {
    for extension in segment::EXTENSIONS {
        let path = aside(place, base, extension);
        crate::disk::found(place.files.disk().remove_file(&path)).at("remove", path)?;
    }
    Ok(())
}

/// Writes the three files of one segment.
struct Writer<'a> {
    place: &'a Place,
    segment: Segment,
    log: Arc<dyn DiskFile>,
    buffer: Vec<u8>,
    index: Vec<u8>,
    times: Vec<u8>,
    index_interval: u32,
}

impl<'a> Writer<'a> {
    fn new(
        place: &'a Place,
        base: i64,
        created_ms: i64,
        index_interval: u32,
    ) -> Result<Self, DiskError> {
        Ok(Self {
            place,
            segment: Segment::empty(&place.files, base, created_ms),
            log: create(place, base, segment::LOG)?,
            buffer: Vec::new(),
            index: Vec::new(),
            times: Vec::new(),
            index_interval,
        })
    }

    fn size(&self) -> usize {
        self.segment.size as usize
    }

    fn push(&mut self, batch: &Batch) -> Result<(), DiskError> {
        let entries = self.segment.add(batch.header(), self.index_interval);
        self.note(entries);
        self.buffer.extend_from_slice(batch.bytes());
        if self.buffer.len() >= WRITE_AT_ONCE {
            self.flush()?;
        }
        Ok(())
    }

    fn note(&mut self, entries: NewEntries) {
        if let Some(entry) = entries.offset {
            entry.encode(&mut self.index);
        }
        if let Some(entry) = entries.time {
            entry.encode(&mut self.times);
        }
        self.segment.facts.count(entries);
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        let path = aside(self.place, self.segment.base, segment::LOG);
        let position = self.size() as u64 - self.buffer.len() as u64;
        self.log.write_all_at(&[&self.buffer], position).at("write", path)?;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Segment, DiskError> {
        let time = self.segment.facts.time_due();
        self.note(NewEntries { offset: None, time });
        self.flush()?;
        let Self { place, segment, log, index, times, .. } = self;
        let path = |extension| aside(place, segment.base, extension);
        log.sync_data().at("sync", path(segment::LOG))?;
        for (extension, bytes) in [(segment::INDEX, index), (segment::TIME_INDEX, times)] {
            let file = create(place, segment.base, extension)?;
            file.write_all_at(&[&bytes], 0).at("write", path(extension))?;
            file.sync_data().at("sync", path(extension))?;
        }
        Ok(segment)
    }
}

fn aside(place: &Place, base: i64, extension: &str) -> std::path::PathBuf {
    place.path(base, extension).with_added_extension(segment::CLEANED)
}

/// An empty file aside, whatever an earlier pass may have left there.
fn create(place: &Place, base: i64, extension: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
    let path = aside(place, base, extension);
    let file = place.files.disk().open(&path, OpenMode::Create).at("create", &path)?;
    file.set_len(0).at("cut", path)?;
    Ok(file)
}
