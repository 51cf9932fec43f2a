//! The seam between the log and the machine: everything that touches a file goes through [`Disk`].
//!
//! Three implementations: [`RealDisk`], [`MemoryDisk`] (which models what a power cut loses) and
//! [`FaultyDisk`] (which fails chosen calls of another disk).

mod cache;
mod faulty;
mod file;
mod map;
mod memory;
mod residency;

use std::fmt::Debug;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

pub(crate) use cache::{CachedFile, FileCache, FileId};
pub use faulty::{Fault, FaultyDisk, HeldSyncs};
pub use file::RealDisk;
pub use map::Mapping;
pub use memory::MemoryDisk;

/// Folders and names. Calls may block; none of them retries.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Opens a file for reading and writing. `Create` makes it when it is missing (its name is
    /// durable only after [`sync_dir`](Self::sync_dir)); `Existing` answers `NotFound` instead.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// The entries of a folder, in no particular order; `NotFound` when there is no such folder.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;

    /// Renames a file or a folder, replacing a file of that name. Durable after `sync_dir`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Open handles stay readable.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder with all that is in it.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder and its missing parents; a folder that exists is not an error.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable: creations, renames and removals.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// How large the file system that holds `path` is, and what is left of it.
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Takes the exclusive lock that the file at `path` stands for, making the file if needed.
    /// `None` when another holder has it. The lock ends with the returned handle or the process.
    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>>;
}

/// Holds a lock of [`Disk::lock`] until it is dropped.
pub type DiskLock = Arc<dyn Debug + Send + Sync>;

/// One open file. Positions are absolute: handles have no cursor and may be shared by threads.
pub trait DiskFile: Debug + Send + Sync {
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;

    /// As [`read_at`](Self::read_at), but from memory alone, without waiting for a device: fewer
    /// bytes also where the rest is not in memory, and `WouldBlock` where none is, or where this
    /// disk cannot tell.
    fn read_cached_at(&self, _buffer: &mut [u8], _position: u64) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Whether all these bytes are in memory now, so that [`send_at`](Self::send_at) need not wait
    /// for a device; `false` where this disk cannot tell or cannot send.
    fn is_cached(&self, _position: u64, _len: u64) -> bool {
        false
    }

    /// Sends up to `len` bytes from where they lie to a socket, and says how many went: fewer when
    /// the socket takes no more, none at the end of the file.
    fn send_at(&self, _socket: BorrowedFd<'_>, _position: u64, _len: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Says that these bytes will be read soon, so that they may come into memory meanwhile.
    fn read_ahead(&self, _position: u64, _len: u64) {}

    /// Writes all of `parts`, one after the other. On error any prefix may have been written.
    fn write_all_at(&self, parts: &[&[u8]], position: u64) -> io::Result<()>;

    /// Makes what was written, and the length, durable. After an error nothing is known about any
    /// byte written since the last success, and trying again proves nothing.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts the file, or lengthens it with zeros; frees blocks reserved beyond its end.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// The length of the file.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reserves blocks for `position..position + len` without changing the length of the file.
    /// A file system that cannot do so answers `Unsupported`.
    fn reserve(&self, position: u64, len: u64) -> io::Result<()>;

    /// When the content changed last, in milliseconds since 1970.
    fn modified_ms(&self) -> io::Result<i64>;

    /// A read-only view of the first `len` bytes. The caller must never cut or change the file
    /// while a mapping lives; `None` when this disk has no mappings.
    fn map(&self, len: usize) -> io::Result<Option<Mapping>>;
}

/// The room on a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What an ordinary process may still write.
    pub free: u64,
}

/// What [`Disk::open`] does about a missing file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Answer `NotFound`. The file is only read, as on a disk that cannot be written.
    ReadOnly,
    /// Answer `NotFound`.
    Existing,
    /// Make an empty one.
    Create,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The last part of the path. Names that are not UTF-8 are never ours and are left out.
    pub name: String,
    /// Whether it is a folder.
    pub is_dir: bool,
}

/// How far a read may go for its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// What is not in memory is `WouldBlock`.
    Memory,
    /// It may wait for the device.
    Device,
}

impl Reach {
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    pub(crate) fn read_at(
        self,
        file: &dyn DiskFile,
        buffer: &mut [u8],
        position: u64,
    ) -> io::Result<usize> {
        match self {
            Self::Device => file.read_at(buffer, position),
            Self::Memory => match file.read_cached_at(buffer, position)? {
                read if read == buffer.len() => Ok(read),
                _ => Err(io::ErrorKind::WouldBlock.into()),
            },
        }
    }
}

/// Fills `buffer` from `position`; `UnexpectedEof` when the file ends before.
pub(crate) fn read_exact_at(
    file: &dyn DiskFile,
    buffer: &mut [u8],
    position: u64,
) -> io::Result<()> {
    if file.read_at(buffer, position)? == buffer.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// The whole content of a file that is no longer than `len_max`.
pub(crate) fn read_small(file: &dyn DiskFile, len_max: u64) -> io::Result<Vec<u8>> {
    let len = file.len()?;
    if len > len_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "file larger than its limit"));
    }
    let mut content = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut content, 0)?;
    content.truncate(read);
    Ok(content)
}

/// Replaces the file at `path` as a whole: temporary name, sync, rename, sync of the folder.
/// A crash leaves either the old content or the new.
pub(crate) fn replace_file(disk: &dyn Disk, path: &Path, content: &[&[u8]]) -> io::Result<()> {
    let temporary = path.with_added_extension("tmp");
    write_aside(disk, &temporary, content)?.sync_data()?;
    disk.rename(&temporary, path)?;
    match path.parent() {
        Some(dir) => disk.sync_dir(dir),
        None => Ok(()),
    }
}

/// Replaces a file that can be made anew, without waiting for the disk. The end of the process
/// leaves either the old content or the new; a power cut may leave anything.
pub(crate) fn replace_cache(disk: &dyn Disk, path: &Path, content: &[&[u8]]) -> io::Result<()> {
    let temporary = path.with_added_extension("tmp");
    write_aside(disk, &temporary, content)?;
    disk.rename(&temporary, path)
}

fn write_aside(disk: &dyn Disk, path: &Path, content: &[&[u8]]) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.open(path, OpenMode::Create)?;
    file.set_len(0)?;
    file.write_all_at(content, 0)?;
    Ok(file)
}

/// `NotFound` as an absence rather than an error.
pub(crate) fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
