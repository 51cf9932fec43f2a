//! Compaction: of each key only the newest record stays.
//!
//! A pass has two parts. The first reads what was appended since the last pass and notes the newest
//! offset of each key ([`newest`]). The second reads all full segments up to there and writes what
//! is left of them ([`filter`]) into new ones ([`rewrite`]), which take their place ([`swap`]). Which
//! segments, and when, is decided in [`plan`].
//!
//! What stays is what stays in Kafka: offsets; of each key the newest record; tombstones for a time
//! after they were first compacted; of each producer that may go on its last batch, if need be
//! without records; the markers of transactions as long as there is a batch of their transaction,
//! and then for as long as tombstones. Records of aborted transactions go, and hide nothing. The
//! active segment is never touched.

mod filter;
mod newest;
mod plan;
mod rewrite;
mod setback;
mod swap;
mod transactions;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::checkpoint::Checkpoint;
use crate::error::{ChangeError, Corrupt, DiskError};
use crate::index::{IndexEntry, OffsetEntry, TimeEntry};
use crate::log::{Log, LogInner, State};
use crate::segment::Segment;
use filter::Filter;
use newest::NewestOffsets;
use plan::{Dirt, Extent, SegmentLimits};
use rewrite::{Rules, Source};
use transactions::Transactions;

pub(crate) use setback::Setback;
pub(crate) use swap::settle;

/// When a log is compacted, and how. The names are those of Kafka's topic settings.
#[derive(Clone, Debug, PartialEq)]
pub struct CompactOptions {
    /// `min.cleanable.dirty.ratio`: a pass is due when more than this share of the bytes was never
    /// compacted.
    pub dirty_ratio_min: f64,
    /// `min.compaction.lag.ms`: no record is touched before it is this old.
    pub lag_min: Duration,
    /// `max.compaction.lag.ms`: a pass is due when a record has waited for longer. The active
    /// segment is rolled for it.
    pub lag_max: Duration,
    /// `delete.retention.ms`: how long a tombstone stays after it was first compacted, and the marker
    /// of a transaction after nothing else was left of it.
    pub tombstone_retention: Duration,
    /// The active segment is rolled once it has this many bytes and a pass would then be due;
    /// `None` leaves it to `segment.bytes` and `segment.ms`, as Kafka does.
    pub roll_bytes: Option<u32>,
    /// The most memory that the newest offsets of keys may take. With more keys than it has room
    /// for, at 24 bytes each and a quarter free, a pass covers a prefix of what is dirty: at least
    /// one batch, for whose keys it takes more if it has to.
    pub map_bytes_max: usize,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self {
            dirty_ratio_min: 0.5,
            lag_min: Duration::ZERO,
            lag_max: Duration::MAX,
            tombstone_retention: Duration::from_secs(24 * 3600),
            roll_bytes: None,
            map_bytes_max: 32 << 20,
        }
    }
}

impl CompactOptions {
    /// Records that are younger than this wait. Without a lag none does, whatever its timestamp.
    fn young_ms(&self, now_ms: i64) -> i64 {
        if self.lag_min.is_zero() { i64::MAX } else { now_ms.saturating_sub(millis(self.lag_min)) }
    }
}

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Segments that were replaced.
    pub segments_before: usize,
    /// Segments that took their place.
    pub segments_after: usize,
    /// Bytes of those that were replaced.
    pub bytes_before: u64,
    /// Bytes of those that took their place.
    pub bytes_after: u64,
    /// Keys of the records that were appended since the pass before.
    pub keys: usize,
    /// The offset up to which the log is compacted now.
    pub end_offset: i64,
}

/// Whether a pass may read its next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At once.
    Go,
    /// Not yet: ask again.
    Wait,
    /// No more.
    Stop,
}

/// Why a pass did not end well. What it had replaced until then stays replaced; nothing is lost.
#[derive(Clone, Debug, Error)]
pub enum CompactError {
    /// A segment cannot be read whole, and stays as it is.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// An earlier append failed; the log changes no more until it is recovered.
    #[error("the log is read-only after an error")]
    Poisoned(#[source] DiskError),
    /// The log was closed or removed.
    #[error("the log is closed")]
    Closed,
    /// The caller ended the pass.
    #[error("compaction was stopped")]
    Stopped,
}

impl From<ChangeError> for CompactError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Disk(error) => Self::Disk(error),
            ChangeError::Poisoned(error) => Self::Poisoned(error),
            // No offset is given to compaction.
            ChangeError::Closed | ChangeError::OffsetOutOfRange { .. } => Self::Closed,
        }
    }
}

impl Log {
    /// The share of the bytes of full, synced segments that was never compacted. May block on the
    /// disk.
    #[must_use]
    pub fn dirty_ratio(&self) -> f64 {
        let first_dirty = self.0.first_dirty();
        self.0.lock().dirt(first_dirty, i64::MAX).ratio()
    }

