//! Cutting a log at either end.

use std::collections::VecDeque;
use std::sync::Arc;

use super::read::Snapshot;
use super::{Log, LogInner, State};
use crate::Outcome;
use crate::checkpoint::CheckpointError;
use crate::disk::{self, OpenMode};
use crate::durable::{self, DurablePoint};
use crate::error::{At, ChangeError, DiskError, ReadError};
use crate::offsets::{EndOffset, HighWatermark, StartOffset};
use crate::recover;
use crate::segment;
use crate::sweep::Rubbish;
use crate::ticket::TicketCell;

impl Log {
    /// Moves the start of the log up to `to`, which is durable when this returns, and deletes the
    /// segments that lie before it. An offset at or before the start changes nothing. On a full disk
    /// the segments go first, so that there is room to note the start. Blocks.
    pub fn delete_records(&self, to: i64) -> Result<StartOffset, ChangeError> {
        let inner = &self.0;
        // Nobody else moves the start meanwhile.
        let _layout = inner.hold_layout();
        let state = inner.lock();
        state.check_changeable()?;
        let (start, end) = (state.start, state.high_watermark);
        drop(state);
        if !(0..=end).contains(&to) {
            return Err(ChangeError::OffsetOutOfRange { start, end });
        }
        if to > start {
            // It waits for the device: nobody else must.
            let mut written = write_start(inner, to);
            if written.as_ref().is_err_and(DiskError::is_shortage) && inner.make_room(to)? {
                written = write_start(inner, to);
            }
            written?;
        }
        let mut state = inner.lock_between_syncs();
        state.check_changeable()?;
        if to > start {
            state.start = to;
            let (count, delay) = (state.count_before(to), state.options.file_delete_delay);
            state.delete_oldest(inner, count, |path| inner.sweep(path, delay))?;
        }
        let reached = state.start;
        drop(state);
        if to == start && start > 0 {
            // The segments before it may have gone, and not for good yet.
            let dir = &inner.place.dir;
            inner.place.files.disk().sync_dir(dir).at("sync", dir)?;
        }
        Ok(StartOffset(reached))
    }

    /// Cuts off all from the batch that contains `to` on; durable when this returns. Appends that
    /// wait for their commit and are cut off become [`Outcome::Void`]. Returns the new end.
    /// Blocks, and holds up appends meanwhile.
    ///
    /// A disk error half-way leaves the log poisoned.
    pub fn truncate(&self, to: i64) -> Result<EndOffset, ChangeError> {
        let inner = &self.0;
        let _layout = inner.hold_layout();
        let mut state = inner.lock_between_syncs();
        state.check_changeable()?;
        let (start, end) = (state.start, state.end());
        if to < start {
            return Err(ChangeError::OffsetOutOfRange { start, end });
        }
        if to >= end {
            return Ok(EndOffset(end));
        }
        let result = state.cut(inner, to);
        let void = match &result {
            Ok(void) => void.clone(),
            Err(error) => {
                state.poison(inner, error);
                Vec::new()
            }
        };
        let lost =
            if result.is_err() { std::mem::take(&mut state.pending) } else { VecDeque::new() };
        let end = state.end();
        let queued = state.request_sync();
        drop(state);
        inner.hand_over(queued);
        for ticket in void {
            ticket.resolve(Outcome::Void);
        }
        if let Err(error) = result {
            inner.report_failure(lost, &error);
            return Err(error.into());
        }
        Ok(EndOffset(end))
    }

    /// Has a log that ends before `start` begin and go on there, with nothing in it; durable when
    /// this returns. Blocks.
    pub fn restart_at(&self, start: i64) -> Result<(), crate::OpenError> {
        write_start(&self.0, start)?;
        self.recover().map(drop)
    }

    /// Opens the files anew after a failure and makes the log take appends again, without losing
    /// anything that was committed. Appends whose tickets said [`Outcome::Unknown`] may turn up.
    /// Blocks for as long as recovery takes.
    pub fn recover(&self) -> Result<recover::RecoveryReport, crate::OpenError> {
        let inner = &self.0;
        let _layout = inner.hold_layout();
        let mut state = inner.lock_between_syncs();
        if state.closed {
            return Err(crate::OpenError::Closed);
        }
        for segment in state.segments() {
            segment.forget_files(&inner.place.files);
        }
        let now_ms = inner.core.clock.now_ms();
        let input = recover::Input { topic_id: inner.topic_id, options: &state.options, now_ms };
        let recovered = recover::recover(&inner.place, &input)?;
        let report = recovered.report.clone();
        state.generation += 1;
        state.fault = None;
        state.unsynced.clear();
        recovered.install(&mut state);
        let end = state.end();
        let resolved = state.commit_to(end);
        drop(state);
        inner.settle(resolved, HighWatermark(end), super::sync::Request::None);
        Ok(report)
    }
}

impl LogInner {
    /// Removes the segments that lie before an offset, at once; whether there were any.
    fn make_room(&self, before: i64) -> Result<bool, ChangeError> {
        let mut state = self.lock_between_syncs();
        state.check_changeable()?;
        let count = state.count_before(before);
        let mut freed = Vec::new();
        state.delete_oldest(self, count, |path| freed.push(Rubbish::File(path)))?;
        drop(state);
        let (disk, dir) = (&**self.place.files.disk(), &self.place.dir);
        disk.sync_dir(dir).at("sync", dir)?;
        freed.iter().for_each(|file| file.remove(disk));
        Ok(count > 0)
    }
}

