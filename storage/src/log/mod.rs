//! The log of one partition: appends with tickets, reads, offsets, retention.

pub(crate) mod aborted;
mod append;
mod change;
mod company;
mod read;
mod retention;
mod span;
mod sync;
mod times;
mod zeros;

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use self::aborted::AbortedFiles;
use crate::compaction::Setback;
use crate::core::Core;
use crate::disk::FileId;
use crate::durable::{DurablePoint, Sidecar};
use crate::epochs::Epochs;
use crate::error::{DiskError, ReadError};
use crate::offsets::{Bound, EndOffset, HighWatermark, Offsets, StableOffset, StartOffset};
use crate::options::{Durability, LogOptions};
use crate::segment::{Place, Segment};
use crate::ticket::TicketCell;
use crate::topic_id::TopicId;

pub use aborted::AbortedTransaction;
pub use append::Append;
pub use read::Slice;
pub use span::Span;
pub use times::TimestampedOffset;

pub(crate) use append::jitter;
pub(crate) use company::Company;
pub(crate) use sync::Unsynced;
pub(crate) use times::RECORDS_SIZE_MAX;

/// Is told when records of a log are committed, and so become visible.
pub trait CommitListener: Debug + Send + Sync + 'static {
    /// All before `high_watermark` is committed. Called without any lock of the log held, from
    /// the thread that appended or from a committer thread; it must not block. Two calls may
    /// arrive in either order: the greater one counts.
    fn committed(&self, high_watermark: HighWatermark);

    /// The log takes no more appends until it is recovered. Called once per failure.
    fn failed(&self, error: &DiskError) {
        let _ = error;
    }
}

/// A listener for logs that nobody waits on.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoListener;

impl CommitListener for NoListener {
    fn committed(&self, _high_watermark: HighWatermark) {}
}

/// One open log. Clones are handles to the same log.
///
/// Appends and offsets never block on a sync, though an append may meet a full page cache, and
/// [`read_at_once`](Self::read_at_once) never blocks at all. Other reads, lookups by timestamp and
/// the methods that change the log otherwise may wait for the disk: they belong on a thread that
/// may block.
#[derive(Clone, Debug)]
pub struct Log(pub(crate) Arc<LogInner>);

#[derive(Debug)]
pub(crate) struct LogInner {
    pub(crate) name: String,
    pub(crate) topic_id: TopicId,
    pub(crate) place: Place,
    pub(crate) core: Arc<Core>,
    pub(crate) listener: Arc<dyn CommitListener>,
    /// The file of the durable point, which every sync writes.
    pub(crate) durable_file: FileId,
    /// Guards all that changes. Held by appends (with the write to the page cache, which fixes
    /// order), by lookups for a moment, by a sync before and after but not during it.
    pub(crate) state: Mutex<State>,
    /// Signalled when a sync of this log ends.
    pub(crate) sync_ended: Condvar,
    /// Signalled when the appends are there that a sync of this log waits for, and when it closes.
    pub(crate) gathered: Condvar,
    /// Held through a change of full segments that takes several steps. Taken before `state`.
    pub(crate) layout: Mutex<()>,
    /// Held by a compaction pass. Taken before `layout`.
    pub(crate) compacting: Mutex<()>,
}

/// Tickets that wait for the high watermark to reach an offset, in order.
pub(crate) type Pending = VecDeque<(i64, Arc<TicketCell>)>;

/// What changes in a log.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) options: LogOptions,
    /// Full segments, by base offset.
    pub(crate) sealed: Vec<Segment>,
    /// The segment that takes appends.
    pub(crate) active: Segment,
    pub(crate) start: i64,
    /// Set by the owner of the log; `None` follows the high watermark.
    pub(crate) stable: Option<i64>,
    pub(crate) high_watermark: i64,
    pub(crate) epochs: Epochs,
    /// The failure since which the log takes no appends.
    pub(crate) fault: Option<DiskError>,
    pub(crate) closed: bool,
    /// Whether the folder goes: it is not synced any more.
    pub(crate) removed: bool,
    /// As many as the owner has appends under way: who bounds requests bounds this.
    pub(crate) pending: Pending,
    /// Raised when bytes that a reader may be looking at changed or went away.
    pub(crate) generation: u64,
    /// Whether the next append has to roll: an attempt failed and may have left the file of the
    /// next segment, behind which the active one must not grow.
    pub(crate) roll_due: bool,
    /// Taken off the age at which the active segment rolls.
    pub(crate) jitter_ms: i64,
    /// The latest time given to records, below which none is given.
    pub(crate) append_time_ms: i64,
    /// Whether the folder exists. It is made by the first append.
    pub(crate) has_folder: bool,
    pub(crate) unsynced: Unsynced,
    pub(crate) company: Company,
    pub(crate) durable: DurablePoint,
    pub(crate) sidecar: Sidecar,
    /// The offset up to which the log was compacted; `None` until somebody asks.
    pub(crate) first_dirty: Option<i64>,
    pub(crate) aborted: AbortedFiles,
    /// What the last compaction pass failed at, if it did.
    pub(crate) setback: Option<Setback>,
}

