//! Which transactions were aborted, so that readers of committed records can pass them over.
//!
//! Each segment in which such a transaction has its marker has a file of them beside it. The owner
//! of the log says what goes in: what aborts a transaction is nothing that a log knows.

mod file;

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};

use self::file::Entries;
use super::{Log, LogInner};
use crate::disk::{self, OpenMode};
use crate::error::{At, DiskError, ReadError};
use crate::segment::{self, ABORTED, Place};

/// A transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose it was.
    pub producer_id: i64,
    /// Offset of its first record.
    pub first_offset: i64,
    /// Offset of the marker that aborts it.
    pub last_offset: i64,
    /// The stable offset from its marker on.
    pub stable_offset: i64,
}

/// What is known of the files of aborted transactions of a log.
#[derive(Debug, Default)]
pub(crate) struct AbortedFiles {
    /// `None` until somebody asks.
    known: Option<Known>,
    /// The base offsets of those that were written to since the last sync.
    unsynced: BTreeSet<i64>,
    /// Why a sync failed. Another one may say that all is well without writing anything.
    fault: Option<DiskError>,
}

#[derive(Debug, Default)]
struct Known {
    /// The base offsets of the segments that have one.
    bases: BTreeSet<i64>,
    /// No marker lies at or behind it.
    end: i64,
}

impl Log {
    /// Notes an aborted transaction, whose marker is in the log, beside the segment that holds it.
    /// The stable offset must not pass the transaction before. May block on the disk.
    ///
    /// # Errors
    /// It is not noted.
    pub fn add_aborted(&self, aborted: &AbortedTransaction) -> Result<(), DiskError> {
        let inner = &self.0;
        let _layout = inner.hold_layout();
        inner.find_aborted_files()?;
        let base = inner.lock().snapshot(aborted.last_offset).segment.base;
        let place = &inner.place;
        file::append(place, base, aborted).at("append to", file::path(place, base))?;
        let files = &mut inner.lock().aborted;
        files.unsynced.insert(base);
        let known = files.known.get_or_insert_default();
        known.bases.insert(base);
        known.end = known.end.max(aborted.last_offset + 1);
        Ok(())
    }

    /// Whether [`aborted`](Self::aborted) may find something from an offset on, as far as is known
    /// without a look at the disk.
    #[must_use]
    pub fn may_have_aborted(&self, from: i64) -> bool {
        self.0.lock().aborted.known.as_ref().is_none_or(|known| from < known.end)
    }

    /// The aborted transactions with records in a range of offsets, as far as they have their
    /// markers, by first offset. What it costs grows with what is found, not with what is noted.
    /// May block on the disk.
    pub fn aborted(&self, offsets: Range<i64>) -> Result<Vec<AbortedTransaction>, ReadError> {
        self.0.lock().check_readable(offsets.start)?;
        let mut found = self.0.aborted(offsets)?;
        found.sort_by_key(|aborted| aborted.first_offset);
        Ok(found)
    }

    /// Forgets the aborted transactions whose markers lie at or behind an offset, because the log
    /// was cut or is read anew: a full disk has room for that. May block on the disk.
    ///
    /// # Errors
    /// Some, perhaps all, are still there.
    pub fn forget_aborted(&self, from: i64) -> Result<(), DiskError> {
        let inner = &self.0;
        let _layout = inner.hold_layout();
        inner.find_aborted_files()?;
        for base in inner.aborted_bases(i64::MIN..i64::MAX) {
            let path = file::path(&inner.place, base);
            file::cut(&inner.place, base, from).at("shorten", path)?;
        }
        Ok(())
    }

    /// Makes what was noted durable. Blocks on the disk, without keeping anybody from noting more;
    /// a file that is replaced meanwhile is synced by that.
    ///
    /// # Errors
    /// Some of it may not be, until the log is opened anew and it is noted again.
    pub fn sync_aborted(&self) -> Result<(), DiskError> {
        let inner = &self.0;
        let bases = {
            let files = &mut inner.lock().aborted;
            if let Some(fault) = &files.fault {
                return Err(fault.clone());
            }
            std::mem::take(&mut files.unsynced)
        };
        let synced = inner.sync_aborted(&bases);
        if let Err(fault) = &synced {
            inner.lock().aborted.fault = Some(fault.clone());
        }
        synced
    }
}