    /// Whether [`compact`](Self::compact) has something to do that is worth its while: a pass, or
    /// rolling the active segment for the next one. After a pass that failed it has not: for some
    /// minutes if that was the disk, until the segments change or the log is opened anew if one of
    /// them cannot be read. May block on the disk.
    #[must_use]
    pub fn should_compact(&self, options: &CompactOptions, now_ms: i64) -> bool {
        let first_dirty = self.0.first_dirty();
        let state = self.0.lock();
        let setback = state.setback.filter(|setback| setback.holds(state.generation, now_ms));
        let sound = !state.closed && state.fault.is_none() && setback.is_none();
        sound && (state.is_due(first_dirty, options, now_ms) || state.must_roll(options, now_ms))
    }

    /// Compacts all full, synced segments below the stable offset, whether it is due or not, after
    /// rolling the active one if that is due. (The segment that is rolled here is synced in the
    /// background, and its turn comes with a later pass.)
    ///
    /// `producers` says which idempotent producers may go on, and at which offset the last batch of
    /// each ends: that batch is kept, if need be without its records. Two passes over one log wait
    /// for each other. Reads and appends go on meanwhile. Closing and removing the log end a pass,
    /// and wait for it. Blocks for as long as it takes.
    ///
    /// `pace` is asked before each batch and told how many bytes were read and written since it
    /// last was. It may block, but not for long: only in between is a log that is closed noticed.
    ///
    /// After an error the log goes on, unless [`Log::fault`] says otherwise.
    pub fn compact(
        &self,
        options: &CompactOptions,
        now_ms: i64,
        producers: &HashMap<i64, i64>,
        pace: &dyn Fn(u64) -> Pace,
    ) -> Result<Compacted, CompactError> {
        let inner = &self.0;
        let _pass = inner.hold_compaction();
        let source = Source::new(inner, pace);
        let done = inner.run_pass(options, now_ms, producers, &source);
        let mut state = inner.lock();
        state.setback = done.as_ref().err().and_then(|error| {
            Setback::after(state.setback, error, source.generation.get(), now_ms)
        });
        drop(state);
        done
    }
}

impl LogInner {
    fn run_pass(
        self: &Arc<Self>,
        options: &CompactOptions,
        now_ms: i64,
        producers: &HashMap<i64, i64>,
        source: &Source<'_>,
    ) -> Result<Compacted, CompactError> {
        let first_dirty = self.first_dirty();
        let mut state = self.lock_between_syncs();
        state.check_changeable()?;
        let dirt = state.dirt(first_dirty, options.young_ms(now_ms));
        let segments = state.sealed.get(..dirt.segments).unwrap_or_default().to_vec();
        if state.must_roll(options, now_ms) {
            state.roll(self, now_ms)?;
        }
        let queued = state.request_sync();
        let log_options = state.options.clone();
        drop(state);
        self.hand_over(queued);

        let dirty = segments.partition_point(|segment| segment.facts.next_offset <= first_dirty);
        let mut newest = NewestOffsets::new(options.map_bytes_max, first_dirty);
        let dirty = segments.get(dirty..).unwrap_or_default();
        rewrite::note_newest(source, dirty, &mut newest)?;
        let covered = segments.partition_point(|segment| segment.base < newest.end());
        let segments = segments.get(..covered).unwrap_or_default();
        let filter = Filter {
            newest: &newest,
            now_ms,
            tombstone_retention_ms: millis(options.tombstone_retention),
        };
        let rules = Rules { filter, producers, transactions: Transactions::default() };
        let mut pass = Pass { source, rules, compacted: Compacted::default(), is_whole: true };
        let limits = SegmentLimits {
            bytes: log_options.segment_bytes,
            index_bytes: log_options.index_bytes_max,
        };
        pass.run(segments, limits, log_options.index_interval_bytes)?;
        // The next pass does not know the keys of this one: what still holds older records of them
        // is to be compacted by their newest ones again.
        let end_offset = if pass.is_whole { newest.end() } else { first_dirty };
        let compacted = Compacted { keys: newest.keys(), end_offset, ..pass.compacted };
        if end_offset > first_dirty {
            self.save_first_dirty(end_offset);
        }
        Ok(compacted)
    }
}

/// The second part of a pass.
struct Pass<'a> {
    source: &'a Source<'a>,
    rules: Rules<'a>,
    compacted: Compacted,
    /// No group is left as it was that should have been replaced.
    is_whole: bool,
}

