//! Small files of ours, replaced as a whole: magic, version, length, checksum, `bincode` payload.
//!
//! The only file that names `bincode`. A file is written under a temporary name, synced, renamed,
//! and its folder synced, so that a crash leaves the old content or the new.

use std::path::{Path, PathBuf};

#[doc(hidden)]
pub use bincode;
use bincode::config::Configuration;
pub use bincode::{Decode, Encode};
use thiserror::Error;

use crate::disk::{self, Disk, OpenMode};
use crate::error::{At, DiskError};

const MAGIC: [u8; 8] = *b"klammcp1";
/// Magic, version, payload length, checksum of the payload.
const HEADER_LEN: usize = 8 + 4 + 8 + 4;
/// Reads before an answer is believed: one bad read is not a bad file.
const TRIES: usize = 2;

/// Why a checkpoint cannot be used.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The file is damaged, or is no checkpoint.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file was written by another version of its owner.
    #[error("{} has version {found}, not {expected}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version its owner reads.
        expected: u32,
    },
    /// The value is larger than the limit and was not written.
    #[error("{} would have {size} bytes, more than {size_max}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes of the payload.
        size: usize,
        /// The limit.
        size_max: usize,
    },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// One checkpoint file: its path, the version of its content, and the largest payload it may have.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Where it lies. By custom the name ends in `.klamm`.
    pub path: PathBuf,
    /// Raised by the owner whenever the encoded type changes.
    pub version: u32,
    /// The largest payload, in bytes, that is written or read.
    pub size_max: usize,
}

impl Checkpoint {
    /// Replaces the file by `value`. Durable when this returns. Blocks on syncs.
    pub fn write<T: Encode>(&self, disk: &dyn Disk, value: &T) -> Result<(), CheckpointError> {
        let payload = self.encode(value)?;
        let content = [&self.header(&payload)[..], &payload];
        Ok(disk::replace_file(disk, &self.path, &content).at("write", &self.path)?)
    }

    /// Replaces the file by `value`, which can be made anew: nothing is synced, and after a power
    /// cut [`read`](Self::read) may find no file, or a damaged one.
    pub fn write_cache<T: Encode>(
        &self,
        disk: &dyn Disk,
        value: &T,
    ) -> Result<(), CheckpointError> {
        let payload = self.encode(value)?;
        let content = [&self.header(&payload)[..], &payload];
        Ok(disk::replace_cache(disk, &self.path, &content).at("write", &self.path)?)
    }

    fn encode<T: Encode>(&self, value: &T) -> Result<Vec<u8>, CheckpointError> {
        let payload = bincode::encode_to_vec(value, config())
            .map_err(|_| self.damaged("the value cannot be encoded"))?;
        if payload.len() > self.size_max {
            let (path, size, size_max) = (self.path.clone(), payload.len(), self.size_max);
            return Err(CheckpointError::TooLarge { path, size, size_max });
        }
        Ok(payload)
    }

    /// The value in the file; `None` when there is no file.
    pub fn read<T: Decode<()>>(&self, disk: &dyn Disk) -> Result<Option<T>, CheckpointError> {
        let mut tried = self.read_once(disk);
        for _ in 1..TRIES {
            if tried.is_ok() {
                break;
            }
            tried = self.read_once(disk);
        }
        tried
    }

    /// Removes the file; durable when this returns. A missing file is not an error.
    pub fn remove(&self, disk: &dyn Disk) -> Result<(), CheckpointError> {
        if disk::found(disk.remove_file(&self.path)).at("remove", &self.path)?.is_some() {
            let dir = self.path.parent().unwrap_or(Path::new(""));
            disk.sync_dir(dir).at("sync", dir)?;
        }
        Ok(())
    }

    fn read_once<T: Decode<()>>(&self, disk: &dyn Disk) -> Result<Option<T>, CheckpointError> {
        let opened = disk::found(disk.open(&self.path, OpenMode::Existing));
        let Some(file) = opened.at("open", &self.path)? else {
            return Ok(None);
        };
        let len_max = (self.size_max + HEADER_LEN) as u64;
        if file.len().at("read", &self.path)? > len_max {
            return Err(self.damaged("it is larger than its limit"));
        }
        let content = disk::read_small(&*file, len_max).at("read", &self.path)?;
        let payload = self.payload(&content)?;
        // The limit is a type parameter of bincode; the payload is bounded by `len_max` already,
        // and decoding a slice never allocates more than a small multiple of it.
        let (value, read) = bincode::decode_from_slice(payload, config())
            .map_err(|_| self.damaged("its payload does not decode"))?;
        if read != payload.len() {
            return Err(self.damaged("bytes follow its payload"));
        }
        Ok(Some(value))
    }

