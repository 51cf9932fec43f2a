//! The first step of an append: order, offsets, and the write to the page cache.

use std::io;
use std::sync::Arc;

use klamm_protocol::records::{Batch, BatchHeader};

use super::sync::Request;
use super::{Log, LogInner, State};
use crate::disk::{CachedFile, OpenMode};
use crate::error::{AppendError, At, DiskError};
use crate::offsets::HighWatermark;
use crate::options::{Durability, LogOptions};
use crate::segment::{self, RollInput, Segment};
use crate::ticket::Ticket;
use crate::topic_id;

/// Space is reserved ahead only in segments that have grown to this: most logs stay small.
const RESERVE_FROM: u32 = 64 << 10;
/// Less is not enough: what is left is for what has to be written on a disk that is full.
const RESERVE_MIN: u32 = 4096;
/// The most that is reserved ahead.
const RESERVE_MAX: u32 = 16 << 20;

/// Batches to append in one piece: all of them or none, one after the other.
#[derive(Clone, Debug)]
pub struct Append {
    batches: Vec<Batch>,
    leader_epoch: i32,
    log_append_time: bool,
}

impl Append {
    /// The append of `batches`, whose checksums the caller has verified, by the leader of an
    /// epoch. Base offsets and epochs in the batches are replaced by the log's own.
    #[must_use]
    pub fn new(leader_epoch: i32, batches: Vec<Batch>) -> Self {
        Self { batches, leader_epoch, log_append_time: false }
    }

    /// Gives all records the time of the append (`message.timestamp.type=LogAppendTime`). Each
    /// batch then gets a new checksum.
    #[must_use]
    pub fn with_log_append_time(mut self) -> Self {
        self.log_append_time = true;
        self
    }
}

impl Log {
    /// Fixes the place of an append in the order of the log and gives it its offsets. The bytes
    /// are in the page cache when this returns, so that they survive the end of the process; the
    /// ticket resolves when they are committed.
    ///
    /// An error means that nothing was appended; only after [`AppendError::Poisoned`] may the
    /// batches turn up when the log is recovered, if the failed write could not be undone.
    pub fn enqueue(&self, append: Append) -> Result<Ticket, AppendError> {
        let inner = &self.0;
        let mut state = inner.lock();
        let (before, was_sound) = (state.high_watermark, state.fault.is_none());
        let result = state.append(inner, append);
        if let (true, Some(error)) = (was_sound, state.fault.clone()) {
            let lost = std::mem::take(&mut state.pending);
            drop(state);
            inner.report_failure(lost, &error);
            return result.map(|(ticket, _)| ticket);
        }
        let (ticket, queued) = result?;
        let all_are_there = state.company.is_just_complete(state.pending.len());
        let high_watermark = state.high_watermark;
        drop(state);
        if all_are_there {
            inner.gathered.notify_one();
        }
        inner.hand_over(queued);
        if high_watermark > before {
            inner.listener.committed(HighWatermark(high_watermark));
        }
        Ok(ticket)
    }
}

/// Batches as they will be in the log.
struct Stamped {
    batches: Vec<StampedBatch>,
    size: u64,
    max_timestamp: i64,
    last_offset: i64,
}

/// A batch, the header it will have, and the first bytes that say so.
struct StampedBatch {
    batch: Batch,
    header: BatchHeader,
    stamp: [u8; 16],
}

impl StampedBatch {
    fn parts(&self) -> [&[u8]; 2] {
        [&self.stamp, self.batch.bytes().get(self.stamp.len()..).unwrap_or_default()]
    }
}