impl Pass<'_> {
    fn run(
        &mut self,
        segments: &[Segment],
        limits: SegmentLimits,
        index_interval: u32,
    ) -> Result<(), CompactError> {
        let extents: Vec<Extent> = segments.iter().map(Extent::new).collect();
        for group in plan::groups(&extents, limits) {
            let group = segments.get(group).unwrap_or_default();
            let new = self.rewrite(group, index_interval)?;
            let Some(new) = new else { continue };
            let bytes_after = u64::from(new.segment.size);
            if !new.spent.is_empty() {
                // Were an abort noted whose marker is gone, readers would not see where it ends.
                let offsets = new.segment.base..new.segment.facts.next_offset;
                let forgotten = self.source.inner.forget_spent(offsets, &new.spent);
                if let Err(error) = forgotten {
                    // A full disk, mostly: it is not to be filled by this.
                    rewrite::discard(&self.source.inner.place, new.segment.base)?;
                    return Err(error.into());
                }
            }
            if swap::swap(self.source.inner, group, new)? {
                self.source.generation.update(|generation| generation + 1);
                self.compacted.segments_before += group.len();
                self.compacted.segments_after += 1;
                let sizes = group.iter().map(|segment| u64::from(segment.size));
                self.compacted.bytes_before += sizes.sum::<u64>();
                self.compacted.bytes_after += bytes_after;
            } else {
                // Some of it was deleted meanwhile.
                self.is_whole = false;
            }
        }
        Ok(())
    }

    /// Writes one group aside; `None`, with nothing left there, when it is to stay as it is.
    fn rewrite(
        &mut self,
        group: &[Segment],
        index_interval: u32,
    ) -> Result<Option<rewrite::Rewritten>, CompactError> {
        let Self { source, rules, .. } = self;
        let new = rewrite::rewrite(source, group, rules, index_interval);
        if let Ok(Some(new)) = &new
            && new.changed
        {
            return Ok(Some(new.clone()));
        }
        let is_too_large = matches!(new, Ok(None));
        self.is_whole &= !is_too_large;
        if let Some(first) = group.first() {
            rewrite::discard(&source.inner.place, first.base)?;
        }
        new.map(|_| None)
    }
}

impl Extent {
    fn new(segment: &Segment) -> Self {
        let facts = &segment.facts;
        let index = facts.index_entries as usize * OffsetEntry::SIZE;
        let times = facts.time_entries as usize * TimeEntry::SIZE;
        Self {
            base: segment.base,
            next: facts.next_offset,
            size: segment.size,
            index_size: u32::try_from(index.max(times)).unwrap_or(u32::MAX),
            first_timestamp: facts.first_time,
            largest_timestamp: segment.largest_timestamp(),
        }
    }
}

impl State {
    /// What of the sealed segments may be compacted. Those that are not synced wait.
    fn dirt(&self, first_dirty: i64, young_ms: i64) -> Dirt {
        let limit = self.offsets().stable.0.min(self.durable.segment);
        let extents: Vec<Extent> = self.sealed.iter().map(Extent::new).collect();
        plan::dirt(&extents, first_dirty, limit, young_ms)
    }

    fn is_due(&self, first_dirty: i64, options: &CompactOptions, now_ms: i64) -> bool {
        let dirt = self.dirt(first_dirty, options.young_ms(now_ms));
        let overdue_ms = now_ms.saturating_sub(millis(options.lag_max));
        dirt.is_due(options.dirty_ratio_min, overdue_ms)
    }

    /// Whether the active segment holds so much, or has waited for so long, that it is rolled.
    fn must_roll(&self, options: &CompactOptions, now_ms: i64) -> bool {
        let active = Extent::new(&self.active);
        let others = self.size_bytes() - u64::from(active.size);
        let alone = Dirt {
            segments: 1,
            bytes: others + u64::from(active.size),
            dirty_bytes: active.size.into(),
            oldest_ms: active.first_timestamp.filter(|timestamp| *timestamp > 0),
        };
        let large = options.roll_bytes.is_some_and(|bytes| active.size >= bytes);
        let overdue_ms = now_ms.saturating_sub(millis(options.lag_max));
        active.size > 0
            && ((large && alone.is_due(options.dirty_ratio_min, i64::MIN))
                || alone.is_due(f64::INFINITY, overdue_ms))
    }
}

impl LogInner {
    /// The offset up to which the log was compacted.
    fn first_dirty(&self) -> i64 {
        if let Some(first_dirty) = self.lock().first_dirty {
            return first_dirty;
        }
        let read = self.first_dirty_checkpoint().read::<i64>(&**self.place.files.disk());
        let kept = read.unwrap_or_else(|error| {
            tracing::warn!(log = %self.name, %error, "the log is compacted from its start on");
            None
        });
        let mut state = self.lock();
        let first_dirty = kept.filter(|kept| (0..=state.active.base).contains(kept)).unwrap_or(0);
        *state.first_dirty.get_or_insert(first_dirty)
    }

    fn save_first_dirty(&self, first_dirty: i64) {
        let first_dirty = {
            let mut state = self.lock();
            let first_dirty = first_dirty.min(state.end());
            state.first_dirty = Some(first_dirty);
            first_dirty
        };
        let disk = &**self.place.files.disk();
        if let Err(error) = self.first_dirty_checkpoint().write_cache(disk, &first_dirty) {
            tracing::warn!(log = %self.name, %error, "how far the log is compacted was not kept");
        }
    }

    /// A cache: without it the log is compacted from its start on.
    fn first_dirty_checkpoint(&self) -> Checkpoint {
        Checkpoint { path: self.place.dir.join("compaction.klamm"), version: 1, size_max: 64 }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
