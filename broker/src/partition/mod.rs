//! One partition: the only writer of its log.
//!
//! ```text
//! api/produce ─ validate ─┐
//!                         ├─ Partition::append ─ producers ─ storage::Log::enqueue ─ Commit
//! api/fetch ── Partition::read ─ storage::Log::read
//!                  └─ waiters ◄─ storage tells that the high watermark moved
//! ```

mod append;
mod cold;
mod mark;
mod open;
mod producers;
mod snapshot;
mod transactions;
mod validate;
mod waiters;

pub(crate) use append::{Appended, Commit};
pub(crate) use cold::ColdReads;
pub(crate) use mark::ActiveProducer;
pub(crate) use producers::Marker;
pub(crate) use transactions::Verification;
pub(crate) use validate::{RejectedRecord, Rejection, validate};
pub(crate) use waiters::Waiter;

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Lent, Records};
use klamm_storage::{
    AbortedTransaction, Bound, ChangeError, CommitListener, Corrupt, DiskError, HighWatermark, Log,
    Offsets, ReadError, Slice, Span, StartOffset,
};
use klamm_utils::episode::Episode;

use crate::topics::TopicInfo;
use producers::Producers;
use waiters::{Awaited, Waiters};

/// What a reader is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Every committed record.
    #[default]
    ReadUncommitted,
    /// Records before the first open transaction.
    ReadCommitted,
}

impl Isolation {
    pub(crate) fn from_wire(level: i8) -> Option<Self> {
        match level {
            0 => Some(Self::ReadUncommitted),
            1 => Some(Self::ReadCommitted),
            _ => None,
        }
    }

    fn bound(self) -> Bound {
        match self {
            Self::ReadUncommitted => Bound::HighWatermark,
            Self::ReadCommitted => Bound::Stable,
        }
    }
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    pub(crate) offset: i64,
    pub(crate) bytes_max: usize,
    /// Whether the first batch is given even if it is larger than `bytes_max`.
    pub(crate) at_least_one: bool,
    pub(crate) isolation: Isolation,
    /// Whether the reader knows zstd, so that nobody has to look at batches for it.
    pub(crate) knows_zstd: bool,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batches {
    pub(crate) records: Records,
    /// The transactions among the records that do not count, by first offset; none for readers of
    /// what is not committed.
    pub(crate) aborted: Vec<AbortedTransaction>,
    /// The bytes that they count for where a reader waits for some: more than they have where more
    /// lies ready behind them, and only a limit or the end of a segment keeps it back.
    pub(crate) worth: usize,
}

/// Batches that lie behind each other.
struct Run {
    records: Records,
    next_offset: i64,
    /// Whether there is nothing behind them that may be read yet.
    reaches_bound: bool,
}

/// What offset to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Earliest,
    Latest,
    LargestTimestamp,
    /// The first record that is not older, in milliseconds.
    Timestamp(i64),
    /// A place that exists only where records are tiered.
    Nowhere,
}

/// An offset that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) offset: i64,
    pub(crate) timestamp: Option<i64>,
    /// -1 where no record was written yet.
    pub(crate) leader_epoch: i32,
}

/// One partition.
pub(crate) struct Partition {
    pub(crate) topic: Arc<TopicInfo>,
    pub(crate) index: i32,
    leader_epoch: i32,
    log: Log,
    /// Set once the topic was deleted; who still holds the partition is told so.
    removed: AtomicBool,
    /// Appends are refused for want of room or of files.
    shortage: Episode,
    /// The damage that a read met last: it is told once, however often it is met.
    damage: Mutex<Option<Corrupt>>,
    waiters: Arc<Waiters>,
    /// Guarded by a mutex that also fixes the order of appends: it is held from the judgement of
    /// a batch to the note that it was stored, with the write to the page cache in between.
    producers: Mutex<Producers>,
    /// The end of the log when the producers were last written down. Guards that file, too.
    kept_at: Mutex<Option<i64>>,
}

impl CommitListener for Waiters {
    fn committed(&self, _high_watermark: HighWatermark) {
        self.wake();
    }

    fn failed(&self, error: &DiskError) {
        tracing::error!(%error, "a log takes no more appends until the broker is started anew");
        self.wake();
    }
}

