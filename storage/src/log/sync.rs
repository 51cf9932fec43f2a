//! The second step of an append: syncs, the durable point, and the high watermark.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{LogInner, Pending, State};
use crate::Outcome;
use crate::disk::{CachedFile, OpenMode};
use crate::durable::{self, DurablePoint};
use crate::epochs::Epochs;
use crate::error::{At, DiskError};
use crate::offsets::HighWatermark;
use crate::options::Durability;
use crate::segment::{self, Segment};
use crate::topic_id;

/// How often to try again where no more files may be open, and the first pause, of which each is
/// twice the one before: two seconds in all.
const OPEN_TRIES: u32 = 11;
const OPEN_PAUSE: Duration = Duration::from_millis(1);

/// What a log has written and not synced, and whether somebody is about to change that.
#[derive(Debug, Default)]
pub(crate) struct Unsynced {
    /// Whether bytes of the active segment are.
    pub(crate) active: bool,
    /// The file of the active segment, held open until its sync so that a failure to write it back
    /// is reported there. Not held by logs that are not to be synced: they would hold it for ever.
    pub(crate) held: Option<Arc<CachedFile>>,
    /// Bytes appended since the last sync began.
    pub(crate) bytes: u64,
    /// Segments that rolled since.
    sealed: Vec<Written>,
    /// Whether names in the log's folder are new.
    pub(crate) folder: bool,
    /// Whether the name of the log's folder is, and the file in it that says whose it is.
    pub(crate) parent: bool,
    /// Whether the epochs are.
    pub(crate) epochs: bool,
    phase: Phase,
    /// Whether a deadline is set.
    timed: bool,
}

/// A segment that is to be synced.
#[derive(Debug)]
struct Written {
    segment: Segment,
    held: Option<Arc<CachedFile>>,
}

/// Where a log is in the committer's hands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    Queued,
    Running,
    /// Running, and to be queued again afterwards.
    RunningAgain,
}

/// How the log is to be handed to the committer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    None,
    Now,
    Within(Duration),
}

impl Unsynced {
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::RunningAgain)
    }

    /// The active segment was sealed.
    pub(crate) fn sealed(&mut self, segment: &Segment) {
        self.active = false;
        self.sealed.push(Written { segment: segment.clone(), held: self.held.take() });
        self.folder = true;
    }

    /// A sealed segment was deleted: it needs no sync any more.
    pub(crate) fn deleted(&mut self, base: i64) {
        self.sealed.retain(|rolled| rolled.segment.base != base);
    }

    /// The log was cut within the segment at `base`, whose file this is.
    pub(crate) fn cut(&mut self, base: i64, file: Arc<CachedFile>) {
        self.sealed.retain(|rolled| rolled.segment.base < base);
        (self.active, self.held) = (true, Some(file));
        self.folder = true;
    }

    /// Forgets all that waits for a sync, since it was synced or cut off by other means.
    pub(crate) fn clear(&mut self) {
        let (phase, timed) = (self.phase, self.timed);
        *self = Self { phase, timed, ..Self::default() };
    }

    /// The deadline that is set is later than the next one would be, and passes for nothing.
    pub(crate) fn forget_deadline(&mut self) {
        self.timed = false;
    }

    fn request(&mut self) -> Request {
        match self.phase {
            Phase::Idle => {
                self.phase = Phase::Queued;
                Request::Now
            }
            Phase::Running => {
                self.phase = Phase::RunningAgain;
                Request::None
            }
            Phase::Queued | Phase::RunningAgain => Request::None,
        }
    }
}

/// What one sync covers.
#[derive(Debug)]
struct SyncJob {
    sealed: Vec<Written>,
    active: Option<Written>,
    folder: bool,
    parent: bool,
    epochs: Option<Epochs>,
    point: DurablePoint,
}

impl State {
    /// Asks for a sync if the durability calls for one.
    pub(crate) fn request_sync(&mut self) -> Request {
        let unsynced = &mut self.unsynced;
        let dirty = unsynced.active;
        // A segment that rolled is synced under every durability, in the background, and lets the
        // durable point pass it.
        let rolled = !unsynced.sealed.is_empty();
        match self.options.durability {
            _ if self.fault.is_some() => Request::None,
            Durability::Synced if dirty || rolled => unsynced.request(),
            Durability::Interval if rolled || unsynced.bytes >= self.options.window_bytes => {
                unsynced.request()
            }
            Durability::Interval if dirty && !unsynced.timed => {
                unsynced.timed = true;
                Request::Within(self.options.window)
            }
            Durability::OsCached if rolled => unsynced.request(),
            _ => Request::None,
        }
    }

