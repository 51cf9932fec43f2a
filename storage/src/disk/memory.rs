//! A disk in memory which knows what a power cut would lose.
//!
//! Each file has the content that programs see and the content that is durable. A sync copies
//! the one to the other. A power cut keeps, of the bytes written since, a subset of sectors chosen
//! by seed, in any order: this is how torn writes and holes come about. Names are durable after
//! a sync of their folder; before it a power cut may keep or lose each of them, by seed.
//! A rename is atomic: the target's name points to the old file or the new one. Whatever changes
//! the disk holds the one lock of the tree, so that a power cut happens between two calls.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile, DiskLock, Entry, Mapping, OpenMode, Space};

/// What a device writes at once.
const SECTOR: usize = 512;

/// A disk in memory. Clones share it, so that a test can keep one and "restart the machine".
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    tree: Arc<Mutex<Tree>>,
}

#[derive(Debug, Default)]
struct Tree {
    /// Names as programs see them.
    live: BTreeMap<PathBuf, Arc<Node>>,
    /// Names as a power cut leaves them.
    durable: BTreeMap<PathBuf, Arc<Node>>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeMap<PathBuf, std::sync::Weak<Lock>>,
    capacity: Option<u64>,
}

#[derive(Debug, Default)]
struct Node(Mutex<Content>);

#[derive(Clone, Debug, Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
}

impl MemoryDisk {
    /// An empty disk without a limit.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty disk that holds at most `capacity` bytes of file content.
    #[must_use]
    pub fn with_capacity(capacity: u64) -> Self {
        let disk = Self::new();
        disk.set_capacity(capacity);
        disk
    }

    /// Grows or shrinks the room there is; what is stored stays.
    pub fn set_capacity(&self, capacity: u64) {
        self.lock().capacity = Some(capacity);
    }

    /// What a power cut would leave now, as a disk of its own. The same `seed` over the same
    /// history gives the same result. This disk goes on unharmed.
    #[must_use]
    pub fn after_power_cut(&self, seed: u64) -> Self {
        let mut chance = Chance(seed);
        let tree = self.lock();
        let mut names = tree.durable.clone();
        let all: BTreeSet<_> = tree.live.keys().chain(tree.durable.keys()).collect();
        for path in all {
            let (live, durable) = (tree.live.get(path), tree.durable.get(path));
            let changed = match (live, durable) {
                (Some(a), Some(b)) => !Arc::ptr_eq(a, b),
                _ => true,
            };
            if changed && chance.coin() {
                match live {
                    Some(node) => names.insert(path.clone(), node.clone()),
                    None => names.remove(path),
                };
            }
        }
        let survive = |(path, node): (PathBuf, Arc<Node>)| {
            let content = node.lock().after_power_cut(&mut chance);
            (path, Arc::new(Node(Mutex::new(content))))
        };
        let durable: BTreeMap<_, _> = names.into_iter().map(survive).collect();
        let dirs = tree.dirs.clone();
        let tree = Tree { live: durable.clone(), durable, dirs, ..Tree::default() };
        Self { tree: Arc::new(Mutex::new(tree)) }
    }

