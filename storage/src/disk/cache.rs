//! A bounded cache of open files: a process may have 20,000, a broker more segments than that.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{Disk, DiskFile, Mapping, OpenMode};

/// Locks the cache is split into, so that partitions rarely meet on one.
const SHARDS: u64 = 16;

/// Open files by id. Evicting one only drops the cache's handle: whoever holds the file (a read
/// that is under way, a sync that is due) keeps it open.
#[derive(Debug)]
pub(crate) struct FileCache {
    disk: Arc<dyn Disk>,
    shards: Vec<Mutex<Shard>>,
    open_max_per_shard: usize,
    next_id: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    files: HashMap<FileId, (Arc<CachedFile>, u64)>,
    tick: u64,
}

/// Names one file of one segment for the life of the process; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileId(u64);

/// An open file and, once asked for, its mapping.
#[derive(Debug)]
pub(crate) struct CachedFile {
    file: Arc<dyn DiskFile>,
    map: OnceLock<Option<Mapping>>,
}

impl CachedFile {
    /// The file itself.
    pub(crate) fn file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }

    /// The mapping of a file that no longer changes and has `len` bytes; `None` when it cannot
    /// be mapped, and reads go through the file.
    pub(crate) fn map(&self, len: usize) -> Option<&[u8]> {
        let map = self.map.get_or_init(|| self.file.map(len).ok().flatten());
        map.as_ref().and_then(|map| map.get(..len))
    }
}

impl FileCache {
    pub(crate) fn new(disk: Arc<dyn Disk>, open_max: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let open_max_per_shard = (open_max / SHARDS as usize).max(4);
        Self { disk, shards, open_max_per_shard, next_id: AtomicU64::new(0) }
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// An id for a file that is about to be used.
    pub(crate) fn new_id(&self) -> FileId {
        FileId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// The open file, opening it with `mode` at `path` if it is not there.
    pub(crate) fn open(
        &self,
        id: FileId,
        mode: OpenMode,
        path: impl FnOnce() -> std::path::PathBuf,
    ) -> io::Result<Arc<CachedFile>> {
        if let Some(file) = self.held(id) {
            return Ok(file);
        }
        // Opened outside the lock: other partitions must not wait for this one's disk.
        let file = self.disk.open(Path::new(&path()), mode)?;
        let file = Arc::new(CachedFile { file, map: OnceLock::new() });
        let mut shard = self.shard(id);
        shard.tick += 1;
        let tick = shard.tick;
        if shard.files.len() >= self.open_max_per_shard {
            shard.evict_oldest();
        }
        Ok(shard.files.entry(id).or_insert((file, tick)).0.clone())
    }

    /// The file if it is open already.
    pub(crate) fn held(&self, id: FileId) -> Option<Arc<CachedFile>> {
        let mut shard = self.shard(id);
        shard.tick += 1;
        let tick = shard.tick;
        let (file, used) = shard.files.get_mut(&id)?;
        *used = tick;
        Some(file.clone())
    }

    /// Drops the handle, and with it the mapping, of a file that is about to change or vanish.
    pub(crate) fn forget(&self, id: FileId) {
        self.shard(id).files.remove(&id);
    }

    /// Closes all files that nobody uses, for somebody who needs to open one.
    pub(crate) fn make_room(&self) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).files.clear();
        }
    }

    fn shard(&self, id: FileId) -> std::sync::MutexGuard<'_, Shard> {
        // Files of one kind are numbered at regular distances, and must not share a shard for it.
        let mixed = id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let index = usize::try_from(mixed % SHARDS).unwrap_or(0);
        #[expect(clippy::indexing_slicing, reason = "the remainder is below the number of shards")]
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn evict_oldest(&mut self) {
        let oldest = self.files.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id);
        if let Some(id) = oldest {
            self.files.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryDisk;
    use super::*;

    #[test]
    fn the_number_of_open_files_is_bounded_and_evicted_ones_come_back() {
        let disk = MemoryDisk::new();
        disk.create_dir(Path::new("/d")).unwrap();
        let cache = FileCache::new(Arc::new(disk), 64);
        let ids: Vec<_> = (0..500).map(|_| cache.new_id()).collect();
        for (i, id) in ids.iter().enumerate() {
            let path = || format!("/d/{i}").into();
            let file = cache.open(*id, OpenMode::Create, path).unwrap();
            file.file().write_all_at(&[&[i as u8]], 0).unwrap();
        }
        let open: usize = cache.shards.iter().map(|s| s.lock().unwrap().files.len()).sum();
        assert_eq!(open, 64);
        let first = cache.open(ids[0], OpenMode::Existing, || "/d/0".into()).unwrap();
        assert_eq!(first.file().len().unwrap(), 1);
    }
}
