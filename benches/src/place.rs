//! A log by itself, on a folder that goes with it.

use std::sync::Arc;

use klamm_protocol::records::Batch;
use klamm_storage::disk::Disk;
use klamm_storage::{
    Append, Durability, Log, LogOptions, NoListener, Storage, StorageOptions, TopicId,
};
use klamm_utils::clock::SystemClock;
use tempfile::TempDir;

/// A log. Nothing waits for the disk: what is measured is ours.
#[derive(Debug)]
pub struct Place {
    log: Log,
    storage: Storage,
    disk: Arc<dyn Disk>,
    options: LogOptions,
    folder: TempDir,
}

impl Place {
    /// A new log with these options on a disk.
    #[must_use]
    pub fn new(disk: impl Disk, options: LogOptions) -> Self {
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let options = LogOptions { durability: Durability::OsCached, ..options };
        let (storage, log) = open(&disk, &folder, &options);
        Self { log, storage, disk, options, folder }
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Appends a batch, and gives its offset.
    pub fn append(&self, batch: Batch) -> i64 {
        let append = Append::new(0, vec![batch]);
        self.log.enqueue(append).expect("the log takes appends").base_offset()
    }

    /// Closes the log, does something to its folder, and opens it again.
    #[must_use]
    pub fn reopened(self, meanwhile: impl FnOnce(&std::path::Path)) -> Self {
        let Self { log, storage, disk, options, folder } = self;
        storage.close().expect("the log closes");
        drop((log, storage));
        meanwhile(folder.path());
        let (storage, log) = open(&disk, &folder, &options);
        Self { log, storage, disk, options, folder }
    }

    /// Closes the log and removes it.
    pub fn end(self) {
        self.storage.close().expect("the log closes");
    }
}

fn open(disk: &Arc<dyn Disk>, folder: &TempDir, options: &LogOptions) -> (Storage, Log) {
    let clock = Arc::new(SystemClock::new());
    let storage = Storage::open(Arc::clone(disk), folder.path(), &StorageOptions::default(), clock)
        .expect("the folder opens");
    let (log, _) = storage
        .open_log("bench-0", TopicId([7; 16]), options.clone(), Arc::new(NoListener))
        .expect("the log opens");
    (storage, log)
}
