//! A partition's beginning, upkeep and end. Everything here may block on the disk.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use klamm_storage::checkpoint::CheckpointError;
use klamm_storage::{
    ChangeError, CompactError, CompactOptions, OpenError, Pace, RecoveryReport, Storage, TopicId,
};
use klamm_utils::episode::Episode;

use super::snapshot::Kept;
use super::waiters::Waiters;
use super::{Partition, snapshot};
use crate::topics::{TopicInfo, is_internal};

/// The active segment of an internal topic is rolled to be compacted once it has this many bytes
/// and more than those that were compacted, so that a small topic under steady commits stays small.
const INTERNAL_ROLL_BYTES: u32 = 16 << 20;

impl Partition {
    /// Opens a partition's log and recalls its producers. A partition that was never written to
    /// costs no file.
    ///
    /// # Errors
    /// The log cannot be opened.
    pub(crate) fn open(
        storage: &Storage,
        topic: &Arc<TopicInfo>,
        index: i32,
        leader_epoch: i32,
    ) -> Result<Self, OpenError> {
        let waiters = Arc::new(Waiters::default());
        let name = format!("{}-{index}", topic.name);
        let options = topic.config().log.clone();
        let listener = Arc::clone(&waiters);
        let open =
            || storage.open_log(&name, TopicId(topic.id.0), options.clone(), listener.clone());
        let (log, report) = match open() {
            Err(OpenError::OtherTopic { path, .. }) => {
                // A topic of this name was deleted, and a crash came before its files were; or the
                // disk takes two names for one.
                if let Some(place) = storage.set_aside(&name)? {
                    let (path, place) = (path.display(), place.display());
                    tracing::warn!(%path, %place, "files of another topic are set aside");
                }
                open()?
            }
            opened => opened?,
        };
        report_recovery(&name, &report);
        let read = snapshot::read(&**storage.disk(), &log);
        let stable = match &read {
            Ok((producers, _)) => producers.transactions.first_undecided(),
            // Nobody knows what was aborted or is open: nothing is shown as committed.
            Err(_) => Some(log.offsets().start.get()),
        };
        log.set_stable_offset(stable);
        let (producers, kept_at) = read.unwrap_or_else(|error| {
            // Nor which batches were stored: a retry would be stored twice.
            tracing::error!(partition = name, %error, "the producers of a log are not known");
            log.fail(error);
            Default::default()
        });
        Ok(Self {
            topic: Arc::clone(topic),
            index,
            leader_epoch,
            log,
            removed: AtomicBool::new(false),
            shortage: Episode::default(),
            damage: Mutex::default(),
            waiters,
            producers: Mutex::new(producers),
            kept_at: Mutex::new(kept_at),
        })
    }

    /// Deletes what the topic no longer keeps, forgets producers that have been silent, and keeps
    /// what the others have sent.
    pub(crate) fn maintain(&self, storage: &Storage, now_ms: i64, producer_expiration: Duration) {
        match self.log.apply_retention(now_ms) {
            Ok(0) | Err(ChangeError::Closed | ChangeError::Poisoned(_)) => {}
            Ok(segments) => {
                tracing::info!(partition = %self, segments, "old segments were deleted")
            }
            Err(error) => tracing::error!(partition = %self, %error, "retention failed"),
        }
        let expiration = i64::try_from(producer_expiration.as_millis()).unwrap_or(i64::MAX);
        let mut producers = self.lock_producers();
        producers.expire(now_ms.saturating_sub(expiration));
        drop(producers);
        self.keep_producers(storage);
    }

    /// Has of each key only the newest record stay, if enough has gathered that was not compacted.
    pub(crate) fn compact(
        &self,
        storage: &Storage,
        now_ms: i64,
        map_bytes_max: usize,
        pace: &dyn Fn(u64) -> Pace,
    ) {
        let options = compact_options(&self.topic, map_bytes_max);
        // Were the state of producers older than what is compacted, transactions would be open
        // whose markers are gone.
        if !self.log.should_compact(&options, now_ms) || !self.keep(storage, Kept::Durably) {
            return;
        }
        let producers = self.lock_producers().last_offsets();
        match self.log.compact(&options, now_ms, &producers, pace) {
            Ok(compacted) if compacted.segments_before > 0 => {
                let (before, after) = (compacted.bytes_before, compacted.bytes_after);
                tracing::info!(partition = %self, before, after, "compacted");
            }
            Ok(_)
            | Err(CompactError::Closed | CompactError::Stopped | CompactError::Poisoned(_)) => {}
            Err(error) => tracing::error!(partition = %self, %error, "compaction failed"),
        }
    }

    /// Writes down what is remembered of producers, if something was appended since: also that
    /// there are none, as the whole log would be read to find that out.
    pub(crate) fn keep_producers(&self, storage: &Storage) {
        self.keep(storage, Kept::Quickly);
    }

    /// Whether what is remembered of producers is written down, or can be read from the log.
    fn keep(&self, storage: &Storage, how: Kept) -> bool {
        let (producers, end) = {
            let producers = self.lock_producers();
            (producers.clone(), self.log.offsets().end.get())
        };
        let mut kept_at = self.kept_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.log.fault().is_some() {
            return false;
        }
        if end == 0 || (*kept_at == Some(end) && how == Kept::Quickly) {
            return true;
        }
        // What is not noted for good is read from the log again.
        let noted = self.log.sync_aborted().map_err(CheckpointError::from);
        let state = (&producers, end);
        let kept = noted.and_then(|()| snapshot::write(&**storage.disk(), &self.log, state, how));
        match &kept {
            Ok(()) => *kept_at = Some(end),
            Err(error) => {
                tracing::warn!(partition = %self, %error, "the state of producers was not kept");
            }
        }
        kept.is_ok()
    }

    /// Tells everyone who waits that the partition is gone.
    pub(crate) fn end(&self) {
        self.removed.store(true, Ordering::Release);
        self.waiters.wake();
    }
}

fn compact_options(topic: &TopicInfo, map_bytes_max: usize) -> CompactOptions {
    let compaction = topic.config().compaction;
    CompactOptions {
        dirty_ratio_min: compaction.dirty_ratio_min,
        lag_min: compaction.lag_min,
        lag_max: compaction.lag_max,
        tombstone_retention: compaction.tombstone_retention,
        roll_bytes: is_internal(&topic.name).then_some(INTERNAL_ROLL_BYTES),
        map_bytes_max,
    }
}

/// Says what opening a log did beyond opening it.
fn report_recovery(partition: &str, report: &RecoveryReport) {
    if let Some(cut) = &report.cut {
        let file = cut.file.display();
        tracing::warn!(
            partition, %file, position = cut.position, bytes = cut.bytes,
            "a torn tail, which nobody was promised, was cut off"
        );
    }
    for damage in &report.damaged {
        tracing::error!(partition, %damage, "records that were acknowledged cannot be read");
    }
    if report.indexes_rebuilt > 0 {
        tracing::info!(partition, segments = report.indexes_rebuilt, "indexes were built anew");
    }
}
