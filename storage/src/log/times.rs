//! Looking up offsets by timestamp.

use klamm_protocol::records::Record;

use super::read::Snapshot;
use super::{Log, LogInner};
use crate::disk::CachedFile;
use crate::disk::Reach;
use crate::error::{Corrupt, ReadError};
use crate::scan::{Found, ScanError, Scanner};
use crate::segment;

/// What a batch may take up decompressed while its records are looked at.
pub(crate) const RECORDS_SIZE_MAX: usize = 256 << 20;

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
        self.0.look(|| self.0.first_from(timestamp))
    }

    /// The record with the greatest timestamp, and of several the first (KIP-734); `None` for a
    /// log without records or without timestamps. May block on the disk.
    pub fn max_timestamp(&self) -> Result<Option<TimestampedOffset>, ReadError> {
        self.0.look(|| self.0.latest())
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

    fn first_from(&self, timestamp: i64) -> Result<Option<TimestampedOffset>, ReadError> {
        let start = self.lock().start;
        for snapshot in self.snapshots()? {
            let facts = &snapshot.segment.facts;
            if snapshot.segment.size == 0 || facts.max_time.timestamp < timestamp {
                continue;
            }
            if let Some(found) = self.find_time(&snapshot, timestamp, start)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn latest(&self) -> Result<Option<TimestampedOffset>, ReadError> {
        let start = self.lock().start;
        let mut latest: Option<(i64, Snapshot)> = None;
        for snapshot in self.snapshots()? {
            let timestamp = self.greatest_from(&snapshot, start)?;
            if timestamp > latest.as_ref().map_or(-1, |(best, _)| *best) {
                latest = Some((timestamp, snapshot));
            }
        }
        match latest {
            Some((timestamp, snapshot)) => self.find_time(&snapshot, timestamp, start),
            None => Ok(None),
        }
    }

    /// The greatest timestamp of a segment's records at or behind `start`, -1 without any. Known
    /// without looking, except for the segment in which the log starts.
    fn greatest_from(&self, snapshot: &Snapshot, start: i64) -> Result<i64, ReadError> {
        if start <= snapshot.segment.base {
            return Ok(snapshot.segment.facts.max_time.timestamp);
        }
        let mut greatest = -1;
        let file = snapshot.file(&self.place)?;
        let mut scanner = snapshot.scanner(&self.place, &file, start)?;
        while let Some(found) = snapshot.next_from(&self.place, &mut scanner, start)? {
            if found.header.record_count == 0 {
                continue;
            }
            if found.header.base_offset >= start {
                greatest = greatest.max(found.header.max_timestamp);
                continue;
            }
            self.visit_records(snapshot, &file, &found, |record| {
                if record.offset >= start {
                    greatest = greatest.max(record.timestamp);
                }
                false
            })?;
        }
        Ok(greatest)
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
        let floor = snapshot.segment.time_floor(&self.place, below, snapshot.access(Reach::Device));
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
            let fits = |record: &Record| record.timestamp >= timestamp && record.offset >= start;
            if let Some(record) = self.visit_records(snapshot, &file, &found, fits)? {
                let (timestamp, offset) = (record.timestamp, record.offset);
                let leader_epoch = found.header.leader_epoch;
                return Ok(Some(TimestampedOffset { timestamp, offset, leader_epoch }));
            }
        }
        Ok(None)
    }

    /// The first record of a batch for which `visit` answers yes.
    fn visit_records(
        &self,
        snapshot: &Snapshot,
        file: &CachedFile,
        found: &Found,
        mut visit: impl FnMut(&Record) -> bool,
    ) -> Result<Option<Record>, ReadError> {
        let corrupt = Corrupt {
            file: self.place.path(snapshot.segment.base, segment::LOG),
            positions: found.position..found.position + found.header.size() as u64,
            offsets: found.header.base_offset..found.header.last_offset() + 1,
        };
        let (positions, offsets) = (corrupt.positions.clone(), corrupt.offsets.clone());
        let batch = match Scanner::new(&**file.file(), positions, offsets).next_batch() {
            Ok(Some((_, batch))) => batch,
            Ok(None) | Err(ScanError::Damage(_)) => return Err(corrupt.into()),
            Err(ScanError::Io(error)) => return Err(snapshot.io(&self.place, error)),
        };
        let Ok(records) = batch.records(RECORDS_SIZE_MAX) else { return Err(corrupt.into()) };
        for record in records {
            let Ok(record) = record else { return Err(corrupt.into()) };
            if visit(&record) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}
