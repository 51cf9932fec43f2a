//! A disk on which zeros take no room, so that a log may be larger than the disk.

use std::io;
use std::path::Path;
use std::sync::Arc;

use klamm_storage::disk::{Disk, DiskFile, DiskLock, Entry, Mapping, OpenMode, RealDisk, Space};

/// A run of zeros at the end of a write that is shorter is written like anything else.
const HOLE_MIN: usize = 4096;

/// The machine's disk, except that the zeros at the end of a long write become a hole.
#[derive(Clone, Copy, Debug, Default)]
pub struct SparseDisk;

impl Disk for SparseDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SparseFile(RealDisk.open(path, mode)?)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        RealDisk.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        RealDisk.space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        RealDisk.lock(path)
    }
}

#[derive(Debug)]
struct SparseFile(Arc<dyn DiskFile>);

impl DiskFile for SparseFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_at(buffer, position)
    }

    fn read_cached_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_cached_at(buffer, position)
    }

    fn read_ahead(&self, position: u64, len: u64) {
        self.0.read_ahead(position, len);
    }

    fn write_all_at(&self, parts: &[&[u8]], position: u64) -> io::Result<()> {
        let Some((last, before)) = parts.split_last() else { return Ok(()) };
        let written = last.len() - zeros_at_end(last);
        if last.len() - written < HOLE_MIN {
            return self.0.write_all_at(parts, position);
        }
        let parts: Vec<&[u8]> = before.iter().copied().chain([&last[..written]]).collect();
        self.0.write_all_at(&parts, position)?;
        let size: usize = before.iter().map(|part| part.len()).sum::<usize>() + last.len();
        let end = position + size as u64;
        if self.0.len()? < end { self.0.set_len(end) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn reserve(&self, _: u64, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn modified_ms(&self) -> io::Result<i64> {
        self.0.modified_ms()
    }

    fn map(&self, len: usize) -> io::Result<Option<Mapping>> {
        self.0.map(len)
    }
}

fn zeros_at_end(bytes: &[u8]) -> usize {
    const ZEROS: [u8; 1024] = [0; 1024];
    let whole = bytes.rchunks(ZEROS.len()).take_while(|chunk| **chunk == ZEROS[..chunk.len()]);
    whole.map(<[u8]>::len).sum()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn zeros_take_no_room_and_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = SparseDisk.open(&path, OpenMode::Create).unwrap();
        let long = [&b"head"[..], &[0; 1 << 20]].concat();
        for round in 0..3 {
            file.write_all_at(&[b"16", &long], round * (long.len() as u64 + 2)).unwrap();
        }
        let expected = [b"16", &long[..]].concat().repeat(3);
        assert_eq!(std::fs::read(&path).unwrap(), expected);
        let blocks = std::fs::metadata(&path).unwrap().blocks();
        assert!(blocks * 512 <= 64 * 1024, "{blocks} blocks");
    }
}
