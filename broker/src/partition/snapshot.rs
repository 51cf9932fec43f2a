//! What is remembered of producers, kept beside the log: so that opening it need not read it all.
//!
//! `producers.klamm` holds the state as it was when the log ended at some offset; what was
//! appended behind that is read from the log. The file is a cache: without it, or where it does
//! not fit, the whole log is read.

use std::collections::HashMap;

use klamm_protocol::records::{BatchHeader, EndTransaction, Outcome, batches};
use klamm_storage::checkpoint::{Checkpoint, CheckpointError, Decode, Encode};
use klamm_storage::disk::Disk;
use klamm_storage::{AbortedTransaction, Bound, Log, ReadError};

use super::producers::{Appended, BATCHES_MAX, Entry, Marker, Producers};

const FILE: &str = "producers.klamm";
const VERSION: u32 = 2;
/// Some hundred thousand producers; with more, the log is read.
const SIZE_MAX: usize = 64 * 1024 * 1024;
/// No marker is as large as this.
const MARKER_BYTES_MAX: usize = 1 << 10;

#[derive(Decode, Encode)]
#[bincode(crate = "klamm_storage::checkpoint::bincode")]
struct Snapshot {
    /// The end of the log when the state was like this.
    end_offset: i64,
    producers: Vec<Producer>,
}

#[derive(Decode, Encode)]
#[bincode(crate = "klamm_storage::checkpoint::bincode")]
struct Producer {
    id: i64,
    epoch: i16,
    last_write_ms: i64,
    batches: Vec<Batch>,
    open: Option<i64>,
    coordinator_epoch: i32,
}

#[derive(Decode, Encode)]
#[bincode(crate = "klamm_storage::checkpoint::bincode")]
struct Batch {
    base_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    last_offset: i64,
    timestamp: i64,
}

fn checkpoint(log: &Log) -> Checkpoint {
    Checkpoint { path: log.dir().join(FILE), version: VERSION, size_max: SIZE_MAX }
}

/// How the state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// So that opening the log is quick. A power cut may bring back what was kept before.
    Quickly,
    /// What was kept before is gone for good.
    Durably,
}

/// Keeps the state that `producers` have when the log ends at `end_offset`. Blocks.
///
/// # Errors
/// What was kept before may be there still.
pub(super) fn write(
    disk: &dyn Disk,
    log: &Log,
    (producers, end_offset): (&Producers, i64),
    how: Kept,
) -> Result<(), CheckpointError> {
    let snapshot = Snapshot { end_offset, producers: producers.iter().map(to_file).collect() };
    let checkpoint = checkpoint(log);
    let written = match how {
        Kept::Quickly => checkpoint.write_cache(disk, &snapshot),
        Kept::Durably => checkpoint.write(disk, &snapshot),
    };
    match written {
        // The log is read, and not from where it was at some earlier time.
        Err(CheckpointError::TooLarge { .. }) => checkpoint.remove(disk),
        written => written,
    }
}

/// The state of the producers of a log that was just opened, and the end of the log at which it
/// had been kept. Blocks.
///
/// # Errors
/// The log cannot be read.
pub(super) fn read(disk: &dyn Disk, log: &Log) -> Result<(Producers, Option<i64>), ReadError> {
    let offsets = log.offsets();
    let mut from = offsets.start.get();
    let mut producers = Producers::default();
    let mut kept_at = None;
    if offsets.end.get() == 0 {
        // What a crash took the records of would be believed once there are others.
        if log.has_folder() {
            forget(disk, log);
            log.forget_aborted(0)?;
        }
        return Ok((producers, kept_at));
    }
    match checkpoint(log).read::<Snapshot>(disk) {
        Ok(Some(kept)) if (from..=offsets.end.get()).contains(&kept.end_offset) => {
            from = kept.end_offset;
            kept_at = Some(from);
            kept.producers.into_iter().for_each(|it| producers.restore(it.id, from_file(it)));
        }
        Ok(None) => {}
        // It would fit again once the log has grown, and be of a past that is not this one's.
        Ok(Some(_)) => forget(disk, log),
        Err(error) => {
            tracing::warn!(log = log.name(), %error, "the state of producers is read from the log");
        }
    }
    let mut markers = Markers::default();
    log.scan(from, |header, _| {
        let (offset, time_ms) = (header.base_offset, header.max_timestamp);
        if header.attributes.is_control() {
            let marker = marker(header);
            markers.newest.insert(marker.producer_id, offset);
            markers.ends.extend(producers.aborted_by(&marker, offset));
            producers.marked(&marker, offset, time_ms);
        } else {
            producers.stored(header, offset, time_ms);
        }
    })?;
    producers.transactions.settle(offsets.end.get());
    markers.read(log, from, &mut producers)?;
    Ok((producers, kept_at))
}

/// Removes what was kept. Blocks.
fn forget(disk: &dyn Disk, log: &Log) {
    if let Err(error) = checkpoint(log).remove(disk) {
        tracing::error!(log = log.name(), %error, "an outdated state of producers is still there");
    }
}

/// Markers of which the headers were read.
#[derive(Default)]
struct Markers {
    /// The transactions that they end, in their order, as if all had been aborted.
    ends: Vec<AbortedTransaction>,
    /// The newest of each producer.
    newest: HashMap<i64, i64>,
}