    fn begin_sync(&mut self, everything: bool) -> Option<SyncJob> {
        if self.fault.is_some() || self.removed {
            self.unsynced.phase = Phase::Idle;
            return None;
        }
        self.unsynced.phase = Phase::Running;
        let with_active = everything || self.options.durability != Durability::OsCached;
        if !everything {
            self.write_zeros();
        }
        let dirty = with_active && std::mem::take(&mut self.unsynced.active);
        let held = if dirty { self.unsynced.held.take() } else { None };
        let clean = !self.unsynced.active;
        let (segment, end) = (self.active.base, self.end());
        let point = if clean {
            DurablePoint { segment, position: self.active.size.into(), end, suspect: false }
        } else if self.durable.segment == segment {
            self.durable
        } else {
            DurablePoint { segment, position: 0, end: segment, suspect: false }
        };
        if clean {
            self.unsynced.bytes = 0;
        }
        Some(SyncJob {
            sealed: std::mem::take(&mut self.unsynced.sealed),
            active: dirty.then(|| Written { segment: self.active.clone(), held }),
            folder: std::mem::take(&mut self.unsynced.folder),
            parent: std::mem::take(&mut self.unsynced.parent),
            epochs: std::mem::take(&mut self.unsynced.epochs).then(|| self.epochs.clone()),
            point,
        })
    }
}

impl LogInner {
    /// Syncs what was written before now, publishes the new high watermark and resolves tickets.
    /// Returns whether the log is to be synced again. Called by the committer.
    pub(crate) fn sync(self: &Arc<Self>) -> bool {
        self.sync_now(false)
    }

    /// The deadline of [`Durability::Interval`] came. Returns whether to queue the log.
    pub(crate) fn deadline_came(&self) -> bool {
        let mut state = self.lock();
        state.unsynced.timed = false;
        state.unsynced.active && state.unsynced.request() == Request::Now
    }

