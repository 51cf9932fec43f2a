//! The catalog on disk: the metadata log, and the snapshots that bound it.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use klamm_protocol::records::batches;
use klamm_protocol::wire::Uuid;
use klamm_storage::disk::Disk;
use klamm_storage::{
    Append, Bound, Durability, Log, LogOptions, NoListener, Storage, Ticket, TopicId,
};

use super::image::Image;
use super::records::MetadataRecord;
use super::snapshot::{self, DecodeError, Moment};
use super::{CatalogError, METADATA_TOPIC, files};
use crate::config::BrokerConfig;

/// The id that Kafka gives the metadata log.
const TOPIC_ID: Uuid = {
    let mut id = [0; 16];
    id[15] = 1;
    Uuid(id)
};
/// The epoch of a leader that was never contested.
const LEADER_EPOCH: i32 = 1;
/// A snapshot that is larger than this was not written here.
const SNAPSHOT_BYTES_MAX: u64 = 4 << 30;
/// How much of the log is read at a time.
const READ_BYTES: usize = 1 << 20;
/// Segments of the log are at least this large, since a change must fit one.
const SEGMENT_BYTES_MIN: u64 = 8 << 20;
/// Snapshots that are kept: if the newest cannot be read, the one before it and the log can.
const SNAPSHOTS_KEPT: usize = 2;

/// The log and the snapshots of one catalog.
#[derive(Debug)]
pub(super) struct Store {
    log: Log,
    disk: Arc<dyn Disk>,
    leader_epoch: i32,
    /// Bytes of log after which a snapshot is due.
    snapshot_bytes: u64,
}

/// How far the metadata log is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogState {
    pub(crate) leader_epoch: i32,
    pub(crate) high_watermark: i64,
    pub(crate) end: i64,
}

/// What a store holds when it is opened.
pub(super) struct Loaded {
    pub(super) store: Store,
    pub(super) image: Image,
    /// The offset behind the last record.
    pub(super) end: i64,
    /// Bytes of log since the newest snapshot.
    pub(super) log_bytes: u64,
}

impl Store {
    /// Opens the metadata log of a storage, and recalls what it amounts to. Blocks.
    pub(super) fn open(storage: &Storage, config: &BrokerConfig) -> Result<Loaded, CatalogError> {
        let name = format!("{METADATA_TOPIC}-0");
        let snapshot_bytes = config.metadata_snapshot_bytes;
        let segment_bytes = snapshot_bytes.clamp(SEGMENT_BYTES_MIN, 1 << 30);
        let options = LogOptions {
            durability: Durability::Synced,
            segment_bytes: u32::try_from(segment_bytes).unwrap_or(u32::MAX),
            retention_ms: None,
            retention_bytes: None,
            ..LogOptions::default()
        };
        let topic_id = TopicId(TOPIC_ID.0);
        let (log, report) = storage.open_log(&name, topic_id, options, Arc::new(NoListener))?;
        for damage in &report.damaged {
            tracing::error!(%damage, "part of the metadata log cannot be read");
        }
        let leader_epoch = log.latest_epoch().unwrap_or(LEADER_EPOCH);
        let disk = Arc::clone(storage.disk());
        let store = Self { log, disk, leader_epoch, snapshot_bytes };
        store.remove_unfinished()?;
        store.load()
    }

    /// Appends a change as one batch; it is made when the ticket says so.
    pub(super) fn append(
        &self,
        records: &[MetadataRecord],
        now_ms: i64,
    ) -> Result<(Ticket, u64), CatalogError> {
        let batch = snapshot::batch(records, now_ms)?;
        let bytes = batch.bytes().len() as u64;
        let ticket = self.log.enqueue(Append::new(self.leader_epoch, vec![batch]))?;
        Ok((ticket, bytes))
    }

    /// Whether the log refuses appends because one failed.
    pub(super) fn is_read_only(&self) -> bool {
        self.log.fault().is_some()
    }

    /// How far the log is.
    pub(super) fn state(&self) -> LogState {
        let offsets = self.log.offsets();
        LogState {
            leader_epoch: self.leader_epoch,
            high_watermark: offsets.high_watermark.get(),
            end: offsets.end.get(),
        }
    }

    /// Whether a log that has grown by so much needs a snapshot.
    pub(super) fn is_snapshot_due(&self, log_bytes: u64) -> bool {
        log_bytes >= self.snapshot_bytes
    }

    /// Writes a snapshot of the image before `end`, and removes what no longer counts. Blocks.
    pub(super) fn write_snapshot(
        &self,
        image: &Image,
        end: i64,
        now_ms: i64,
    ) -> Result<(), CatalogError> {
        let moment = Moment { now_ms, leader_epoch: self.leader_epoch };
        let pieces = snapshot::encode(image, moment)?;
        let pieces: Vec<&[u8]> = pieces.iter().map(AsRef::as_ref).collect();
        let path = self.log.dir().join(Snapshot { end, epoch: self.leader_epoch }.file_name());
        files::replace(&*self.disk, &path, &pieces).map_err(at(&path))?;
        let snapshots = self.snapshots()?;
        let (old, kept) = snapshots.split_at(snapshots.len().saturating_sub(SNAPSHOTS_KEPT));
        let oldest = kept.first().filter(|_| kept.len() == SNAPSHOTS_KEPT);
        let cut = oldest.map_or(Ok(()), |oldest| self.log.delete_records(oldest.end).map(drop));
        // Also where the log could not be cut: on a disk that is full, this makes room.
        for snapshot in old {
            let path = self.log.dir().join(snapshot.file_name());
            self.disk.remove_file(&path).map_err(at(&path))?;
        }
        Ok(cut?)
    }

