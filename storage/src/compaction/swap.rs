//! Putting a rewritten segment in the place of those it was made of, and what recovery does when
//! that was cut short.
//!
//! The new files are synced under names that end in `.cleaned` before anything else happens. Then:
//!
//! 1. they are renamed to `.swap`, and the folder is synced;
//! 2. the new `.log` replaces that of the first old segment, and the folder is synced: from here on
//!    the old segments are history;
//! 3. the aborted transactions of the old segments are gathered beside the first, the others are
//!    moved out of the way, the indexes of the first are removed, and the folder is synced;
//! 4. the new indexes get their names.
//!
//! At every moment the name of the first segment stands for its old content or its new one, and
//! what tells the two apart is the content itself: the new one ends where the last of the old
//! segments ended. As long as an old index might be taken for one of the new content, a `.swap`
//! file is there that says so.

use std::io;

use super::CompactError;
use super::rewrite::{Rewritten, discard};
use crate::disk::{self, Entry, OpenMode};
use crate::error::{At, ChangeError, DiskError};
use crate::log::{LogInner, State, aborted};
use crate::scan::{ScanError, Scanner};
use crate::segment::{self, CLEANED, EXTENSIONS, Place, SWAP, Segment};
use crate::sweep::Rubbish;

/// Puts `new` in the place of the segments in `old`. `false`, with nothing changed, when those are
/// not there any more. After an error the log is either as before, or has failed.
pub(super) fn swap(
    inner: &LogInner,
    old: &[Segment],
    new: Rewritten,
) -> Result<bool, CompactError> {
    let _layout = inner.hold_layout();
    let base = new.segment.base;
    let held = inner.lock().holds(old);
    if !matches!(held, Ok(true)) {
        discard(&inner.place, base)?;
        return Ok(held?);
    }
    if let Err(error) = announce(&inner.place, base).and_then(|()| replace(inner, old, &new)) {
        return Err(call_off(inner, base, error).into());
    }
    // The old segments are history: what fails now is for recovery to finish.
    finish(inner, old, &new).inspect_err(|error| fail(inner, error))?;
    Ok(true)
}

impl State {
    /// Whether these neighbours are full segments of the log still.
    fn holds(&self, old: &[Segment]) -> Result<bool, ChangeError> {
        self.check_changeable()?;
        let Some(first) = old.first() else { return Ok(false) };
        let at = self.sealed.partition_point(|segment| segment.base < first.base);
        let there = self.sealed.get(at..at + old.len()).unwrap_or_default();
        Ok(there.len() == old.len() && there.iter().zip(old).all(|(a, b)| a.is_same(b)))
    }
}

/// The first step.
fn announce(place: &Place, base: i64) -> Result<(), DiskError> {
    let disk = place.files.disk();
    for extension in EXTENSIONS {
        let path = place.path(base, extension);
        let from = path.with_added_extension(CLEANED);
        disk.rename(&from, &path.with_added_extension(SWAP)).at("rename", from)?;
    }
    disk.sync_dir(&place.dir).at("sync", &place.dir)
}

/// The second step, up to its sync. Readers that are under way go on with the files they hold, or
/// begin again with the new ones.
fn replace(inner: &LogInner, old: &[Segment], new: &Rewritten) -> Result<(), DiskError> {
    let path = inner.place.path(new.segment.base, segment::LOG);
    let from = path.with_added_extension(SWAP);
    // Until its indexes have their names, the segment does without.
    let mut segment = new.segment.clone();
    segment.drop_entries();
    let mut state = inner.lock();
    inner.place.files.disk().rename(&from, &path).at("rename", from)?;
    let at = state.sealed.partition_point(|sealed| sealed.base < segment.base);
    state.sealed.splice(at..at + old.len(), [segment]);
    state.generation += 1;
    Ok(())
}

/// Undoes the first step. Were one of its files left, recovery would take it for the truth.
fn call_off(inner: &LogInner, base: i64, error: DiskError) -> DiskError {
    let place = &inner.place;
    let disk = place.files.disk();
    let remove = |suffix: &str| {
        EXTENSIONS.iter().try_for_each(|extension| {
            let path = place.path(base, extension).with_added_extension(suffix);
            disk::found(disk.remove_file(&path)).map(drop)
        })
    };
    let undone: io::Result<()> =
        remove(SWAP).and_then(|()| remove(CLEANED)).and_then(|()| disk.sync_dir(&place.dir));
    if undone.is_err() {
        fail(inner, &error);
    }
    error
}

/// Only recovery may go on with the log.
fn fail(inner: &LogInner, error: &DiskError) {
    let mut state = inner.lock();
    let was_sound = state.fault.is_none();
    state.poison(inner, error);
    let pending = std::mem::take(&mut state.pending);
    drop(state);
    if was_sound {
        inner.report_failure(pending, error);
    }
}