    /// What `kill -9` leaves: everything written, since the page cache outlives the process.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let tree = self.lock();
        let copy = |(path, node): (&PathBuf, &Arc<Node>)| {
            (path.clone(), Arc::new(Node(Mutex::new(node.lock().clone()))))
        };
        let live: BTreeMap<_, _> = tree.live.iter().map(copy).collect();
        let durable = live.clone();
        let tree = Tree { live, durable, dirs: tree.dirs.clone(), ..Tree::default() };
        Self { tree: Arc::new(Mutex::new(tree)) }
    }

    fn lock(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tree {
    fn free(&self) -> u64 {
        let Some(capacity) = self.capacity else { return u64::MAX };
        let used = self.live.values().map(|node| node.lock().live.len() as u64).sum();
        capacity.saturating_sub(used)
    }

    fn move_name(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.live.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.live.insert(to.to_owned(), node);
        Ok(())
    }

    /// A folder's names move at once and durably: the one rename of a folder that this crate
    /// does is followed by a sync, and a half-moved folder cannot exist.
    fn move_dir(&mut self, from: &Path, to: &Path) {
        let moved = |path: &Path| Some(to.join(path.strip_prefix(from).ok()?));
        for names in [&mut self.live, &mut self.durable] {
            let mapped = std::mem::take(names).into_iter();
            *names = mapped.map(|(path, node)| (moved(&path).unwrap_or(path), node)).collect();
        }
        let dirs = std::mem::take(&mut self.dirs).into_iter();
        self.dirs = dirs.map(|path| moved(&path).unwrap_or(path)).collect();
    }
}

impl Node {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn after_power_cut(&self, chance: &mut Chance) -> Self {
        let (live, durable) = (&self.live, &self.durable);
        let shorter = live.len().min(durable.len());
        let len = if live.len() == durable.len() {
            live.len()
        } else {
            shorter + chance.below(live.len().max(durable.len()) - shorter + 1)
        };
        let mut kept = durable.clone();
        kept.resize(len, 0);
        for (i, sector) in kept.chunks_mut(SECTOR).enumerate() {
            let at = i * SECTOR;
            let fresh = live.get(at..live.len().min(at + sector.len())).unwrap_or_default();
            if chance.coin() {
                // A sector lands whole, or (once in a while) only its first bytes do.
                let part =
                    if chance.below(4) == 0 { chance.below(fresh.len() + 1) } else { SECTOR };
                let part = part.min(fresh.len());
                if let (Some(to), Some(from)) = (sector.get_mut(..part), fresh.get(..part)) {
                    to.copy_from_slice(from);
                }
            }
        }
        Self { live: kept.clone(), durable: kept }
    }
}

/// A small generator of its own, so that a seed means the same for ever (SplitMix64).
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut tree = self.lock();
        let node = match (tree.live.get(path), mode) {
            (Some(node), _) => node.clone(),
            (None, OpenMode::ReadOnly | OpenMode::Existing) => {
                return Err(io::ErrorKind::NotFound.into());
            }
            (None, OpenMode::Create) => {
                if path.parent().is_some_and(|dir| !tree.dirs.contains(dir)) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let node = Arc::new(Node::default());
                tree.live.insert(path.to_owned(), node.clone());
                node
            }
        };
        Ok(Arc::new(MemoryFile { node, disk: self.clone() }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let tree = self.lock();
        if !tree.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let child = |path: &Path, is_dir| {
            let name = path.file_name()?.to_str()?.to_owned();
            (path.parent() == Some(dir)).then_some(Entry { name, is_dir })
        };
        let files = tree.live.keys().filter_map(|path| child(path, false));
        Ok(files.chain(tree.dirs.iter().filter_map(|path| child(path, true))).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut tree = self.lock();
        if tree.dirs.contains(from) {
            tree.move_dir(from, to);
            return Ok(());
        }
        tree.move_name(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.lock().live.remove(path).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut tree = self.lock();
        if !tree.dirs.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        tree.live.retain(|file, _| !file.starts_with(path));
        tree.durable.retain(|file, _| !file.starts_with(path));
        tree.dirs.retain(|dir| !dir.starts_with(path));
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let dirs = path.ancestors().map(Path::to_owned);
        self.lock().dirs.extend(dirs);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut tree = self.lock();
        if !tree.dirs.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = |file: &Path| file.parent() == Some(path);
        tree.durable.retain(|file, _| !inside(file));
        let fresh: Vec<_> = tree.live.iter().filter(|(file, _)| inside(file)).collect();
        let fresh: Vec<_> = fresh.into_iter().map(|(p, n)| (p.clone(), n.clone())).collect();
        tree.durable.extend(fresh);
        Ok(())
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        let tree = self.lock();
        Ok(Space { total: tree.capacity.unwrap_or(u64::MAX), free: tree.free() })
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        let held = self.lock().locks.get(path).is_some_and(|held| held.strong_count() > 0);
        if held {
            return Ok(None);
        }
        self.open(path, OpenMode::Create)?;
        let lock = Arc::new(Lock);
        self.lock().locks.insert(path.to_owned(), Arc::downgrade(&lock));
        Ok(Some(lock))
    }
}

#[derive(Debug)]
struct MemoryFile {
    node: Arc<Node>,
    disk: MemoryDisk,
}

impl DiskFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let content = self.node.lock();
        let start = usize::try_from(position).unwrap_or(usize::MAX);
        let rest = content.live.get(start..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..read), rest.get(..read)) {
            to.copy_from_slice(from);
        }
        Ok(read)
    }

    fn read_cached_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.read_at(buffer, position)
    }

    fn write_all_at(&self, parts: &[&[u8]], position: u64) -> io::Result<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let start = usize::try_from(position).map_err(|_| io::ErrorKind::InvalidInput)?;
        let tree = self.disk.lock();
        let free = tree.free();
        let mut content = self.node.lock();
        let grows = (start + len).saturating_sub(content.live.len());
        if grows as u64 > free {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if content.live.len() < start + len {
            content.live.resize(start + len, 0);
        }
        let mut at = start;
        for part in parts {
            if let Some(to) = content.live.get_mut(at..at + part.len()) {
                to.copy_from_slice(part);
            }
            at += part.len();
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let _tree = self.disk.lock();
        let mut content = self.node.lock();
        let Content { live, durable } = &mut *content;
        durable.clone_from(live);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        let _tree = self.disk.lock();
        self.node.lock().live.resize(len, 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.node.lock().live.len() as u64)
    }

    fn reserve(&self, position: u64, len: u64) -> io::Result<()> {
        let grows = (position + len).saturating_sub(self.len()?);
        if grows > self.disk.lock().free() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn modified_ms(&self) -> io::Result<i64> {
        Ok(0)
    }

    fn map(&self, _len: usize) -> io::Result<Option<Mapping>> {
        Ok(None)
    }
}

/// What a lock is as long as somebody holds it.
#[derive(Debug)]
struct Lock;

#[cfg(test)]
mod tests {
    use super::*;

    fn content(disk: &MemoryDisk, path: &str) -> Option<Vec<u8>> {
        let file = disk.open(Path::new(path), OpenMode::Existing).ok()?;
        Some(super::super::read_small(&*file, 1 << 20).unwrap())
    }

    #[test]
    fn a_power_cut_keeps_what_was_synced_and_perhaps_more() {
        let disk = MemoryDisk::new();
        disk.create_dir(Path::new("/d")).unwrap();
        let file = disk.open(Path::new("/d/f"), OpenMode::Create).unwrap();
        file.write_all_at(&[&[1; 2000]], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        file.write_all_at(&[&[2; 2000]], 2000).unwrap();
        let mut lengths = BTreeSet::new();
        for seed in 0..50 {
            let left = content(&disk.after_power_cut(seed), "/d/f").unwrap();
            assert_eq!(left[..2000], [1; 2000]);
            assert!(left[2000..].iter().all(|byte| [0, 2].contains(byte)));
            lengths.insert(left.len());
        }
        assert!(lengths.len() > 10);
        assert_eq!(content(&disk.after_kill(), "/d/f").unwrap().len(), 4000);
    }

    #[test]
    fn names_are_durable_after_a_sync_of_their_folder() {
        let disk = MemoryDisk::new();
        disk.create_dir(Path::new("/d")).unwrap();
        disk.open(Path::new("/d/f"), OpenMode::Create).unwrap();
        let kept = (0..50).filter(|seed| content(&disk.after_power_cut(*seed), "/d/f").is_some());
        assert!((1..50).contains(&kept.count()));
        disk.sync_dir(Path::new("/d")).unwrap();
        assert!((0..50).all(|seed| content(&disk.after_power_cut(seed), "/d/f").is_some()));
    }

    #[test]
    fn a_full_disk_refuses_and_has_room_again() {
        let disk = MemoryDisk::with_capacity(10);
        disk.create_dir(Path::new("/d")).unwrap();
        let file = disk.open(Path::new("/d/f"), OpenMode::Create).unwrap();
        let error = file.write_all_at(&[&[0; 11]], 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        disk.set_capacity(11);
        file.write_all_at(&[&[0; 11]], 0).unwrap();
    }
}
