//! Which transactions were aborted, so that readers of committed records can pass them over.
//!
//! Each segment in which such a transaction has its marker has a file of them beside it, as Kafka
//! has (`TransactionIndex.java`). The owner of the log says what goes in: what aborts a transaction
//! is nothing that a log knows.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

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

/// Bytes of an entry.
const SIZE: usize = 34;
/// The only version of entries.
const VERSION: i16 = 0;

impl AbortedTransaction {
    fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let (version, rest) = bytes.split_at_mut(2);
        version.copy_from_slice(&VERSION.to_be_bytes());
        let fields = [self.producer_id, self.first_offset, self.last_offset, self.stable_offset];
        for (place, field) in rest.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    /// None where it is of no known version.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk()?;
        let (fields, _) = rest.as_chunks().0.split_first_chunk::<4>()?;
        let [producer_id, first_offset, last_offset, stable_offset] =
            fields.map(i64::from_be_bytes);
        let is_known = i16::from_be_bytes(*version) == VERSION;
        is_known.then_some(Self { producer_id, first_offset, last_offset, stable_offset })
    }
}

/// What is known of the files of aborted transactions of a log.
#[derive(Debug, Default)]
pub(crate) struct AbortedFiles {
    /// The base offsets of the segments that have one; `None` until somebody asks.
    bases: Option<BTreeSet<i64>>,
    /// Those that were written to since the last sync.
    unsynced: BTreeSet<i64>,
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
        let path = inner.place.path(base, ABORTED);
        append(&inner.place, &path, aborted).at("append to", path)?;
        let files = &mut inner.lock().aborted;
        files.unsynced.insert(base);
        files.bases.get_or_insert_default().insert(base);
        Ok(())
    }

    /// Whether [`aborted`](Self::aborted) may find something, as far as is known without a look at
    /// the disk.
    #[must_use]
    pub fn may_have_aborted(&self) -> bool {
        self.0.lock().aborted.bases.as_ref().is_none_or(|bases| !bases.is_empty())
    }

    /// The aborted transactions with records in a range of offsets, as far as they have their
    /// markers, by first offset. May block on the disk.
    pub fn aborted(&self, offsets: Range<i64>) -> Result<Vec<AbortedTransaction>, ReadError> {
        let inner = &self.0;
        inner.find_aborted_files()?;
        if inner.lock().aborted.bases.as_ref().is_none_or(BTreeSet::is_empty) {
            return Ok(Vec::new());
        }
        // Compaction does not move what is noted meanwhile.
        let _layout = inner.hold_layout();
        let first = {
            let state = inner.lock();
            state.check_readable(offsets.start)?;
            state.snapshot(offsets.start).segment.base
        };
        let mut found = inner.aborted_from(first, &offsets)?;
        found.sort_by_key(|aborted| aborted.first_offset);
        Ok(found)
    }

    /// Forgets the aborted transactions whose markers lie at or behind an offset, because the log
    /// was cut or is read anew. May block on the disk.
    ///
    /// # Errors
    /// Some, perhaps all, are still there.
    pub fn forget_aborted(&self, from: i64) -> Result<(), DiskError> {
        let inner = &self.0;
        let _layout = inner.hold_layout();
        inner.find_aborted_files()?;
        let bases = inner.lock().aborted.bases.clone().unwrap_or_default();
        for base in bases {
            let path = inner.place.path(base, ABORTED);
            let mut entries = read(&inner.place, &path).at("read", &path)?;
            let count = entries.len();
            entries.retain(|aborted| aborted.last_offset < from);
            if entries.len() < count {
                replace(&inner.place, &path, &entries).at("replace", &path)?;
            }
        }
        Ok(())
    }

    /// Makes what was noted durable. Blocks on the disk.
    ///
    /// # Errors
    /// Some of it may not be.
    pub fn sync_aborted(&self) -> Result<(), DiskError> {
        let inner = &self.0;
        let _layout = inner.hold_layout();
        let bases = std::mem::take(&mut inner.lock().aborted.unsynced);
        if bases.is_empty() {
            return Ok(());
        }
        let disk = inner.place.files.disk();
        for base in bases {
            let path = inner.place.path(base, ABORTED);
            let file = disk::found(disk.open(&path, OpenMode::Existing)).at("open", &path)?;
            file.map_or(Ok(()), |file| file.sync_data()).at("sync", &path)?;
        }
        disk.sync_dir(&inner.place.dir).at("sync", &inner.place.dir)
    }
}