impl State {
    fn append(
        &mut self,
        inner: &Arc<LogInner>,
        append: Append,
    ) -> Result<(Ticket, Request), AppendError> {
        self.check_writable()?;
        let epoch = append.leader_epoch;
        if let Some(current) = self.epochs.latest().filter(|current| epoch < *current) {
            return Err(AppendError::Fenced { epoch, current });
        }
        let now_ms = inner.core.clock.now_ms();
        let append_time_ms = append.log_append_time.then(|| now_ms.max(self.append_time_ms));
        let base_offset = self.end();
        let stamped = stamp(append, base_offset, append_time_ms)?;
        let size_max = segment::SIZE_MAX.into();
        if stamped.size > size_max || stamped.last_offset - base_offset > i64::from(i32::MAX) {
            return Err(AppendError::TooLarge { size: stamped.size, size_max });
        }
        self.prepare(inner, &stamped, now_ms).map_err(|error| self.refuse(inner, error))?;
        self.write(inner, &stamped).map_err(|error| self.refuse(inner, error))?;
        self.append_time_ms = append_time_ms.unwrap_or(self.append_time_ms);
        if self.epochs.assign(epoch, base_offset) {
            self.unsynced.epochs = true;
        }
        let ticket = Ticket::new((base_offset, stamped.last_offset), append_time_ms);
        let ticket = if self.options.durability == Durability::Synced {
            let (ticket, cell) = ticket.pending();
            self.pending.push_back((self.end(), cell));
            ticket
        } else {
            self.high_watermark = self.end();
            ticket
        };
        Ok((ticket, self.request_sync()))
    }

    pub(super) fn check_writable(&self) -> Result<(), AppendError> {
        match &self.fault {
            _ if self.closed => Err(AppendError::Closed),
            Some(error) => Err(AppendError::Poisoned(error.clone())),
            None => Ok(()),
        }
    }

    /// A shortage refuses one append; any other failure ends all appends.
    fn refuse(&mut self, inner: &LogInner, error: DiskError) -> AppendError {
        if error.is_shortage() && self.fault.is_none() {
            return AppendError::Shortage(error);
        }
        self.poison(inner, &error);
        AppendError::Poisoned(error)
    }

    /// Makes the folder, a new segment and room on the disk, as needed.
    fn prepare(
        &mut self,
        inner: &LogInner,
        stamped: &Stamped,
        now_ms: i64,
    ) -> Result<(), DiskError> {
        if !self.has_folder {
            let (disk, dir) = (inner.place.files.disk(), &inner.place.dir);
            disk.create_dir(dir).at("create", dir)?;
            if inner.topic_id != topic_id::TopicId::ZERO {
                topic_id::write(&**disk, dir, inner.topic_id)?;
            }
            self.has_folder = true;
            (self.unsynced.folder, self.unsynced.parent) = (true, true);
        }
        if self.active.size == 0 {
            // A segment that stayed empty is as old as its first batch.
            self.active.facts.created_ms = now_ms;
            self.unsynced.folder = true;
        }
        let roll = RollInput {
            size: stamped.size,
            last_offset: stamped.last_offset,
            max_timestamp: stamped.max_timestamp,
            now_ms,
            jitter_ms: self.jitter_ms,
        };
        if self.roll_due || self.active.must_roll(&roll, &self.options) {
            self.roll(inner, now_ms)?;
        }
        self.reserve(inner, stamped.size)
    }

    /// Seals the active segment and starts the next one at the end of the log.
    pub(crate) fn roll(&mut self, inner: &LogInner, now_ms: i64) -> Result<(), DiskError> {
        let place = &inner.place;
        let next = Segment::empty(&place.files, self.end(), now_ms);
        let path = || place.path(next.base, segment::LOG);
        if self.active.has_zeros() {
            // Before the next one is there: no full segment may seem torn.
            self.active.trim(place)?;
        }
        self.roll_due = true;
        next.create_files(place).at_with("create", path)?;
        self.roll_due = false;
        let mut sealed = std::mem::replace(&mut self.active, next);
        sealed.close_indexes(place);
        self.unsynced.sealed(&sealed);
        self.sealed.push(sealed);
        self.jitter_ms = jitter(&self.options, self.end());
        Ok(())
    }