impl Awaited for Partition {
    fn waiters(&self) -> &Waiters {
        &self.waiters
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic.name, self.index)
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Partition {
    pub(crate) fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    pub(crate) fn offsets(&self) -> Offsets {
        self.log.offsets()
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.log.size_bytes()
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Whether the log refuses appends because one failed.
    pub(crate) fn is_read_only(&self) -> bool {
        self.log.fault().is_some()
    }

    /// Whether the topic was deleted.
    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    /// Refuses whoever has waited while the topic was deleted.
    fn check_present(&self) -> Result<(), ErrorCode> {
        match self.is_removed() {
            true => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            false => Ok(()),
        }
    }

    /// Refuses a client that knows an older leader, or one that we do not know of yet.
    pub(crate) fn check_leader_epoch(&self, known_to_client: i32) -> Result<(), ErrorCode> {
        match known_to_client {
            ..0 => Ok(()),
            epoch if epoch < self.leader_epoch => Err(ErrorCode::FENCED_LEADER_EPOCH),
            epoch if epoch > self.leader_epoch => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
            _ => Ok(()),
        }
    }

    /// Where the records of a leader epoch end, and which epoch that is: the greatest one known
    /// that is not greater.
    pub(crate) fn epoch_end(&self, epoch: i32) -> Option<(i32, i64)> {
        if epoch == self.leader_epoch {
            return Some((epoch, self.log.offsets().end.get()));
        }
        let known = self.log.end_offset_for_epoch(epoch).filter(|_| epoch < self.leader_epoch);
        known.map(|(epoch, end)| (epoch, end.get()))
    }

    /// Where the log of a client whose last record had this epoch, and whose next offset is this,
    /// parts from ours; `None` where it does not (KIP-595).
    pub(crate) fn divergence(
        &self,
        last_epoch: i32,
        offset: i64,
    ) -> Result<Option<(i32, i64)>, ErrorCode> {
        if last_epoch < 0 {
            return Ok(None);
        }
        let (epoch, end) = self.epoch_end(last_epoch).ok_or(ErrorCode::OFFSET_OUT_OF_RANGE)?;
        Ok((epoch < last_epoch || end < offset).then_some((epoch, end)))
    }

    /// Reads whole batches, beginning with the one that holds the offset. Empty where there is
    /// nothing to read yet. Waits only for what is not in memory.
    pub(crate) async fn read(&self, read: Read, cold: &ColdReads) -> Result<Batches, ErrorCode> {
        self.check_present()?;
        let offsets = self.log.offsets();
        if read.offset < offsets.start.get() || read.offset > offsets.end.get() {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        let end = match read.isolation {
            Isolation::ReadUncommitted => offsets.high_watermark.get(),
            Isolation::ReadCommitted => offsets.stable.get(),
        };
        if read.offset >= end || (read.bytes_max == 0 && !read.at_least_one) {
            return Ok(Batches::default());
        }
        match read.isolation {
            Isolation::ReadUncommitted => {
                let run = self.run(read, end, cold).await?;
                let worth = self.worth(read, &run);
                Ok(Batches { records: run.records, aborted: Vec::new(), worth })
            }
            Isolation::ReadCommitted => self.read_committed(read, end, cold).await,
        }
    }

    /// What bytes that a read gave count for: as in Kafka (`DelayedFetch`, cases F and G), a reader
    /// in a full segment never waits, and what a limit keeps back counts up to that limit.
    fn worth(&self, read: Read, run: &Run) -> usize {
        let size = run.records.len();
        if run.reaches_bound {
            size
        } else if read.offset < self.log.active_base_offset() {
            usize::MAX
        } else {
            size.max(read.bytes_max)
        }
    }

    /// Reads batches and what of them does not count, which compaction may not change in between.
    async fn read_committed(
        &self,
        read: Read,
        end: i64,
        cold: &ColdReads,
    ) -> Result<Batches, ErrorCode> {
        loop {
            let generation = self.log.generation();
            let run = self.run(read, end, cold).await?;
            let aborted = match run.records.is_empty() {
                true => Vec::new(),
                false => self.aborted(read.offset..run.next_offset, cold).await?,
            };
            if self.log.generation() == generation {
                let worth = self.worth(read, &run);
                return Ok(Batches { records: run.records, aborted, worth });
            }
        }
    }

    /// Batches below `end`, in memory or still in their file.
    async fn run(&self, read: Read, end: i64, cold: &ColdReads) -> Result<Run, ErrorCode> {
        if let Some(span) = self.span(read) {
            let (size, next_offset) = (span.size(), span.next_offset());
            let reaches_bound = span.reaches_bound();
            let records = Records::lent(Lent::new(size, Arc::new(span)));
            return Ok(Run { records, next_offset, reaches_bound });
        }
        let slice = self.read_slice(read, cold).await?;
        let next_offset = slice.next_offset;
        let reaches_bound = next_offset >= end;
        Ok(Run { records: slice.bytes.into(), next_offset, reaches_bound })
    }

    /// A long run of batches that can be sent from its file.
    fn span(&self, read: Read) -> Option<Span> {
        let span = self.log.span(read.offset, read.bytes_max, read.isolation.bound())?;
        (read.knows_zstd || !span.may_hold_zstd()).then_some(span)
    }

    async fn read_slice(&self, read: Read, cold: &ColdReads) -> Result<Slice, ErrorCode> {
        let Read { offset, bytes_max, at_least_one, .. } = read;
        let bound = read.isolation.bound();
        let slice = match self.log.read_at_once(offset, bytes_max, at_least_one, bound) {
            Ok(Some(slice)) => Ok(slice),
            Ok(None) => {
                let log = self.log.clone();
                cold.run(move || log.read(offset, bytes_max, at_least_one, bound)).await?
            }
            Err(error) => Err(error),
        };
        slice.map_err(|error| self.read_failed(&error))
    }

    /// The aborted transactions with records in a range of offsets.
    async fn aborted(
        &self,
        offsets: Range<i64>,
        cold: &ColdReads,
    ) -> Result<Vec<AbortedTransaction>, ErrorCode> {
        if !self.log.may_have_aborted(offsets.start) {
            return Ok(Vec::new());
        }
        let log = self.log.clone();
        let aborted = cold.run(move || log.aborted(offsets)).await?;
        aborted.map_err(|error| self.read_failed(&error))
    }

    /// Deletes the records before an offset, or all that are committed. The offset at which the
    /// partition starts from now on, for good.
    pub(crate) async fn delete_records(&self, before: Option<i64>) -> Result<i64, ErrorCode> {
        self.check_present()?;
        let log = self.log.clone();
        let before = before.unwrap_or(log.offsets().high_watermark.get());
        let deleted = blocking(move || log.delete_records(before)).await?;
        deleted.map(StartOffset::get).map_err(|error| match error {
            ChangeError::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
            ChangeError::Closed => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ChangeError::Disk(_) | ChangeError::Poisoned(_) => {
                tracing::error!(partition = %self, %error, "records were not deleted");
                ErrorCode::KAFKA_STORAGE_ERROR
            }
        })
    }

    /// Finds an offset by time or name; `None` where there is no such record.
    pub(crate) async fn find(
        &self,
        place: Place,
        isolation: Isolation,
        cold: &ColdReads,
    ) -> Result<Option<Found>, ErrorCode> {
        let offsets = self.log.offsets();
        let end = match isolation {
            Isolation::ReadUncommitted => offsets.high_watermark.get(),
            Isolation::ReadCommitted => offsets.stable.get(),
        };
        let log = self.log.clone();
        let record = match place {
            Place::Nowhere => return Ok(None),
            Place::Earliest => return Ok(Some(self.found(offsets.start.get(), None))),
            Place::Latest => return Ok(Some(self.found(end, None))),
            Place::LargestTimestamp => cold.run(move || log.max_timestamp()).await?,
            Place::Timestamp(at_ms) => cold.run(move || log.offset_for_timestamp(at_ms)).await?,
        };
        let record = record.map_err(|error| self.read_failed(&error))?;
        let record = record.filter(|record| record.offset < end);
        Ok(record.map(|record| self.found(record.offset, Some(record.timestamp))))
    }

    fn found(&self, offset: i64, timestamp: Option<i64>) -> Found {
        let epochs = self.log.epochs();
        let epoch = epochs.iter().rev().find(|(_, start)| *start <= offset);
        Found { offset, timestamp, leader_epoch: epoch.map_or(self.leader_epoch, |(it, _)| *it) }
    }

    fn read_failed(&self, error: &ReadError) -> ErrorCode {
        match error {
            ReadError::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
            ReadError::Closed => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ReadError::Corrupt(damage) => {
                let mut last = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
                if last.replace(damage.clone()).as_ref() != Some(damage) {
                    tracing::error!(partition = %self, %damage, "a read met damage");
                }
                ErrorCode::CORRUPT_MESSAGE
            }
            ReadError::Disk(error) => {
                tracing::error!(partition = %self, %error, "a read failed");
                ErrorCode::KAFKA_STORAGE_ERROR
            }
        }
    }

    fn lock_producers(&self) -> MutexGuard<'_, Producers> {
        self.producers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs work that may wait for the disk where it blocks nobody else.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ErrorCode> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a read panicked");
        ErrorCode::UNKNOWN_SERVER_ERROR
    })
}