impl Log {
    /// The name it was opened with, which is that of its folder.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The topic it belongs to.
    #[must_use]
    pub fn topic_id(&self) -> TopicId {
        self.0.topic_id
    }

    /// The folder; there may be none before the first append.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0.place.dir
    }

    /// The offsets as they are now.
    #[must_use]
    pub fn offsets(&self) -> Offsets {
        self.0.lock().offsets()
    }

    /// Sets the stable offset: the first offset of the earliest open transaction, or `None` when
    /// there is none. It is kept between the start and the high watermark.
    pub fn set_stable_offset(&self, stable: Option<i64>) {
        self.0.lock().stable = stable;
    }

    /// The settings as they are now.
    #[must_use]
    pub fn options(&self) -> LogOptions {
        self.0.lock().options.clone()
    }

    /// Changes the settings. A weaker durability commits at once what waits for a sync; a
    /// stronger one asks for a sync of what is not durable yet.
    pub fn set_options(&self, options: LogOptions) {
        let mut state = self.0.lock();
        if options.window < state.options.window {
            state.unsynced.forget_deadline();
        }
        state.options = options;
        let resolved = match state.options.durability {
            Durability::Synced => Vec::new(),
            Durability::Interval | Durability::OsCached if state.fault.is_some() => Vec::new(),
            Durability::Interval | Durability::OsCached => {
                let end = state.end();
                state.commit_to(end)
            }
        };
        let queued = state.request_sync();
        let high_watermark = state.high_watermark;
        drop(state);
        self.0.settle(resolved, HighWatermark(high_watermark), queued);
    }

    /// Whether there is anything of the log on the disk: its folder is made by the first append.
    #[must_use]
    pub fn has_folder(&self) -> bool {
        self.0.lock().has_folder
    }

    /// The failure since which the log takes no appends, if there was one.
    #[must_use]
    pub fn fault(&self) -> Option<DiskError> {
        self.0.lock().fault.clone()
    }

    /// Has the log take no appends from now on: what its owner has to know of it cannot be read.
    pub fn fail(&self, why: ReadError) {
        let error = match why {
            ReadError::Disk(error) => error,
            other => {
                let (path, source) = (self.dir().to_owned(), Arc::new(io::Error::other(other)));
                DiskError { action: "read", path, source }
            }
        };
        self.0.lock().poison(&self.0, &error);
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.0.lock().size_bytes()
    }

    /// Rises when segments are replaced or go: what was read while it stayed the same fits together.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.lock().generation
    }

    /// Where the segment begins that takes appends.
    #[must_use]
    pub fn active_base_offset(&self) -> i64 {
        self.0.lock().active.base
    }

    /// The segments, by base offset; the last one takes appends.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let state = self.0.lock();
        state.segments().map(SegmentInfo::new).collect()
    }

    /// The latest leader epoch that appended.
    #[must_use]
    pub fn latest_epoch(&self) -> Option<i32> {
        self.0.lock().epochs.latest()
    }

    /// Leader epochs with their first offsets, in order.
    #[must_use]
    pub fn epochs(&self) -> Vec<(i32, i64)> {
        self.0.lock().epochs.entries().to_vec()
    }

    /// The greatest epoch at or below `epoch`, and the offset at which it ended: for the latest,
    /// the end of the log. `None` for an epoch that this log does not know of yet.
    #[must_use]
    pub fn end_offset_for_epoch(&self, epoch: i32) -> Option<(i32, EndOffset)> {
        let state = self.0.lock();
        let (epoch, end) = state.epochs.end_offset(epoch, state.end())?;
        Some((epoch, EndOffset(end)))
    }
}