    /// Reserves blocks ahead of the end, so that a disk that is full says so before a write.
    fn reserve(&mut self, inner: &LogInner, size: u64) -> Result<(), DiskError> {
        let active = &mut self.active;
        let needed = u32::try_from(u64::from(active.size) + size).unwrap_or(u32::MAX);
        if active.size < RESERVE_FROM || needed.saturating_add(RESERVE_MIN) <= active.reserved {
            return Ok(());
        }
        let ahead = active.size.min(RESERVE_MAX);
        let target = needed.saturating_add(ahead).min(self.options.segment_bytes.max(needed));
        if target <= active.reserved {
            return Ok(());
        }
        let path = || inner.place.path(active.base, segment::LOG);
        let file = active.log_file(&inner.place, OpenMode::Create).at_with("open", path)?;
        let reserved = file.file().reserve(active.size.into(), u64::from(target - active.size));
        match reserved.at_with("reserve space in", path) {
            Ok(()) => active.reserved = target,
            Err(error) if error.is_shortage() && needed <= active.reserved => {}
            Err(error) if error.is_shortage() => return Err(error),
            // This file system cannot; writes find out by themselves.
            Err(_) => active.reserved = u32::MAX,
        }
        Ok(())
    }

    /// Writes the batches behind the last one and takes note of them.
    fn write(&mut self, inner: &LogInner, stamped: &Stamped) -> Result<(), DiskError> {
        let place = &inner.place;
        let path = || place.path(self.active.base, segment::LOG);
        let file = match &self.unsynced.held {
            Some(file) => file.clone(),
            None => self.active.log_file(place, OpenMode::Create).at_with("open", path)?,
        };
        let written = write_batches(&file, stamped, self.active.size.into());
        if let Err(error) = written.at_with("append to", path) {
            return Err(self.undo(inner, &file, error));
        }
        self.unsynced.active = true;
        self.unsynced.held = (self.options.durability != Durability::OsCached).then_some(file);
        self.unsynced.bytes += stamped.size;
        for stamped in &stamped.batches {
            let entries = self.active.add(&stamped.header, self.options.index_interval_bytes);
            self.active.keep_entries(entries);
        }
        if let Err(error) = self.active.write_many_entries(place) {
            tracing::warn!(log = %inner.name, %error, "index entries left out");
        }
        Ok(())
    }

    /// Cuts off what a failed write left. Where that fails too, the log is poisoned even by a
    /// full disk, since nobody knows what lies behind its end.
    fn undo(&mut self, inner: &LogInner, file: &Arc<CachedFile>, error: DiskError) -> DiskError {
        let cut = file.file().set_len(self.active.size.into());
        self.active.forget_spare();
        if cut.is_err() {
            self.poison(inner, &error);
        }
        error
    }
}

fn stamp(append: Append, base: i64, time_ms: Option<i64>) -> Result<Stamped, AppendError> {
    let leader_epoch = append.leader_epoch;
    let mut batches = Vec::with_capacity(append.batches.len());
    let (mut next, mut size, mut max_timestamp) = (base, 0, None);
    for batch in append.batches {
        let batch = match time_ms {
            Some(time_ms) => batch.with_log_append_time(time_ms),
            None => batch,
        };
        let header = BatchHeader { base_offset: next, leader_epoch, ..*batch.header() };
        let delta = i64::from(header.last_offset_delta.max(0));
        next = next.checked_add(delta + 1).ok_or(AppendError::OutOfOffsets)?;
        size += batch.bytes().len() as u64;
        max_timestamp = max_timestamp.max(Some(header.max_timestamp));
        let stamp = batch.stamp(header.base_offset, leader_epoch);
        batches.push(StampedBatch { batch, header, stamp });
    }
    let max_timestamp = max_timestamp.ok_or(AppendError::Empty)?;
    Ok(Stamped { batches, size, max_timestamp, last_offset: next - 1 })
}

/// One vectored write: for each batch its first bytes anew, the rest as it came.
fn write_batches(file: &CachedFile, stamped: &Stamped, position: u64) -> io::Result<()> {
    let parts: Vec<&[u8]> = stamped.batches.iter().flat_map(StampedBatch::parts).collect();
    file.file().write_all_at(&parts, position)
}

/// What is taken off a segment's age: it differs from segment to segment and is the same after a
/// restart. Less than the age itself, or every append would begin a segment.
pub(crate) fn jitter(options: &LogOptions, base: i64) -> i64 {
    let max = options.segment_jitter_ms.min(options.segment_ms);
    let mixed = base.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    if max > 0 { mixed.cast_signed() % max } else { 0 }
}
