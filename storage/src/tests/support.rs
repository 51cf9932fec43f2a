//! What the tests of whole logs share.

use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use klamm_protocol::records::{Batch, BatchBuilder, BatchOptions, batches};
use klamm_utils::clock::ManualClock;

use crate::disk::{Disk, MemoryDisk};
use crate::{
    Append, Bound, CommitListener, Durability, HighWatermark, Log, LogOptions, Outcome,
    RecoveryReport, Storage, StorageOptions, Ticket, TopicId,
};

pub(super) const DIR: &str = "/data";
pub(super) const TOPIC: TopicId = TopicId([7; 16]);

/// A storage with one log, `t-0`.
pub(super) struct World {
    pub(super) storage: Storage,
    pub(super) log: Log,
    pub(super) report: RecoveryReport,
    pub(super) listener: Arc<Heard>,
    pub(super) clock: Arc<ManualClock>,
}

/// Small segments, so that a few batches roll them.
pub(super) fn small() -> LogOptions {
    LogOptions {
        segment_bytes: 2000,
        index_interval_bytes: 300,
        retention_ms: None,
        file_delete_delay: std::time::Duration::ZERO,
        ..LogOptions::default()
    }
}

pub(super) fn with(durability: Durability) -> LogOptions {
    LogOptions { durability, ..small() }
}

pub(super) fn open(disk: &MemoryDisk, options: LogOptions) -> World {
    try_open(Arc::new(disk.clone()), options).unwrap()
}

pub(super) fn try_open(
    disk: Arc<dyn Disk>,
    options: LogOptions,
) -> Result<World, crate::OpenError> {
    let clock = Arc::new(ManualClock::at(1_000_000));
    let storage_options = StorageOptions { committers_max: 2, ..StorageOptions::default() };
    let storage = Storage::open(disk, Path::new(DIR), &storage_options, clock.clone())?;
    let listener = Arc::new(Heard::default());
    let (log, report) = storage.open_log("t-0", TOPIC, options, listener.clone())?;
    Ok(World { storage, log, report, listener, clock })
}

/// The greatest high watermark that was told, and how many failures.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) high_watermark: AtomicI64,
    pub(super) failures: AtomicU64,
}

impl CommitListener for Heard {
    fn committed(&self, high_watermark: HighWatermark) {
        self.high_watermark.fetch_max(high_watermark.0, Ordering::SeqCst);
    }

    fn failed(&self, _error: &crate::DiskError) {
        self.failures.fetch_add(1, Ordering::SeqCst);
    }
}

/// A batch of records with these timestamps; `tag` ends up in the values.
pub(super) fn batch(timestamps: &[i64], tag: u8, value_len: usize) -> Batch {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for timestamp in timestamps {
        let value = vec![tag; value_len];
        builder.push(*timestamp, None, Some(&value), &[]).unwrap();
    }
    builder.build(0).unwrap()
}

/// A batch of `records` records of the same time.
pub(super) fn plain(records: usize, tag: u8) -> Batch {
    batch(&vec![i64::from(tag); records], tag, 40)
}

pub(super) fn append(log: &Log, batch: Batch) -> Ticket {
    log.enqueue(Append::new(log.latest_epoch().unwrap_or(0), vec![batch])).unwrap()
}

/// Appends and waits for the outcome.
pub(super) fn commit(log: &Log, batch: Batch) -> i64 {
    let ticket = append(log, batch);
    let base = ticket.base_offset();
    assert_eq!(wait(ticket), Outcome::Committed);
    base
}

/// Runs a future to its end on this thread.
pub(super) fn wait<F: Future>(future: F) -> F::Output {
    #[derive(Default)]
    struct Bell(Mutex<bool>, Condvar);
    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() = true;
            self.1.notify_one();
        }
    }
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let rung = bell.0.lock().unwrap();
        *bell.1.wait_while(rung, |rung| !*rung).unwrap() = false;
    }
}

/// Base offset, last offset and tag of each batch, read in small steps up to `bound`.
pub(super) fn contents(log: &Log, bound: Bound) -> Vec<(i64, i64, u8)> {
    let mut at = log.offsets().start.0;
    let mut found = Vec::new();
    loop {
        let slice = log.read(at, 200, true, bound).unwrap();
        if slice.bytes.is_empty() {
            return found;
        }
        for batch in batches(slice.bytes.clone()) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            found.push(described(&batch));
        }
        assert!(slice.next_offset > at);
        at = slice.next_offset;
    }
}

pub(super) fn described(batch: &Batch) -> (i64, i64, u8) {
    let record = batch.records(1 << 20).unwrap().next().unwrap().unwrap();
    let tag = record.value.unwrap_or(Bytes::from_static(&[0])).first().copied().unwrap_or(0);
    (batch.header().base_offset, batch.header().last_offset(), tag)
}