/// What is known about one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Offset of the first record the segment may hold; names its files.
    pub base_offset: i64,
    /// The offset behind its last record.
    pub next_offset: i64,
    /// Bytes of its batches.
    pub size_bytes: u32,
    /// The greatest timestamp of its records, -1 when they have none.
    pub max_timestamp: i64,
}

impl SegmentInfo {
    fn new(segment: &Segment) -> Self {
        Self {
            base_offset: segment.base,
            next_offset: segment.facts.next_offset,
            size_bytes: segment.size,
            max_timestamp: segment.facts.max_time.timestamp,
        }
    }
}

impl LogInner {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the log")
    }

    /// Keeps the full segments, and their files, as they are for everyone else.
    pub(crate) fn hold_layout(&self) -> MutexGuard<'_, ()> {
        self.layout.lock().expect("no code panics while it changes the segments")
    }

    /// Waits until no compaction pass is under way, and keeps the next from starting. A pass that
    /// panicked has left nothing that the next one minds.
    pub(crate) fn hold_compaction(&self) -> MutexGuard<'_, ()> {
        self.compacting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no sync of this log is under way, and keeps the next from starting for as long
    /// as the guard lives.
    pub(crate) fn lock_between_syncs(&self) -> MutexGuard<'_, State> {
        let state = self.lock();
        let waited = self.sync_ended.wait_while(state, |state| state.unsynced.is_running());
        waited.expect("no code panics while it holds the log")
    }

    /// Drops all open files of a log that is closed, which else would keep its blocks.
    pub(crate) fn forget_files(&self) {
        let files = &self.place.files;
        files.forget(self.durable_file);
        self.lock().segments().for_each(|segment| segment.forget_files(files));
    }

    /// What is left to do once the lock is given back: resolve tickets, tell the listener, hand
    /// the log to the committer.
    pub(crate) fn settle(
        self: &Arc<Self>,
        resolved: Vec<Arc<TicketCell>>,
        high_watermark: HighWatermark,
        queued: sync::Request,
    ) {
        for ticket in resolved {
            ticket.resolve(crate::Outcome::Committed);
        }
        self.listener.committed(high_watermark);
        self.hand_over(queued);
    }

    pub(crate) fn hand_over(self: &Arc<Self>, queued: sync::Request) {
        match queued {
            sync::Request::None => {}
            sync::Request::Now => self.core.committer.push(self.clone()),
            sync::Request::Within(delay) => self.core.committer.push_later(self.clone(), delay),
        }
    }
}

impl State {
    pub(crate) fn end(&self) -> i64 {
        self.active.facts.next_offset
    }

    pub(crate) fn offsets(&self) -> Offsets {
        let stable = self.stable.unwrap_or(self.high_watermark);
        let offsets = Offsets {
            start: StartOffset(self.start),
            stable: StableOffset(stable.min(self.high_watermark).max(self.start)),
            high_watermark: HighWatermark(self.high_watermark),
            end: EndOffset(self.end()),
        };
        debug_assert!(offsets.are_ordered(), "{offsets:?}");
        offsets
    }

    pub(crate) fn limit(&self, bound: Bound) -> i64 {
        let offsets = self.offsets();
        match bound {
            Bound::HighWatermark => offsets.high_watermark.0,
            Bound::Stable => offsets.stable.0,
            Bound::End => offsets.end.0,
        }
    }

    pub(crate) fn segments(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.sealed.iter().chain([&self.active])
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.segments().map(|segment| u64::from(segment.size)).sum()
    }

    /// Raises the high watermark and takes out the tickets it reaches.
    pub(crate) fn commit_to(&mut self, end: i64) -> Vec<Arc<TicketCell>> {
        self.high_watermark = self.high_watermark.max(end);
        let reached = self.pending.partition_point(|(end, _)| *end <= self.high_watermark);
        self.pending.drain(..reached).map(|(_, ticket)| ticket).collect()
    }

    /// Makes the log refuse appends from now on. The first failure is the one that is kept.
    pub(crate) fn poison(&mut self, inner: &LogInner, error: &DiskError) {
        if self.fault.is_none() {
            let log = &inner.name;
            tracing::error!(%log, %error, "the log is read-only until it is recovered");
            self.fault = Some(error.clone());
        }
    }
}