impl LogInner {
    /// As [`Log::aborted`], in the order of the markers.
    pub(crate) fn aborted(
        &self,
        offsets: Range<i64>,
    ) -> Result<Vec<AbortedTransaction>, DiskError> {
        // Compaction does not move what is noted meanwhile.
        let _layout = self.hold_layout();
        self.find_aborted_files()?;
        let bases: Vec<i64> = {
            let state = self.lock();
            let known = state.aborted.known.as_ref();
            let Some(known) = known.filter(|known| offsets.start < known.end) else {
                return Ok(Vec::new());
            };
            let first = state.snapshot(offsets.start).segment.base;
            known.bases.range(first..).copied().collect()
        };
        let mut found = Vec::new();
        let mut visit = |aborted: AbortedTransaction| {
            if aborted.first_offset < offsets.end {
                found.push(aborted);
            }
            // What was marked later began later.
            let is_last = aborted.stable_offset >= offsets.end;
            if is_last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        for base in bases {
            let path = file::path(&self.place, base);
            let Some(entries) = Entries::open(&self.place, base).at("open", &path)? else {
                continue;
            };
            if entries.visit(offsets.start, &mut visit).at("read", path)?.is_break() {
                break;
            }
        }
        Ok(found)
    }

    /// Forgets aborted transactions of which the log has no record any more, by the offsets of
    /// their markers, which lie in these segments. Their markers may go then.
    pub(crate) fn forget_spent(
        &self,
        segments: Range<i64>,
        markers: &BTreeSet<i64>,
    ) -> Result<(), DiskError> {
        let _layout = self.hold_layout();
        self.find_aborted_files()?;
        for base in self.aborted_bases(segments) {
            let path = file::path(&self.place, base);
            let mut entries = file::read(&self.place, base).at("read", &path)?;
            let count = entries.len();
            entries.retain(|aborted| !markers.contains(&aborted.last_offset));
            if entries.len() < count {
                file::replace(&self.place, base, &entries).at("replace", path)?;
            }
        }
        Ok(())
    }

    fn sync_aborted(&self, bases: &BTreeSet<i64>) -> Result<(), DiskError> {
        if bases.is_empty() {
            return Ok(());
        }
        let disk = self.place.files.disk();
        for base in bases {
            let path = file::path(&self.place, *base);
            let file = disk::found(disk.open(&path, OpenMode::Existing)).at("open", &path)?;
            file.map_or(Ok(()), |file| file.sync_data()).at("sync", &path)?;
        }
        disk.sync_dir(&self.place.dir).at("sync", &self.place.dir)
    }

    /// The base offsets of segments that have a file. The caller holds the layout.
    fn aborted_bases(&self, segments: Range<i64>) -> Vec<i64> {
        match &self.lock().aborted.known {
            Some(known) => known.bases.range(segments).copied().collect(),
            None => Vec::new(),
        }
    }

    /// Looks once which segments have a file of aborted transactions.
    fn find_aborted_files(&self) -> Result<(), DiskError> {
        let has_folder = {
            let state = self.lock();
            if state.aborted.known.is_some() {
                return Ok(());
            }
            state.has_folder
        };
        let mut found = Known::default();
        if has_folder {
            let dir = &self.place.dir;
            let entries = self.place.files.disk().list(dir).at("list", dir)?;
            found.bases =
                entries.iter().filter_map(|it| segment::base_of(&it.name, ABORTED)).collect();
        }
        for base in found.bases.iter().rev() {
            let last = || Entries::open(&self.place, *base)?.map_or(Ok(None), |it| it.last());
            if let Some(last) = last().at("read", file::path(&self.place, *base))? {
                found.end = last.last_offset + 1;
                break;
            }
        }
        self.lock().aborted.known.get_or_insert(found);
        Ok(())
    }

    /// The files of segments that compaction has replaced are one now. The caller holds the layout.
    pub(crate) fn aborted_merged(&self, base: i64, replaced: &[i64]) {
        let files = &mut self.lock().aborted;
        let Some(Known { bases, .. }) = &mut files.known else { return };
        let before = bases.len();
        bases.retain(|known| *known == base || !replaced.contains(known));
        if bases.len() < before {
            bases.insert(base);
        }
        files.unsynced.retain(|known| *known == base || !replaced.contains(known));
    }
}

/// Gathers what is noted beside segments that were replaced by one beside that one. What a crash
/// cuts short may be done again.
pub(crate) fn merge(place: &Place, base: i64, replaced: &[i64]) -> Result<(), DiskError> {
    let target = file::path(place, base);
    let mut all = file::read(place, base).at("read", &target)?;
    let count = all.len();
    for other in replaced.iter().filter(|other| **other != base) {
        all.extend(file::read(place, *other).at("read", file::path(place, *other))?);
    }
    if all.len() > count {
        all.sort_by_key(|aborted| aborted.last_offset);
        all.dedup();
        file::replace(place, base, &all).at("replace", &target)?;
    }
    Ok(())
}
