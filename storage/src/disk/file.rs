//! The disk of the machine.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Advice, FallocateFlags, FlockOperation};
use rustix::io::{Errno, ReadWriteFlags};

use super::{Disk, DiskFile, DiskLock, Entry, Mapping, OpenMode, Space, residency};

/// Parts of one `pwritev`: those of eight batches, more than an append usually has.
const PARTS_MAX: usize = 16;

/// Files and folders of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let create = mode == OpenMode::Create;
        let mut options = OpenOptions::new();
        options.read(true).write(mode != OpenMode::ReadOnly).create(create).truncate(false);
        let file = options.open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry { name, is_dir: entry.file_type()?.is_dir() });
            }
        }
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Space { total: bytes(stat.f_blocks), free: bytes(stat.f_bavail) })
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Arc::new(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, position + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn read_cached_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let mut parts = [IoSliceMut::new(rest)];
            let at = position + read as u64;
            match rustix::io::preadv2(&self.0, &mut parts, at, ReadWriteFlags::NOWAIT) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(Errno::INTR) => {}
                // The rest is not in memory, or this file system or this kernel cannot tell.
                Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS) if read > 0 => break,
                Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS) => {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(read)
    }

    fn is_cached(&self, position: u64, len: u64) -> bool {
        residency::is_cached(&self.0, position, len)
    }

    fn send_at(&self, socket: BorrowedFd<'_>, position: u64, len: usize) -> io::Result<usize> {
        let mut at = position;
        Ok(rustix::fs::sendfile(socket, &self.0, Some(&mut at), len)?)
    }

    fn read_ahead(&self, position: u64, len: u64) {
        // A hint: where it is not taken, the read itself waits for the device.
        let _ = rustix::fs::fadvise(&self.0, position, NonZeroU64::new(len), Advice::WillNeed);
    }

    fn write_all_at(&self, parts: &[&[u8]], mut position: u64) -> io::Result<()> {
        for parts in parts.chunks(PARTS_MAX) {
            let mut slices = [IoSlice::new(&[]); PARTS_MAX];
            slices.iter_mut().zip(parts).for_each(|(slice, part)| *slice = IoSlice::new(part));
            let mut rest = slices.get_mut(..parts.len()).unwrap_or_default();
            IoSlice::advance_slices(&mut rest, 0);
            while !rest.is_empty() {
                match rustix::io::pwritev(&self.0, rest, position) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(n) => {
                        position += n as u64;
                        IoSlice::advance_slices(&mut rest, n);
                    }
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn reserve(&self, position: u64, len: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(&self.0, FallocateFlags::KEEP_SIZE, position, len)?)
    }

    fn modified_ms(&self) -> io::Result<i64> {
        let meta = self.0.metadata()?;
        Ok(meta.mtime().saturating_mul(1000).saturating_add(meta.mtime_nsec() / 1_000_000))
    }

    fn map(&self, len: usize) -> io::Result<Option<Mapping>> {
        Mapping::new(&self.0, len).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    fn file_in(dir: &tempfile::TempDir) -> Arc<dyn DiskFile> {
        RealDisk.open(&dir.path().join("f"), OpenMode::Create).unwrap()
    }

    #[test]
    fn what_is_opened_only_to_be_read_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        file_in(&dir).write_all_at(&[b"a"], 0).unwrap();
        let file = RealDisk.open(&dir.path().join("f"), OpenMode::ReadOnly).unwrap();
        assert!(file.write_all_at(&[b"b"], 0).is_err());
        let mut read = [0];
        assert_eq!((file.read_at(&mut read, 0).unwrap(), &read), (1, b"a"));
    }

    #[test]
    fn more_parts_than_one_call_takes_arrive_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = file_in(&dir);
        let bytes: Vec<u8> = (0..5000u32).map(|i| i as u8).collect();
        let parts: Vec<&[u8]> = bytes.chunks(2).chain([&[][..]]).collect();
        file.write_all_at(&parts, 3).unwrap();
        let mut read = vec![0; 6000];
        assert_eq!(file.read_at(&mut read, 3).unwrap(), 5000);
        assert_eq!(read[..5000], bytes);
    }

    #[test]
    fn what_was_just_written_is_read_from_memory_where_the_file_system_can() {
        let dir = tempfile::tempdir().unwrap();
        let file = file_in(&dir);
        file.write_all_at(&[b"just written"], 0).unwrap();
        let mut read = [0; 20];
        match file.read_cached_at(&mut read, 5) {
            Ok(count) => assert_eq!(read[..count], *b"written"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }

    #[test]
    fn bytes_go_from_a_file_to_a_socket() {
        let dir = tempfile::tempdir().unwrap();
        let file = file_in(&dir);
        file.write_all_at(&[b"not all of this"], 0).unwrap();
        let (near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(file.send_at(near.as_fd(), 4, 3).unwrap(), 3);
        assert_eq!(file.send_at(near.as_fd(), 15, 3).unwrap(), 0);
        drop(near);
        let mut sent = String::new();
        io::Read::read_to_string(&mut far, &mut sent).unwrap();
        assert_eq!(sent, "all");
        assert!(!file.is_cached(0, 1 << 20), "there is no such page");
    }

    #[test]
    fn a_reservation_leaves_the_length_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = file_in(&dir);
        match file.reserve(0, 1 << 16) {
            Ok(()) => assert_eq!(file.len().unwrap(), 0),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::Unsupported),
        }
    }

    #[test]
    fn a_lock_has_one_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let first = RealDisk.lock(&path).unwrap();
        assert!(first.is_some());
        assert!(RealDisk.lock(&path).unwrap().is_none());
        drop(first);
        assert!(RealDisk.lock(&path).unwrap().is_some());
    }

    #[test]
    fn a_mapping_shows_the_file_and_never_more() {
        let dir = tempfile::tempdir().unwrap();
        let file = file_in(&dir);
        file.write_all_at(&[b"index"], 0).unwrap();
        assert_eq!(&*file.map(5).unwrap().unwrap(), b"index");
        assert!(file.map(6).is_err());
    }
}