/// The second step's sync, and the other two steps.
fn finish(inner: &LogInner, old: &[Segment], new: &Rewritten) -> Result<(), DiskError> {
    let place = &inner.place;
    let (disk, base) = (place.files.disk(), new.segment.base);
    let sync = || disk.sync_dir(&place.dir).at("sync", &place.dir);
    sync()?;
    let delay = inner.lock().options.file_delete_delay;
    let bases: Vec<i64> = old.iter().map(|segment| segment.base).collect();
    aborted::merge(place, base, &bases)?;
    inner.aborted_merged(base, &bases);
    for segment in old {
        segment.forget_files(&place.files);
        if segment.base != base {
            let path = place.path(segment.base, segment::LOG);
            let marked = segment::mark_deleted(place, segment).at("rename", path)?;
            marked.into_iter().for_each(|p| inner.core.sweeper.remove(Rubbish::File(p), delay));
        }
    }
    remove_indexes(place, base, "")?;
    sync()?;
    for extension in [segment::INDEX, segment::TIME_INDEX] {
        let path = place.path(base, extension);
        let from = path.with_added_extension(SWAP);
        disk.rename(&from, &path).at("rename", from)?;
    }
    sync()?;
    let mut state = inner.lock();
    let own = state.sealed.iter_mut().find(|segment| segment.is_same(&new.segment));
    if let Some(segment) = own {
        segment.facts = new.segment.facts;
    }
    Ok(())
}

/// Removes the indexes of a segment, or those whose names have `suffix` added.
fn remove_indexes(place: &Place, base: i64, suffix: &str) -> Result<(), DiskError> {
    for extension in [segment::INDEX, segment::TIME_INDEX] {
        let path = place.path(base, extension);
        let path = if suffix.is_empty() { path } else { path.with_added_extension(suffix) };
        disk::found(place.files.disk().remove_file(&path)).at("remove", path)?;
    }
    Ok(())
}

/// Finishes, in the folder of a log that is not open, the swaps that its entries tell of. Returns
/// whether there was one.
pub(crate) fn settle(place: &Place, entries: &[Entry]) -> Result<bool, DiskError> {
    let swap_of = |entry: &Entry| {
        let name = entry.name.strip_suffix(SWAP)?.strip_suffix('.')?;
        EXTENSIONS.iter().find_map(|extension| segment::base_of(name, extension))
    };
    let mut bases: Vec<i64> = entries.iter().filter_map(swap_of).collect();
    bases.sort_unstable();
    bases.dedup();
    bases.iter().try_for_each(|base| settle_one(place, *base))?;
    Ok(!bases.is_empty())
}

fn settle_one(place: &Place, base: i64) -> Result<(), DiskError> {
    let disk = place.files.disk();
    let sync = || disk.sync_dir(&place.dir).at("sync", &place.dir);
    let path = place.path(base, segment::LOG);
    let from = path.with_added_extension(SWAP);
    disk::found(disk.rename(&from, &path)).at("rename", &from)?;
    sync()?;
    let entries = disk.list(&place.dir).at("list", &place.dir)?;
    let bases = entries.iter().filter_map(|entry| segment::base_of(&entry.name, segment::LOG));
    let later: Vec<i64> = bases.filter(|other| *other > base).collect();
    let end = match later.iter().max() {
        Some(last) => end_of(place, base, *last)?,
        None => base,
    };
    let replaced: Vec<i64> = later.into_iter().filter(|old| *old < end).collect();
    aborted::merge(place, base, &replaced)?;
    for old in replaced {
        let path = place.path(old, segment::ABORTED);
        disk::found(disk.remove_file(&path)).at("remove", path)?;
        let path = place.path(old, segment::LOG);
        tracing::info!(file = %path.display(), "replaced by compaction before the last stop");
        disk::found(disk.remove_file(&path)).at("remove", path)?;
        remove_indexes(place, old, "")?;
    }
    remove_indexes(place, base, "")?;
    sync()?;
    remove_indexes(place, base, SWAP)?;
    sync()
}

/// The offset behind the last sound batch of a segment whose offsets are all below `limit`.
fn end_of(place: &Place, base: i64, limit: i64) -> Result<i64, DiskError> {
    let path = place.path(base, segment::LOG);
    let Some(file) =
        disk::found(place.files.disk().open(&path, OpenMode::Existing)).at("open", &path)?
    else {
        return Ok(base);
    };
    let len = file.len().at("read", &path)?;
    let mut scanner = Scanner::new(&*file, 0..len, base..limit);
    let mut end = base;
    loop {
        match scanner.next_batch() {
            Ok(Some((found, _))) => end = found.header.last_offset() + 1,
            Ok(None) => return Ok(end),
            Err(ScanError::Io(error)) => return Err(error).at("read", path),
            Err(ScanError::Damage(_)) => {
                scanner.resync().at("read", &path)?;
            }
        }
    }
}