    /// Removes the snapshots that a crash left unfinished.
    fn remove_unfinished(&self) -> Result<(), CatalogError> {
        for name in self.names()? {
            let whole = name.strip_suffix(files::UNFINISHED).and_then(|it| it.strip_suffix('.'));
            if whole.is_some_and(|whole| Snapshot::of_file_name(whole).is_some()) {
                let path = self.log.dir().join(name);
                if let Err(error) = self.disk.remove_file(&path) {
                    tracing::warn!(path = %path.display(), %error, "an unfinished snapshot stays");
                }
            }
        }
        Ok(())
    }

    fn load(self) -> Result<Loaded, CatalogError> {
        let offsets = self.log.offsets();
        let (mut image, from) = self.newest_image(offsets.start.get())?;
        let (mut at, mut log_bytes, end) = (from, 0, offsets.end.get());
        while at < end {
            let slice = self.log.read(at, READ_BYTES, true, Bound::End)?;
            if slice.next_offset <= at {
                return Err(self.missing(at..end));
            }
            log_bytes += slice.bytes.len() as u64;
            for batch in batches(slice.bytes) {
                let decode = |error| CatalogError::Decode { offset: at, error };
                let batch = batch.map_err(|error| decode(error.into()))?;
                // Nothing is ever taken out of this log: a gap is what was lost.
                if batch.header().base_offset > at {
                    return Err(self.missing(at..batch.header().base_offset));
                }
                snapshot::apply(&mut image, &batch).map_err(decode)?;
                at = batch.header().last_offset() + 1;
            }
            at = slice.next_offset;
        }
        if from > end {
            // Changes would be appended below the snapshot, and the next start would not see them.
            tracing::error!(
                "the metadata log ends at offset {end}, before its newest snapshot: it goes on at \
                 {from}, and changes that came behind the snapshot would be lost"
            );
            self.log.restart_at(from)?;
        }
        Ok(Loaded { store: self, image, end: end.max(from), log_bytes })
    }

    fn missing(&self, offsets: Range<i64>) -> CatalogError {
        CatalogError::Missing { dir: self.log.dir().to_owned(), offsets }
    }

    /// The image of the newest snapshot that can be read, and the offset at which the log goes on.
    fn newest_image(&self, log_start: i64) -> Result<(Image, i64), CatalogError> {
        for found in self.snapshots()?.iter().rev().filter(|found| found.end >= log_start) {
            let path = self.log.dir().join(found.file_name());
            match self.read_snapshot(&path) {
                Ok(image) => return Ok((image, found.end)),
                Err(error) => {
                    let path = path.display();
                    tracing::error!(%path, %error, "a metadata snapshot cannot be read");
                }
            }
        }
        if log_start > 0 {
            Err(CatalogError::NoSnapshot { log_start })
        } else {
            Ok((Image::default(), 0))
        }
    }

    fn read_snapshot(&self, path: &Path) -> Result<Image, SnapshotError> {
        let content = files::read(&*self.disk, path, SNAPSHOT_BYTES_MAX)?;
        Ok(snapshot::decode(content.unwrap_or_default().into())?)
    }

    /// All snapshots, the oldest first.
    fn snapshots(&self) -> Result<Vec<Snapshot>, CatalogError> {
        let names = self.names()?;
        let mut snapshots: Vec<_> =
            names.iter().filter_map(|name| Snapshot::of_file_name(name)).collect();
        snapshots.sort_unstable();
        Ok(snapshots)
    }

    /// The names of all files in the folder of the log, which may not be there yet.
    fn names(&self) -> Result<Vec<String>, CatalogError> {
        let dir = self.log.dir();
        match self.disk.list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            entries => Ok(entries.map_err(at(dir))?.into_iter().map(|entry| entry.name).collect()),
        }
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> CatalogError {
    let path: PathBuf = path.to_owned();
    move |source| CatalogError::Disk { path: path.clone(), source }
}

/// Why a snapshot is of no use.
#[derive(Debug, thiserror::Error)]
enum SnapshotError {
    #[error(transparent)]
    Disk(#[from] io::Error),
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// A snapshot, as its file name says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Snapshot {
    /// The offset behind the last record that went into it.
    end: i64,
    /// The epoch of that record.
    epoch: i32,
}

impl Snapshot {
    fn file_name(self) -> String {
        format!("{:020}-{:010}.checkpoint", self.end, self.epoch)
    }

    fn of_file_name(name: &str) -> Option<Self> {
        let (end, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
        let snapshot = Self { end: end.parse().ok()?, epoch: epoch.parse().ok()? };
        (snapshot.file_name() == name).then_some(snapshot)
    }
}
