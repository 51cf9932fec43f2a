//! Reading a partition of a coordinator's topic.

use klamm_protocol::records::{BatchError, batches};
use klamm_storage::{Bound, Log, ReadError};

use super::serve::Replay;

/// How much of the log is read at a time.
const READ_BYTES: usize = 1 << 20;

/// Why a partition cannot be coordinated.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("the log takes no appends since one failed")]
    ReadOnly,
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("at offset {offset}: {error}")]
    Batch { offset: i64, error: BatchError },
    #[error("reading the log failed: {0}")]
    Panicked(#[from] tokio::task::JoinError),
    #[error("nothing was appended at offset {0}, but the log goes on")]
    Gap(i64),
}

/// Whether there is nothing to read, and nothing that speaks against a first append.
pub(super) fn is_empty(log: &Log) -> bool {
    let offsets = log.offsets();
    offsets.start.get() == offsets.end.get() && log.fault().is_none()
}

/// Reads everything that is committed, batch by batch. Blocks.
pub(super) fn load<R: Replay>(log: &Log) -> Result<R, LoadError> {
    let mut replay = R::default();
    if log.fault().is_some() {
        return Err(LoadError::ReadOnly);
    }
    let offsets = log.offsets();
    let (mut at, end) = (offsets.start.get(), offsets.high_watermark.get());
    while at < end {
        let slice = log.read(at, READ_BYTES, true, Bound::HighWatermark)?;
        for batch in batches(slice.bytes) {
            let batch = batch.map_err(|error| LoadError::Batch { offset: at, error })?;
            replay.read(&batch);
        }
        if slice.next_offset <= at {
            return Err(LoadError::Gap(at));
        }
        at = slice.next_offset;
    }
    Ok(replay)
}
