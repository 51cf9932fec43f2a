//! What a clean stop writes down about all logs, so that opening one reads nothing.
//!
//! The file `clean.klamm` is the clean-shutdown marker at the same time: it is removed, durably,
//! before anything else happens at the next start.

use std::collections::HashMap;
use std::path::Path;

use crate::checkpoint::{Checkpoint, Decode, Encode};
use crate::disk::FileCache;
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

pub(crate) fn checkpoint(dir: &Path) -> Checkpoint {
    Checkpoint { path: dir.join("clean.klamm"), version: 1, size_max: SIZE_MAX }
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