    /// Syncs everything, whatever the durability. For a clean stop; the log takes no appends.
    pub(crate) fn sync_everything(self: &Arc<Self>) -> Result<(), DiskError> {
        drop(self.lock_between_syncs());
        self.sync_now(true);
        match &self.lock().fault {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Cuts off the zeros behind the end of the log, and frees the blocks that are reserved there.
    /// The log takes no appends.
    pub(crate) fn trim(&self) -> Result<(), DiskError> {
        let active = &mut self.lock().active;
        if active.has_spare() { active.trim(&self.place) } else { Ok(()) }
    }

    fn sync_now(self: &Arc<Self>, everything: bool) -> bool {
        let mut state = if everything { self.lock() } else { self.lock_in_company() };
        let job = state.begin_sync(everything);
        drop(state);
        let Some(job) = job else { return false };
        let before = self.core.clock.elapsed();
        let result = self.run(&job);
        let took = self.core.clock.elapsed() - before;
        match result {
            Ok(()) => self.publish(&job, took),
            Err(error) => self.give_up(&error),
        }
        self.write_epochs(&job);
        self.end_sync()
    }

    /// All syncs of a job. Older bytes first, so that what is durable has no hole in it.
    fn run(&self, job: &SyncJob) -> Result<(), DiskError> {
        for rolled in &job.sealed {
            self.sync_sealed(rolled)?;
        }
        if let Some(active) = &job.active {
            let path = || self.place.path(active.segment.base, segment::LOG);
            let file = self.with_room(|| self.log_file(active).at_with("open", path))?;
            file.file().sync_data().at_with("sync", path)?;
        }
        let disk = self.place.files.disk();
        let dir = &self.place.dir;
        if job.parent {
            // Or the records might be taken for those of another topic of this name.
            self.with_room(|| topic_id::sync(&**disk, dir))?;
        }
        if job.folder {
            self.with_room(|| disk.sync_dir(dir).at("sync", dir))?;
        }
        match dir.parent() {
            Some(parent) if job.parent => {
                self.with_room(|| disk.sync_dir(parent).at("sync", parent))
            }
            _ => Ok(()),
        }
    }

    /// Tries again for a while where no more files may be open: what has not been opened has not
    /// failed to be synced, and syncs that end close files.
    #[expect(clippy::disallowed_methods, reason = "nobody is told of a file that is closed")]
    fn with_room<T>(&self, open: impl Fn() -> Result<T, DiskError>) -> Result<T, DiskError> {
        for doubled in 0..OPEN_TRIES {
            match open() {
                Err(error) if error.is_lack_of_files() => self.place.files.make_room(),
                done => return done,
            }
            std::thread::sleep(OPEN_PAUSE * (1 << doubled));
        }
        open()
    }

    /// Trims and syncs the files of a segment that rolled. Its indexes are caches: a failure to
    /// sync one is not a failure of the log.
    fn sync_sealed(&self, rolled: &Written) -> Result<(), DiskError> {
        let segment = &rolled.segment;
        let path = self.place.path(segment.base, segment::LOG);
        let file = self.with_room(|| self.log_file(rolled).at("open", &path))?;
        // Even where all its batches are synced: the power may have failed since zeros were cut off,
        // or fail now.
        file.file().set_len(segment.size.into()).at("trim", &path)?;
        file.file().sync_data().at("sync", &path)?;
        let indexes = [
            segment.index_file(&self.place, OpenMode::Create),
            segment.time_file(&self.place, OpenMode::Create),
        ];
        for index in indexes {
            if let Err(error) = index.and_then(|index| index.file().sync_data()) {
                tracing::warn!(log = %self.name, %error, "index of a full segment not synced");
            }
        }
        Ok(())
    }

    fn log_file(&self, of: &Written) -> io::Result<Arc<CachedFile>> {
        match &of.held {
            Some(file) => Ok(file.clone()),
            None => of.segment.log_file(&self.place, OpenMode::Existing),
        }
    }

    fn publish(self: &Arc<Self>, job: &SyncJob, took: Duration) {
        let mut state = self.lock();
        let before = state.high_watermark;
        let resolved = match state.options.durability {
            Durability::Synced if state.fault.is_none() => state.commit_to(job.point.end),
            _ => Vec::new(),
        };
        let high_watermark = state.high_watermark;
        let waiting = state.pending.len();
        state.company.synced(resolved.len(), waiting, self.gather_until(took));
        drop(state);
        for ticket in resolved {
            ticket.resolve(Outcome::Committed);
        }
        if high_watermark > before {
            self.listener.committed(HighWatermark(high_watermark));
        }
    }

    /// Saves the epochs and then the durable point, which must not pass an epoch that is not
    /// saved. Both can be found again by a scan, so that a failure only means another try.
    fn write_epochs(&self, job: &SyncJob) {
        if self.lock().fault.is_some() {
            return;
        }
        if let Some(epochs) = &job.epochs
            && let Err(error) = epochs.write(&**self.place.files.disk(), &self.place.dir)
        {
            tracing::warn!(log = %self.name, %error, "leader epochs not saved; to be tried again");
            self.lock().unsynced.epochs = true;
            return;
        }
        let state = self.lock();
        if !state.has_folder || state.durable == job.point {
            return;
        }
        drop(state);
        if let Err(error) = self.write_durable_point(job.point) {
            tracing::warn!(log = %self.name, %error, "durable point not saved");
        }
    }

    /// Writes the sidecar. To be called between syncs only, or by the sync that is under way.
    pub(super) fn write_durable_point(&self, point: DurablePoint) -> Result<(), DiskError> {
        let path = || self.place.dir.join(durable::FILE);
        let opened = self.place.files.open(self.durable_file, OpenMode::Create, path);
        let file = opened.at_with("open", path)?;
        let mut state = self.lock();
        state.durable = point;
        state.sidecar.write(&**file.file(), &point).at_with("write", path)
    }

    /// A sync failed: nobody knows which bytes above the durable point are on the device.
    fn give_up(&self, error: &DiskError) {
        let mut state = self.lock();
        state.poison(self, error);
        let pending = std::mem::take(&mut state.pending);
        let point = DurablePoint { suspect: true, ..state.durable };
        drop(state);
        self.report_failure(pending, error);
        if let Err(error) = self.write_durable_point(point) {
            tracing::warn!(log = %self.name, %error, "durable point not saved");
        }
    }

    /// Tells whoever waits that the log failed. Bytes that were written may yet be found by
    /// recovery, so that the fate of the appends under way is not known.
    pub(crate) fn report_failure(&self, pending: Pending, error: &DiskError) {
        for (_, ticket) in pending {
            ticket.resolve(Outcome::Unknown);
        }
        self.listener.failed(error);
    }

    fn end_sync(&self) -> bool {
        let mut state = self.lock();
        let again = state.unsynced.phase == Phase::RunningAgain;
        state.unsynced.phase = if again { Phase::Queued } else { Phase::Idle };
        drop(state);
        self.sync_ended.notify_all();
        again
    }
}
