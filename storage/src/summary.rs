//! What a clean stop writes down about all logs, so that opening one reads nothing.
//!
//! The file `clean.klamm` is the clean-shutdown marker at the same time: it is removed, durably,
//! before anything else happens at the next start. It names the run that it ended. `run.klamm` names
//! the newest run, so that a copy of the folder in which an old `clean.klamm` was left beside newer
//! files is not taken for one that was stopped cleanly.

use std::collections::HashMap;
use std::path::Path;

use klamm_utils::random::Random;

use crate::checkpoint::{Checkpoint, CheckpointError, Decode, Encode};
use crate::disk::{Disk, FileCache};
use crate::durable::{DurablePoint, Sidecar};
use crate::epochs::Epochs;
use crate::index::TimeEntry;
use crate::log::State;
use crate::recover::{Recovered, RecoveryReport};
use crate::segment::{Segment, SegmentFacts};
use crate::topic_id::TopicId;

/// About a kilobyte a log for a hundred thousand logs.
const SIZE_MAX: usize = 100 << 20;

/// The summaries of all logs, by name.
pub(crate) type Summaries = HashMap<String, LogSummary>;

fn clean_file(dir: &Path) -> Checkpoint {
    Checkpoint { path: dir.join("clean.klamm"), version: 2, size_max: SIZE_MAX }
}

fn run_file(dir: &Path) -> Checkpoint {
    Checkpoint { path: dir.join("run.klamm"), version: 1, size_max: 64 }
}

/// The time from one opening of the folder to its closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Run([u8; 16]);

impl Run {
    /// Begins a run, and gives with it what the run before left if it ended cleanly. That is gone
    /// then: whatever happens from now on, the next run may believe it only if this one ends so.
    pub(crate) fn begin(
        disk: &dyn Disk,
        dir: &Path,
    ) -> Result<(Self, Option<Summaries>), CheckpointError> {
        let summaries = left_by_the_last(disk, dir).unwrap_or_else(|error| {
            tracing::warn!(%error, "the summary of the last stop is not usable: logs are recovered");
            None
        });
        clean_file(dir).remove(disk)?;
        let run = Self(Random::new().uuid());
        if let Err(error) = run_file(dir).write(disk, &run) {
            // A full disk keeps nobody from reading. Without the file the stop of this run does not
            // count as clean.
            tracing::warn!(%error, "the next start is going to recover all logs");
            run_file(dir).remove(disk)?;
        }
        Ok((run, summaries))
    }

    /// Ends a run cleanly.
    pub(crate) fn end(
        self,
        disk: &dyn Disk,
        dir: &Path,
        summaries: Summaries,
    ) -> Result<(), CheckpointError> {
        clean_file(dir).write(disk, &(self, summaries))
    }
}

fn left_by_the_last(disk: &dyn Disk, dir: &Path) -> Result<Option<Summaries>, CheckpointError> {
    let Some((ended, summaries)) = clean_file(dir).read::<(Run, Summaries)>(disk)? else {
        return Ok(None);
    };
    if run_file(dir).read(disk)? != Some(ended) {
        tracing::warn!(
            dir = %dir.display(),
            "the clean stop that is noted is not that of the newest files: logs are recovered"
        );
        return Ok(None);
    }
    Ok(Some(summaries))
}

/// One log at a clean stop.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct LogSummary {
    topic_id: [u8; 16],
    start: i64,
    has_folder: bool,
    /// Number of the slot of `durable.klamm` that was written last.
    sidecar: u64,
    epochs: Vec<(i32, i64)>,
    /// By base offset; the last one takes appends.
    segments: Vec<SegmentSummary>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct SegmentSummary {
    base: i64,
    size: u32,
    index_entries: u32,
    time_entries: u32,
    last_time: (i64, u32),
    max_time: (i64, u32),
    since_entry: u32,
    first_time: Option<i64>,
    created_ms: i64,
    next_offset: i64,
}

impl LogSummary {
    /// The summary of a log whose bytes are all synced.
    pub(crate) fn new(topic_id: TopicId, state: &State) -> Self {
        Self {
            topic_id: topic_id.0,
            start: state.start,
            has_folder: state.has_folder,
            sidecar: state.sidecar.sequence,
            epochs: state.epochs.entries().to_vec(),
            segments: state.segments().map(SegmentSummary::new).collect(),
        }
    }

    /// Whether the summary is about the log of this topic.
    pub(crate) fn is_of(&self, topic_id: TopicId) -> bool {
        self.topic_id == topic_id.0
    }

    /// The log as it was stopped.
    pub(crate) fn restore(self, files: &FileCache) -> Option<Recovered> {
        let mut segments: Vec<_> = self.segments.iter().map(|s| s.restore(files)).collect();
        let active = segments.pop()?;
        let durable = DurablePoint {
            segment: active.base,
            position: active.size.into(),
            end: active.facts.next_offset,
            suspect: false,
        };
        Some(Recovered {
            start: self.start,
            epochs: Epochs::from_entries(self.epochs),
            epochs_saved: true,
            durable,
            sidecar: Sidecar { sequence: self.sidecar },
            has_folder: self.has_folder,
            sealed: segments,
            active,
            report: RecoveryReport { clean: true, ..RecoveryReport::default() },
        })
    }
}

impl SegmentSummary {
    fn new(segment: &Segment) -> Self {
        let facts = &segment.facts;
        Self {
            base: segment.base,
            size: segment.size,
            index_entries: facts.index_entries,
            time_entries: facts.time_entries,
            last_time: (facts.last_time.timestamp, facts.last_time.relative),
            max_time: (facts.max_time.timestamp, facts.max_time.relative),
            since_entry: facts.since_entry,
            first_time: facts.first_time,
            created_ms: facts.created_ms,
            next_offset: facts.next_offset,
        }
    }

    fn restore(&self, files: &FileCache) -> Segment {
        let time = |(timestamp, relative)| TimeEntry { timestamp, relative };
        let facts = SegmentFacts {
            index_entries: self.index_entries,
            time_entries: self.time_entries,
            last_time: time(self.last_time),
            max_time: time(self.max_time),
            since_entry: self.since_entry,
            first_time: self.first_time,
            created_ms: self.created_ms,
            next_offset: self.next_offset,
        };
        Segment::known(files, self.base, self.size, facts)
    }
}
