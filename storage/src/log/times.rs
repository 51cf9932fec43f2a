//! Looking up offsets by timestamp.

use klamm_protocol::records::Record;

use super::read::Snapshot;
use super::{Log, LogInner};
use crate::error::{Corrupt, ReadError};
use crate::scan::{ScanError, Scanner};
use crate::segment;

/// What a batch may take up decompressed while a timestamp is looked for in it.
const RECORDS_SIZE_MAX: usize = 256 << 20;

/// A record found by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampedOffset {
    /// The timestamp of the record.
    pub timestamp: i64,
    /// Its offset.
    pub offset: i64,
    /// The leader epoch of its batch.
    pub leader_epoch: i32,
}

impl Log {
    /// The first record, by offset, whose timestamp is at least `timestamp`; `None` when there is
    /// none. Uncommitted records count: the caller compares with the bound it wants. Decompresses
    /// one batch at most. May block on the disk.
    pub fn offset_for_timestamp(
        &self,
        timestamp: i64,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        let snapshots = self.0.snapshots()?;
        let start = self.0.lock().start;
        for snapshot in snapshots {
            let facts = &snapshot.segment.facts;
            if snapshot.segment.size == 0 || facts.max_time.timestamp < timestamp {
                continue;
            }
            if let Some(found) = self.0.find_time(&snapshot, timestamp, start)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The record with the greatest timestamp, and of several the first (KIP-734); `None` for a
    /// log without records or without timestamps. May block on the disk.
    pub fn max_timestamp(&self) -> Result<Option<TimestampedOffset>, ReadError> {
        let start = self.0.lock().start;
        let mut latest: Option<Snapshot> = None;
        for snapshot in self.0.snapshots()? {
            let timestamp = |of: &Snapshot| of.segment.facts.max_time.timestamp;
            let later = latest.as_ref().is_none_or(|best| timestamp(&snapshot) > timestamp(best));
            if snapshot.segment.size > 0 && later {
                latest = Some(snapshot);
            }
        }
        match latest {
            Some(snapshot) if snapshot.segment.facts.max_time.timestamp >= 0 => {
                let timestamp = snapshot.segment.facts.max_time.timestamp;
                self.0.find_time(&snapshot, timestamp, start)
            }
            _ => Ok(None),
        }
    }
}

impl LogInner {
    fn snapshots(&self) -> Result<Vec<Snapshot>, ReadError> {
        let state = self.lock();
        if state.closed {
            return Err(ReadError::Closed);
        }
        Ok(state.segments().map(|segment| state.snapshot(segment.base)).collect())
    }

    /// The first record of a segment at or behind `start` with at least this timestamp.
    fn find_time(
        &self,
        snapshot: &Snapshot,
        timestamp: i64,
        start: i64,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        // An entry says how large timestamps were up to and including a batch, so that the record
        // cannot lie before the last entry that stays below.
        let below = timestamp.saturating_sub(1);
        let floor = snapshot.segment.time_floor(&self.place, below, snapshot.sealed);
        let from = match floor {
            Ok(Some(entry)) => snapshot.segment.base + i64::from(entry.relative),
            _ => snapshot.segment.base,
        };
        let from = from.max(start);
        let file = snapshot.file(&self.place)?;
        let mut scanner = snapshot.scanner(&self.place, &file, from)?;
        while let Some(found) = snapshot.next_from(&self.place, &mut scanner, from)? {
            if found.header.max_timestamp < timestamp {
                continue;
            }
            let end = found.position + found.header.size() as u64;
            let mut whole = Scanner::new(&**file.file(), found.position, end, i64::MIN);
            let fits = |record: &Record| record.timestamp >= timestamp && record.offset >= start;
            if let Some(record) = first_record(&mut whole, fits).map_err(|problem| {
                let file = self.place.path(snapshot.segment.base, segment::LOG);
                let offsets = found.header.base_offset..found.header.last_offset() + 1;
                problem.into_read_error(Corrupt { file, positions: found.position..end, offsets })
            })? {
                let (timestamp, offset) = (record.timestamp, record.offset);
                let leader_epoch = found.header.leader_epoch;
                return Ok(Some(TimestampedOffset { timestamp, offset, leader_epoch }));
            }
        }
        Ok(None)
    }
}

/// Why the records of one batch cannot be looked at.
enum Problem {
    Damage,
    Io(std::io::Error),
}

impl Problem {
    fn into_read_error(self, place: Corrupt) -> ReadError {
        match self {
            Self::Damage => place.into(),
            Self::Io(error) => {
                let source = std::sync::Arc::new(error);
                crate::DiskError { action: "read", path: place.file, source }.into()
            }
        }
    }
}

fn first_record(
    scanner: &mut Scanner<'_>,
    fits: impl Fn(&Record) -> bool,
) -> Result<Option<Record>, Problem> {
    let batch = match scanner.next_batch() {
        Ok(Some((_, batch))) => batch,
        Ok(None) | Err(ScanError::Damage(_)) => return Err(Problem::Damage),
        Err(ScanError::Io(error)) => return Err(Problem::Io(error)),
    };
    for record in batch.records(RECORDS_SIZE_MAX).map_err(|_| Problem::Damage)? {
        let record = record.map_err(|_| Problem::Damage)?;
        if fits(&record) {
            return Ok(Some(record));
        }
    }
    Ok(None)
}