/// Makes a start durable that is not the base of a segment.
fn write_start(inner: &LogInner, start: i64) -> Result<(), DiskError> {
    let checkpoint = recover::start_checkpoint(&inner.place.dir);
    checkpoint.write(&**inner.place.files.disk(), &start).map_err(|error| match error {
        CheckpointError::Disk(error) => error,
        CheckpointError::Damaged { path, .. }
        | CheckpointError::Version { path, .. }
        | CheckpointError::TooLarge { path, .. } => {
            let source = Arc::new(std::io::ErrorKind::InvalidData.into());
            DiskError { action: "write", path, source }
        }
    })
}

impl State {
    /// How many of the oldest segments lie before an offset.
    fn count_before(&self, offset: i64) -> usize {
        self.sealed.iter().take_while(|segment| segment.facts.next_offset <= offset).count()
    }

    pub(crate) fn check_changeable(&self) -> Result<(), ChangeError> {
        match &self.fault {
            _ if self.closed => Err(ChangeError::Closed),
            Some(error) => Err(ChangeError::Poisoned(error.clone())),
            None => Ok(()),
        }
    }

    /// Cuts the files and then what is known about them. Returns the tickets that are void.
    fn cut(&mut self, inner: &LogInner, to: i64) -> Result<Vec<Arc<TicketCell>>, DiskError> {
        let place = &inner.place;
        let snapshot = self.snapshot(to);
        let position = position_of(inner, &snapshot, to)?;
        let base = snapshot.segment.base;
        self.lower_durable_point(inner, base, position)?;
        self.generation += 1;
        if std::mem::take(&mut self.roll_due) {
            let path = place.path(self.end(), segment::LOG);
            disk::found(place.files.disk().remove_file(&path)).at("remove", path)?;
        }
        while self.active.base > base {
            let path = place.path(self.active.base, segment::LOG);
            let marked = segment::mark_deleted(place, &self.active).at("rename", path)?;
            let delay = self.options.file_delete_delay;
            marked.into_iter().for_each(|path| inner.sweep(path, delay));
            let Some(before) = self.sealed.pop() else { break };
            self.active = before;
        }
        let path = place.path(base, segment::LOG);
        self.active.forget_files(&place.files);
        let file = self.active.log_file(place, OpenMode::Create).at("open", &path)?;
        self.active.notes.note_cut();
        file.file().set_len(position).at("cut", &path)?;
        let created_ms = self.active.facts.created_ms;
        self.active = recover::reload(place, base, position, &self.options)?;
        self.active.facts.created_ms = created_ms;
        file.file().sync_data().at("sync", &path)?;
        place.files.disk().sync_dir(&place.dir).at("sync", &place.dir)?;
        self.unsynced.cut(base, file);
        let end = self.end();
        self.high_watermark = self.high_watermark.min(end);
        self.first_dirty = self.first_dirty.map(|first_dirty| first_dirty.min(end));
        if self.start > end {
            // The start lay inside the batch that went.
            write_start(inner, end)?;
            self.start = end;
        }
        if self.epochs.truncate_end(end) {
            self.epochs.write(&**place.files.disk(), &place.dir)?;
        }
        let kept = self.pending.partition_point(|(pending, _)| *pending <= end);
        Ok(self.pending.drain(kept..).map(|(_, ticket)| ticket).collect())
    }

    /// What is cut off may be written anew and torn: the durable point must not vouch for it. It
    /// goes on vouching for what is left, which may have gaps.
    fn lower_durable_point(
        &mut self,
        inner: &LogInner,
        segment: i64,
        position: u64,
    ) -> Result<(), DiskError> {
        if !self.durable.covers(segment, position) {
            return Ok(());
        }
        let point = DurablePoint { segment, position, end: segment, suspect: false };
        let path = inner.place.dir.join(durable::FILE);
        let file = inner.place.files.disk().open(&path, OpenMode::Create).at("open", &path)?;
        self.durable = point;
        // Over both slots: later writes are not synced, and may tear one without the other.
        for _ in 0..2 {
            self.sidecar.write(&*file, &point).at("write", &path)?;
        }
        file.sync_data().at("sync", &path)
    }
}

/// Where the batch that contains `offset` starts, or the end of the segment.
fn position_of(inner: &LogInner, snapshot: &Snapshot, offset: i64) -> Result<u64, DiskError> {
    let file = snapshot.file(&inner.place)?;
    let mut scanner = snapshot.scanner(&inner.place, &file, offset)?;
    match snapshot.next_from(&inner.place, &mut scanner, offset) {
        Ok(found) => Ok(found.map_or(snapshot.segment.size.into(), |found| found.position)),
        Err(ReadError::Corrupt(corrupt)) => Ok(corrupt.positions.start),
        Err(ReadError::Disk(error)) => Err(error),
        Err(ReadError::OffsetOutOfRange { .. } | ReadError::Closed) => {
            Ok(snapshot.segment.size.into())
        }
    }
}
