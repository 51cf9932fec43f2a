//! A disk that fails chosen calls of another one.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile, DiskLock, Entry, Mapping, OpenMode, Space};

/// When calls fail, counted from one over every call that reaches the disk and its files.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The first call that fails.
    pub first: u64,
    /// How many calls in a row fail.
    pub count: u64,
    /// What they answer.
    pub kind: io::ErrorKind,
}

/// Passes every call on to `inner`, except those that the [`Fault`] names. A failing write writes
/// half of its bytes first, as a device that breaks in the middle does.
#[derive(Clone, Debug)]
pub struct FaultyDisk {
    inner: Arc<dyn Disk>,
    plan: Arc<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    calls: AtomicU64,
    fault: Mutex<Option<Fault>>,
    /// Taken by every sync of a file.
    syncs: Mutex<()>,
}

/// As long as it lives, syncs of files wait.
#[derive(Debug)]
#[must_use = "syncs wait only as long as it lives"]
pub struct HeldSyncs<'a>(#[expect(dead_code, reason = "held for its drop")] MutexGuard<'a, ()>);

impl Plan {
    fn step(&self) -> io::Result<()> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        match *self.fault.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(fault)
                if (fault.first..fault.first.saturating_add(fault.count)).contains(&call) =>
            {
                Err(fault.kind.into())
            }
            _ => Ok(()),
        }
    }
}

impl FaultyDisk {
    /// Wraps `inner`; nothing fails until [`fail`](Self::fail) says so.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>) -> Self {
        Self { inner, plan: Arc::default() }
    }

    /// Sets or clears the fault.
    pub fn fail(&self, fault: Option<Fault>) {
        *self.plan.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Has syncs of files wait. Those that waited meet the fault that is set when they go on.
    pub fn hold_syncs(&self) -> HeldSyncs<'_> {
        HeldSyncs(self.plan.syncs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many calls were made so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.plan.calls.load(Ordering::Relaxed)
    }

    fn wrap(&self, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FaultyFile { inner, plan: self.plan.clone() })
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.plan.step()?;
        Ok(self.wrap(self.inner.open(path, mode)?))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.plan.step()?;
        self.inner.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.plan.step()?;
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.plan.step()?;
        self.inner.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.plan.step()?;
        self.inner.remove_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.plan.step()?;
        self.inner.create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.plan.step()?;
        self.inner.sync_dir(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.plan.step()?;
        self.inner.space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        self.plan.step()?;
        self.inner.lock(path)
    }
}

#[derive(Debug)]
struct FaultyFile {
    inner: Arc<dyn DiskFile>,
    plan: Arc<Plan>,
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.plan.step()?;
        self.inner.read_at(buffer, position)
    }

    fn read_cached_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.plan.step()?;
        self.inner.read_cached_at(buffer, position)
    }

    fn is_cached(&self, position: u64, len: u64) -> bool {
        self.inner.is_cached(position, len)
    }

    fn send_at(&self, socket: BorrowedFd<'_>, position: u64, len: usize) -> io::Result<usize> {
        self.plan.step()?;
        self.inner.send_at(socket, position, len)
    }

    fn read_ahead(&self, position: u64, len: u64) {
        self.inner.read_ahead(position, len);
    }

    fn write_all_at(&self, parts: &[&[u8]], position: u64) -> io::Result<()> {
        if let Err(error) = self.plan.step() {
            let whole = parts.concat();
            if let Some(half) = whole.get(..whole.len() / 2) {
                self.inner.write_all_at(&[half], position)?;
            }
            return Err(error);
        }
        self.inner.write_all_at(parts, position)
    }

    fn sync_data(&self) -> io::Result<()> {
        drop(self.plan.syncs.lock());
        self.plan.step()?;
        self.inner.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.plan.step()?;
        self.inner.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.plan.step()?;
        self.inner.len()
    }

    fn reserve(&self, position: u64, len: u64) -> io::Result<()> {
        self.plan.step()?;
        self.inner.reserve(position, len)
    }

    fn modified_ms(&self) -> io::Result<i64> {
        self.plan.step()?;
        self.inner.modified_ms()
    }

    fn map(&self, len: usize) -> io::Result<Option<Mapping>> {
        self.plan.step()?;
        self.inner.map(len)
    }
}
