//! Which segments have to go: Kafka's rules, as a pure function, and carrying it out.

use std::path::PathBuf;
use std::time::Duration;

use super::{Log, LogInner, State};
use crate::error::{At, ChangeError, DiskError};
use crate::options::LogOptions;
use crate::segment::{self, Segment};
use crate::sweep::Rubbish;

impl Log {
    /// Deletes what `retention.ms` and `retention.bytes` no longer keep, and what lies before the
    /// start of the log, a segment at a time. Only committed records go. Where even the active
    /// segment has to go it is rolled first. Returns how many segments were deleted. Blocks.
    pub fn apply_retention(&self, now_ms: i64) -> Result<usize, ChangeError> {
        let inner = &self.0;
        let _layout = inner.hold_layout();
        let mut state = inner.lock_between_syncs();
        state.check_changeable()?;
        let count = state.expired(now_ms);
        let delay = state.options.file_delete_delay;
        if count > state.sealed.len() {
            state.roll(inner, now_ms)?;
        }
        state.delete_oldest(inner, count, |path| inner.sweep(path, delay))?;
        let queued = state.request_sync();
        drop(state);
        inner.hand_over(queued);
        if count > 0 {
            let dir = &inner.place.dir;
            inner.place.files.disk().sync_dir(dir).at("sync", dir)?;
        }
        Ok(count)
    }
}

impl State {
    /// How many of the oldest segments may go, the active one included.
    fn expired(&self, now_ms: i64) -> usize {
        let segments: Vec<&Segment> = self.segments().collect();
        let mut excess = excess_bytes(self.size_bytes(), &self.options);
        let mut count = 0;
        for (i, segment) in segments.iter().enumerate() {
            let next = segments.get(i + 1).map(|next| next.base);
            let is_last_and_empty = next.is_none() && segment.size == 0;
            if is_last_and_empty || next.unwrap_or(self.end()) > self.high_watermark {
                break;
            }
            let before_start = next.is_some_and(|next| next <= self.start);
            let by_size = excess >= u64::from(segment.size) && excess > 0;
            if !(before_start || by_size || too_old(segment, now_ms, &self.options)) {
                break;
            }
            excess = excess.saturating_sub(segment.size.into());
            count += 1;
        }
        count
    }

    /// Takes the `count` oldest sealed segments out of the log and their files out of the way; tells
    /// the names that these have now.
    pub(super) fn delete_oldest(
        &mut self,
        inner: &LogInner,
        count: usize,
        mut sweep: impl FnMut(PathBuf),
    ) -> Result<(), DiskError> {
        for _ in 0..count.min(self.sealed.len()) {
            let Some(oldest) = self.sealed.first() else { break };
            let path = inner.place.path(oldest.base, segment::LOG);
            let marked = segment::mark_deleted(&inner.place, oldest).at("rename", path)?;
            let deleted = self.sealed.remove(0);
            self.unsynced.deleted(deleted.base);
            self.generation += 1;
            marked.into_iter().for_each(&mut sweep);
        }
        let first = self.sealed.first().unwrap_or(&self.active).base;
        self.start = self.start.max(first);
        if self.epochs.truncate_start(self.start) {
            self.unsynced.epochs = true;
        }
        Ok(())
    }
}

impl LogInner {
    /// Has a file removed once readers had some time to end.
    pub(super) fn sweep(&self, path: PathBuf, delay: Duration) {
        self.core.sweeper.remove(Rubbish::File(path), delay);
    }
}

fn excess_bytes(size: u64, options: &LogOptions) -> u64 {
    options.retention_bytes.map_or(0, |keep| size.saturating_sub(keep))
}

fn too_old(segment: &Segment, now_ms: i64, options: &LogOptions) -> bool {
    let age = now_ms.saturating_sub(segment.largest_timestamp());
    options.retention_ms.is_some_and(|keep| age > keep)
}