impl Markers {
    /// Notes the transactions that were aborted, and those alone, and remembers who has ended the
    /// last of each producer. The markers are all from this offset on.
    fn read(self, log: &Log, from: i64, producers: &mut Producers) -> Result<(), ReadError> {
        let mut aborted = Vec::new();
        for ended in self.ends {
            let end = read_end(log, ended.last_offset)?;
            aborted.extend(end.filter(|end| end.outcome == Outcome::Abort).map(|_| ended));
        }
        // Mostly they are noted already: then a full disk has room for that.
        let mut noted = log.aborted(from..i64::MAX).unwrap_or_default();
        noted.sort_by_key(|aborted| aborted.last_offset);
        if noted != aborted || noted.is_empty() {
            log.forget_aborted(from)?;
            aborted.iter().try_for_each(|aborted| log.add_aborted(aborted))?;
        }
        for (producer_id, offset) in self.newest {
            if let Some(end) = read_end(log, offset)? {
                producers.ended_by(producer_id, end.coordinator_epoch);
            }
        }
        Ok(())
    }
}

/// What the marker at an offset says, if it can be understood.
fn read_end(log: &Log, offset: i64) -> Result<Option<EndTransaction>, ReadError> {
    let slice = match log.read(offset, 0, true, Bound::End) {
        Err(ReadError::Corrupt(corrupt)) => {
            tracing::error!(log = log.name(), %corrupt, "how a transaction ended is not known");
            return Ok(None);
        }
        read => read?,
    };
    let batch = batches(slice.bytes).next().and_then(Result::ok);
    let records = batch.and_then(|batch| batch.records(MARKER_BYTES_MAX).ok());
    let record = records.and_then(|mut records| records.next()).and_then(Result::ok);
    Ok(record.as_ref().and_then(EndTransaction::parse))
}

/// What the header of a marker says.
fn marker(header: &BatchHeader) -> Marker {
    Marker {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        has_new_epoch: false,
        coordinator_epoch: -1,
        is_own: false,
    }
}

fn to_file((id, entry): (i64, &Entry)) -> Producer {
    let batch = |batch: &Appended| Batch {
        base_sequence: batch.base_sequence,
        last_sequence: batch.last_sequence,
        base_offset: batch.base_offset,
        last_offset: batch.last_offset,
        timestamp: batch.timestamp,
    };
    let batches = entry.batches.iter().map(batch).collect();
    Producer {
        id,
        epoch: entry.epoch,
        last_write_ms: entry.last_write_ms,
        batches,
        open: entry.open,
        coordinator_epoch: entry.coordinator_epoch,
    }
}

fn from_file(producer: Producer) -> Entry {
    let batch = |batch: Batch| Appended {
        base_sequence: batch.base_sequence,
        last_sequence: batch.last_sequence,
        base_offset: batch.base_offset,
        last_offset: batch.last_offset,
        timestamp: batch.timestamp,
    };
    let batches = producer.batches.into_iter().take(BATCHES_MAX).map(batch).collect();
    Entry {
        epoch: producer.epoch,
        batches,
        last_write_ms: producer.last_write_ms,
        open: producer.open,
        coordinator_epoch: producer.coordinator_epoch,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use klamm_storage::disk::MemoryDisk;
    use klamm_storage::{
        AbortedTransaction, Append, Durability, LogOptions, NoListener, Storage, StorageOptions,
        TopicId,
    };
    use klamm_utils::clock::ManualClock;

    use super::*;

    /// An empty log, and what keeps it open.
    fn empty(disk: &MemoryDisk) -> (Storage, Log) {
        let clock = Arc::new(ManualClock::at(1_000));
        let options = StorageOptions::default();
        let storage = Storage::open(Arc::new(disk.clone()), Path::new("/d"), &options, clock);
        let storage = storage.unwrap();
        let options = LogOptions { durability: Durability::OsCached, ..LogOptions::default() };
        let opened = storage.open_log("t-0", TopicId([7; 16]), options, Arc::new(NoListener));
        (storage, opened.unwrap().0)
    }

    fn append(log: &Log) {
        let end = EndTransaction { outcome: Outcome::Commit, coordinator_epoch: 0 };
        let batch = end.batch(1, 0, 1_000).unwrap();
        drop(log.enqueue(Append::new(0, vec![batch])).unwrap());
    }

    #[test]
    fn what_was_kept_of_a_log_that_was_cut_is_not_believed_once_it_has_grown() {
        let disk = MemoryDisk::new();
        let (_storage, log) = empty(&disk);
        append(&log);
        write(&disk, &log, (&Producers::default(), 2), Kept::Quickly).unwrap();
        assert_eq!(read(&disk, &log).unwrap().1, None, "the log ends before");
        append(&log);
        assert_eq!(read(&disk, &log).unwrap().1, None, "it ends there now, and is another");
    }

    #[test]
    fn nothing_is_believed_of_a_log_of_which_nothing_is_left() {
        let disk = MemoryDisk::new();
        let (_storage, log) = empty(&disk);
        append(&log);
        log.truncate(0).unwrap();
        write(&disk, &log, (&Producers::default(), 1), Kept::Quickly).unwrap();
        let (producer_id, first_offset, last_offset, stable_offset) = (1, 0, 0, 1);
        let aborted = AbortedTransaction { producer_id, first_offset, last_offset, stable_offset };
        log.add_aborted(&aborted).unwrap();
        assert_eq!(read(&disk, &log).unwrap().1, None);
        append(&log);
        assert_eq!(read(&disk, &log).unwrap().1, None, "it is another");
        assert_eq!(log.aborted(0..1).unwrap(), []);
    }
}
