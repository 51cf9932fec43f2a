//! What can go wrong, one small enum per family of operations.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

/// A call to the disk that failed. Cheap to clone, since many may wait for one call.
#[derive(Clone, Debug, Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct DiskError {
    /// What was tried, as a verb.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the disk answered.
    pub source: Arc<io::Error>,
}

impl DiskError {
    /// Whether something had run out that comes back: space on the disk, or files that may be open.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            || self.is_lack_of_files()
    }

    /// Whether no more files may be open.
    pub(crate) fn is_lack_of_files(&self) -> bool {
        matches!(self.source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
    }

    /// Whether it failed only because it was not to wait.
    pub(crate) fn would_block(&self) -> bool {
        self.source.kind() == io::ErrorKind::WouldBlock
    }
}

/// Gives an I/O error its place.
pub(crate) trait At<T> {
    /// Names what was tried and on what.
    fn at(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, DiskError>;

    /// The same where every append passes: the path is made only for an error.
    fn at_with(self, action: &'static str, path: impl FnOnce() -> PathBuf) -> Result<T, DiskError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, DiskError> {
        self.map_err(|source| DiskError { action, path: path.into(), source: Arc::new(source) })
    }

    fn at_with(self, action: &'static str, path: impl FnOnce() -> PathBuf) -> Result<T, DiskError> {
        self.map_err(|source| DiskError { action, path: path(), source: Arc::new(source) })
    }
}

/// Why nothing was appended.
#[derive(Clone, Debug, Error)]
pub enum AppendError {
    /// There is no batch in the append.
    #[error("an append needs at least one batch")]
    Empty,
    /// The batches together are larger than a segment may be.
    #[error("{size} bytes do not fit a segment of at most {size_max}")]
    TooLarge {
        /// Bytes of all batches.
        size: u64,
        /// What a segment holds at most.
        size_max: u64,
    },
    /// A leader of a later epoch has written here.
    #[error("epoch {epoch} was replaced by {current}")]
    Fenced {
        /// The epoch of the append.
        epoch: i32,
        /// The latest epoch of the log.
        current: i32,
    },
    /// No offsets are left.
    #[error("the log has no offsets left")]
    OutOfOffsets,
    /// The disk is full, or no more files may be open. Nothing was stored, and appends work again
    /// when there is room.
    #[error("nothing was stored: {}", .0.source)]
    Shortage(#[source] DiskError),
    /// This append or an earlier one failed; the log takes no more until it is recovered.
    #[error("the log is read-only after an error")]
    Poisoned(#[source] DiskError),
    /// The log was closed or removed.
    #[error("the log is closed")]
    Closed,
}

/// Why nothing was read.
#[derive(Clone, Debug, Error)]
pub enum ReadError {
    /// There is no such offset.
    #[error("offset is not within {start}..={end}")]
    OffsetOutOfRange {
        /// First offset there is.
        start: i64,
        /// End of what may be read.
        end: i64,
    },
    /// The bytes on disk are not those that were written.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The disk failed; other ranges may be readable.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log was removed.
    #[error("the log is closed")]
    Closed,
}

/// A range of a log that cannot be read. What lies before and behind it can.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is damaged at bytes {}..{}, offsets {}..{}", file.display(), positions.start,
        positions.end, offsets.start, offsets.end)]
pub struct Corrupt {
    /// The segment file.
    pub file: PathBuf,
    /// Where in it.
    pub positions: Range<u64>,
    /// The offsets that may have been there. Reading can go on at the end of the range.
    pub offsets: Range<i64>,
}

/// Why a change of a log other than an append failed.
#[derive(Clone, Debug, Error)]
pub enum ChangeError {
    /// There is no such offset.
    #[error("offset is not within {start}..={end}")]
    OffsetOutOfRange {
        /// First offset there is.
        start: i64,
        /// The end that counts for this change.
        end: i64,
    },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// An earlier append failed; the log changes no more until it is recovered.
    #[error("the log is read-only after an error")]
    Poisoned(#[source] DiskError),
    /// The log was closed or removed.
    #[error("the log is closed")]
    Closed,
}

/// Why a storage folder or a log could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has the folder.
    #[error("{} is locked: another process uses this folder", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The log is open already.
    #[error("log {name} is open already")]
    AlreadyOpen {
        /// Its name.
        name: String,
    },
    /// The name cannot be that of a folder.
    #[error("{name:?} cannot be the name of a log")]
    BadName {
        /// The name.
        name: String,
    },
    /// The folder belongs to another topic of the same name.
    #[error("folder {} belongs to topic {found}, not {expected}", path.display())]
    OtherTopic {
        /// The folder of the log.
        path: PathBuf,
        /// The topic that `partition.metadata` names.
        found: crate::TopicId,
        /// The topic that was asked for.
        expected: crate::TopicId,
    },
    /// A file of ours cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] crate::checkpoint::CheckpointError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The storage was closed.
    #[error("the storage is closed")]
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_run_out_may_come_back_and_what_is_broken_does_not() {
        let is_shortage = |code| {
            let failed: io::Result<()> = Err(io::Error::from_raw_os_error(code));
            failed.at("open", "/log").unwrap_err().is_shortage()
        };
        assert!(
            [libc::ENOSPC, libc::EDQUOT, libc::EMFILE, libc::ENFILE].map(is_shortage) == [true; 4]
        );
        assert!([libc::EIO, libc::EROFS, libc::EACCES].map(is_shortage) == [false; 3]);
    }
}