    fn header(&self, payload: &[u8]) -> [u8; HEADER_LEN] {
        let mut header = [0; HEADER_LEN];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&self.version.to_be_bytes());
        header[12..20].copy_from_slice(&(payload.len() as u64).to_be_bytes());
        header[20..].copy_from_slice(&crc32fast::hash(payload).to_be_bytes());
        header
    }

    fn payload<'a>(&self, content: &'a [u8]) -> Result<&'a [u8], CheckpointError> {
        let (header, payload) = content
            .split_first_chunk::<HEADER_LEN>()
            .ok_or_else(|| self.damaged("it is shorter than its header"))?;
        if header[..8] != MAGIC {
            return Err(self.damaged("it does not start as a checkpoint does"));
        }
        let found = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        if found != self.version {
            let (path, expected) = (self.path.clone(), self.version);
            return Err(CheckpointError::Version { path, found, expected });
        }
        if *header != self.header(payload) {
            return Err(self.damaged("its length or checksum is wrong"));
        }
        Ok(payload)
    }

    fn damaged(&self, reason: &'static str) -> CheckpointError {
        CheckpointError::Damaged { path: self.path.clone(), reason }
    }
}

/// Fixed-width integers, so that a layout can be stated in bytes; a limit as a last guard.
fn config() -> impl bincode::config::Config {
    const LIMIT: usize = 1 << 30;
    let config: Configuration = bincode::config::standard();
    config.with_big_endian().with_fixed_int_encoding().with_limit::<LIMIT>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    fn checkpoint() -> (MemoryDisk, Checkpoint) {
        let disk = MemoryDisk::new();
        disk.create_dir(Path::new("/d")).unwrap();
        (disk, Checkpoint { path: "/d/c.klamm".into(), version: 3, size_max: 100 })
    }

    #[test]
    fn a_value_comes_back_or_there_is_none() {
        let (disk, checkpoint) = checkpoint();
        assert!(checkpoint.read::<Vec<u64>>(&disk).unwrap().is_none());
        checkpoint.write(&disk, &vec![1u64, 2, 3]).unwrap();
        let disk = disk.after_power_cut(1);
        assert_eq!(checkpoint.read::<Vec<u64>>(&disk).unwrap(), Some(vec![1, 2, 3]));
        checkpoint.remove(&disk).unwrap();
        assert!(checkpoint.read::<Vec<u64>>(&disk).unwrap().is_none());
    }

    #[test]
    fn limits_and_versions_are_kept() {
        let (disk, checkpoint) = checkpoint();
        let written = checkpoint.write(&disk, &vec![0u8; 101]);
        assert!(matches!(written, Err(CheckpointError::TooLarge { size: 109, .. })));
        checkpoint.write(&disk, &7u8).unwrap();
        let newer = Checkpoint { version: 4, ..checkpoint };
        let read = newer.read::<u8>(&disk);
        assert!(matches!(read, Err(CheckpointError::Version { found: 3, expected: 4, .. })));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_an_error() {
        let (disk, checkpoint) = checkpoint();
        checkpoint.write(&disk, &vec![1u64, 2]).unwrap();
        let file = disk.open(&checkpoint.path, OpenMode::Existing).unwrap();
        let whole = disk::read_small(&*file, 1000).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            file.write_all_at(&[&bytes], 0).unwrap();
            assert!(checkpoint.read::<Vec<u64>>(&disk).is_err(), "bit {bit}");
        }
        file.write_all_at(&[&whole], 0).unwrap();
        for len in (0..whole.len()).rev() {
            file.set_len(len as u64).unwrap();
            assert!(checkpoint.read::<Vec<u64>>(&disk).is_err(), "length {len}");
        }
    }

    #[test]
    fn a_power_cut_leaves_the_old_value_or_the_new() {
        let (disk, checkpoint) = checkpoint();
        checkpoint.write(&disk, &1u8).unwrap();
        let faulty = disk::FaultyDisk::new(std::sync::Arc::new(disk.clone()));
        for first in 1..=8 {
            let fault = disk::Fault { first: faulty.calls() + first, count: 1_000, ..eio() };
            faulty.fail(Some(fault));
            let done = checkpoint.write(&faulty, &2u8).is_ok();
            let left = checkpoint.read::<u8>(&disk.after_power_cut(first)).unwrap();
            assert!(left == Some(2) || (!done && left == Some(1)), "call {first}: {left:?}");
        }
    }

    fn eio() -> disk::Fault {
        disk::Fault { first: 0, count: 1, kind: std::io::ErrorKind::Other }
    }
}