impl LogInner {
    /// Looks once which segments have a file of aborted transactions.
    fn find_aborted_files(&self) -> Result<(), DiskError> {
        let has_folder = {
            let state = self.lock();
            if state.aborted.bases.is_some() {
                return Ok(());
            }
            state.has_folder
        };
        let mut found = BTreeSet::new();
        if has_folder {
            let dir = &self.place.dir;
            let entries = self.place.files.disk().list(dir).at("list", dir)?;
            found.extend(entries.iter().filter_map(|it| segment::base_of(&it.name, ABORTED)));
        }
        self.lock().aborted.bases.get_or_insert_default().extend(found);
        Ok(())
    }

    /// What lies in a range of offsets of what is noted from a segment on.
    fn aborted_from(
        &self,
        first_base: i64,
        offsets: &Range<i64>,
    ) -> Result<Vec<AbortedTransaction>, ReadError> {
        let bases = self.lock().aborted.bases.clone().unwrap_or_default();
        let mut found = Vec::new();
        for base in bases.range(first_base..) {
            let path = self.place.path(*base, ABORTED);
            for aborted in read(&self.place, &path).at("read", &path)? {
                let overlaps =
                    aborted.last_offset >= offsets.start && aborted.first_offset < offsets.end;
                if overlaps {
                    found.push(aborted);
                }
                if aborted.stable_offset >= offsets.end {
                    // What was marked later began later.
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// The files of segments that compaction has replaced are one now. The caller holds the layout.
    pub(crate) fn aborted_merged(&self, base: i64, replaced: &[i64]) {
        let files = &mut self.lock().aborted;
        let Some(bases) = &mut files.bases else { return };
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
    let target = place.path(base, ABORTED);
    let mut all = read(place, &target).at("read", &target)?;
    let count = all.len();
    for other in replaced.iter().filter(|other| **other != base) {
        let path = place.path(*other, ABORTED);
        all.extend(read(place, &path).at("read", &path)?);
    }
    if all.len() > count {
        all.sort_by_key(|aborted| aborted.last_offset);
        all.dedup();
        replace(place, &target, &all).at("replace", &target)?;
    }
    Ok(())
}

fn append(place: &Place, path: &Path, aborted: &AbortedTransaction) -> std::io::Result<()> {
    let file = place.files.disk().open(path, OpenMode::Create)?;
    let len = file.len()?;
    // Half an entry that a crash left is overwritten.
    file.write_all_at(&[&aborted.encode()], len - len % SIZE as u64)
}

fn replace(place: &Place, path: &Path, entries: &[AbortedTransaction]) -> std::io::Result<()> {
    let content: Vec<u8> = entries.iter().flat_map(AbortedTransaction::encode).collect();
    disk::replace_file(&**place.files.disk(), path, &[&content])
}

/// Every entry of a file, if there is one.
fn read(place: &Place, path: &Path) -> std::io::Result<Vec<AbortedTransaction>> {
    let disk = place.files.disk();
    let Some(file) = disk::found(disk.open(path, OpenMode::Existing))? else {
        return Ok(Vec::new());
    };
    let content = disk::read_small(&*file, u64::from(u32::MAX))?;
    Ok(content.chunks_exact(SIZE).filter_map(AbortedTransaction::decode).collect())
}
