//! The folder that holds all logs of a broker, and the threads that serve them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use klamm_utils::clock::Clock;
use klamm_utils::random::Random;

use crate::Outcome;
use crate::buffers::Buffers;
use crate::commit::Committer;
use crate::core::Core;
use crate::disk::{self, Disk, DiskLock, FileCache, Space};
use crate::durable::{DurablePoint, Sidecar};
use crate::error::{At, DiskError, OpenError};
use crate::log::aborted::AbortedFiles;
use crate::log::{CommitListener, Company, Log, LogInner, Pending, State, Unsynced};
use crate::options::{LogOptions, StorageOptions};
use crate::recover::{self, Recovered, RecoveryReport};
use crate::segment::{Place, Segment};
use crate::summary::{LogSummary, Run, Summaries};
use crate::sweep::{Rubbish, Sweeper};
use crate::topic_id::{self, TopicId};

/// Name of the lock file, as in Kafka.
const LOCK: &str = ".lock";
/// Ends the name of a folder that is to be removed, as in Kafka.
const DELETED: &str = "-delete";
/// Ends the name of a folder that was set aside, as in Kafka.
const STRAY: &str = "-stray";
/// Bytes that the name of a log may have: what a file system takes as a name.
pub const NAME_LEN_MAX: usize = 255;

/// An open storage folder. Dropping it ends its threads without the marks of a clean stop: the
/// next start recovers, as after a crash. [`close`](Self::close) stops cleanly.
#[derive(Debug)]
pub struct Storage {
    dir: PathBuf,
    files: Arc<FileCache>,
    core: Arc<Core>,
    run: Run,
    was_clean: bool,
    /// Guards which logs are open, not what is in them.
    registry: Mutex<Registry>,
}

#[derive(Debug, Default)]
struct Registry {
    logs: HashMap<String, Log>,
    /// What the last clean stop knew of logs that were not opened since.
    summaries: Summaries,
    sweeper: Option<JoinHandle<()>>,
    /// Held for as long as the storage is open.
    lock: Option<DiskLock>,
    closed: bool,
}

/// What is left to do of a removal.
struct Removal {
    /// The folder by its new name, if there was one.
    folder: Result<Option<PathBuf>, DiskError>,
    /// What waited for a commit.
    pending: Pending,
}

impl Storage {
    /// Opens a folder, making it if there is none, and starts the threads. Fails with
    /// [`OpenError::Locked`] when another process has it. Opens no log.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: &StorageOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        disk.create_dir(dir).at("create", dir)?;
        let path = dir.join(LOCK);
        let Some(lock) = disk.lock(&path).at("lock", &path)? else {
            return Err(OpenError::Locked { path });
        };
        let (run, summaries) = Run::begin(&*disk, dir)?;
        let committer = Arc::new(Committer::new(options, clock.clone()));
        let sweeper = Arc::new(Sweeper::new(disk.clone(), clock.clone()));
        let mut registry = Registry { lock: Some(lock), ..Registry::default() };
        registry.sweeper = Some(sweeper.start().at("start the sweeper of", dir)?);
        committer.start().at("start the committer of", dir)?;
        let was_clean = summaries.is_some();
        registry.summaries = summaries.unwrap_or_default();
        let files = Arc::new(FileCache::new(disk, options.open_files_max));
        let (gather_max, buffers) = (options.gather_max, Buffers::default());
        let core = Arc::new(Core { clock, committer, gather_max, sweeper, buffers });
        let (dir, registry) = (dir.to_owned(), Mutex::new(registry));
        let storage = Self { dir, files, core, run, was_clean, registry };
        storage.sweep_leftovers()?;
        Ok(storage)
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The disk the folder is on.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        self.files.disk()
    }

    /// Frees the memory that is kept for reads to come.
    pub fn free_idle_memory(&self) {
        self.core.buffers.clear();
    }

    /// Whether the last stop was clean, so that logs open without being read.
    #[must_use]
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// Opens a log, recovering it if need be. `name` is that of its folder, `<topic>-<partition>`;
    /// the folder is made by the first append. All that is found counts as committed. May block.
    pub fn open_log(
        &self,
        name: &str,
        topic_id: TopicId,
        options: LogOptions,
        listener: Arc<dyn CommitListener>,
    ) -> Result<(Log, RecoveryReport), OpenError> {
        let summary = self.reserve_name(name)?;
        let place = Place { files: self.files.clone(), dir: self.dir.join(name) };
        let recovered = self.find(&place, topic_id, &options, summary)?;
        let report = recovered.report.clone();
        let inner = LogInner {
            name: name.to_owned(),
            topic_id,
            place,
            core: self.core.clone(),
            listener,
            durable_file: self.files.new_id(),
            state: Mutex::new(new_state(&self.files, options, recovered)),
            sync_ended: std::sync::Condvar::new(),
            gathered: std::sync::Condvar::new(),
            layout: Mutex::new(()),
            compacting: Mutex::new(()),
        };
        let log = Log(Arc::new(inner));
        let mut registry = self.registry();
        if registry.closed {
            return Err(OpenError::Closed);
        }
        if registry.logs.contains_key(name) {
            return Err(OpenError::AlreadyOpen { name: name.to_owned() });
        }
        registry.logs.insert(name.to_owned(), log.clone());
        Ok((log, report))
    }

    /// The names of all folders that look like those of logs, open or not.
    pub fn names_on_disk(&self) -> Result<Vec<String>, DiskError> {
        let entries = self.files.disk().list(&self.dir).at("list", &self.dir)?;
        let is_log = |entry: &disk::Entry| entry.is_dir && !is_out_of_use(&entry.name);
        Ok(entries.into_iter().filter(is_log).map(|entry| entry.name).collect())
    }

    /// Sets aside the logs that are on the disk and were not opened, for nobody is going to ask for
    /// them: their folders get names that end in `-stray`, and are left there. Gives the names of
    /// the logs and their new places; what the disk refuses is left for the next time. Blocks.
    pub fn set_aside_strays(&self) -> Result<Vec<(String, PathBuf)>, DiskError> {
        let disk = self.files.disk();
        let mut strays = Vec::new();
        for name in self.names_on_disk()? {
            if self.registry().logs.contains_key(&name) {
                continue;
            }
            // Whatever else is in the folder is not ours, and may not be for us to read.
            let Ok(Some(_)) = topic_id::read(&**disk, &self.dir.join(&name)) else { continue };
            match self.set_aside(&name) {
                Ok(place) => strays.extend(place.map(|place| (name, place))),
                Err(error) => tracing::warn!(log = name, %error, "files of no topic stay"),
            }
        }
        Ok(strays)
    }

    /// Sets a log aside that is not open, as [`set_aside_strays`](Self::set_aside_strays) does, and
    /// gives its new place; none if there is none. Blocks.
    pub fn set_aside(&self, name: &str) -> Result<Option<PathBuf>, DiskError> {
        self.registry().summaries.remove(name);
        let place = self.rename_folder(name, STRAY)?;
        if place.is_some() {
            self.sync_folder()?;
        }
        Ok(place)
    }

    /// How large the disk is, and what is left of it.
    pub fn space(&self) -> Result<Space, DiskError> {
        self.files.disk().space(&self.dir).at("ask for the space on the disk of", &self.dir)
    }

    /// Lets go of a log that nobody wrote to since it was opened: it can be opened again. Handles
    /// answer `Closed`. Blocks.
    pub fn release_log(&self, name: &str) {
        let log = self.registry().logs.remove(name);
        if let Some(log) = log {
            for (_, ticket) in log.0.close() {
                ticket.resolve(Outcome::Unknown);
            }
            log.0.forget_files();
        }
    }

    /// Removes a log as [`remove_logs`](Self::remove_logs) does. Blocks.
    pub fn remove_log(&self, name: &str) -> Result<(), DiskError> {
        self.remove_logs([name])
    }

    /// Removes logs, open or not, with all that is in them; durable when this returns, while the
    /// bytes are removed by a thread. Appends under way become [`Outcome::Void`], handles answer
    /// `Closed`. A log that does not exist is not an error, and one that cannot be removed does not
    /// keep the others. Blocks.
    pub fn remove_logs<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), DiskError> {
        let removals: Vec<_> = names.into_iter().map(|name| self.begin_removal(name)).collect();
        let is_renamed = |removal: &Removal| matches!(removal.folder, Ok(Some(_)));
        let any = removals.iter().any(is_renamed);
        let synced = if any { self.sync_folder() } else { Ok(()) };
        let mut ended = Ok(());
        for Removal { folder, pending } in removals {
            let gone = folder.and_then(|folder| synced.clone().map(|()| folder));
            // Were the folder still there, the appends could come back with it.
            let outcome = if gone.is_ok() { Outcome::Void } else { Outcome::Unknown };
            for (_, ticket) in pending {
                ticket.resolve(outcome);
            }
            match gone {
                Ok(folder) => folder.into_iter().for_each(|folder| {
                    self.core.sweeper.remove(Rubbish::Folder(folder), Duration::ZERO);
                }),
                Err(error) => ended = ended.and(Err(error)),
            }
        }
        ended
    }

    /// Refuses everything of a log from now on, and renames its folder.
    fn begin_removal(&self, name: &str) -> Removal {
        let log = {
            let mut registry = self.registry();
            registry.summaries.remove(name);
            registry.logs.remove(name)
        };
        let pending = log.as_ref().map_or_else(Pending::new, |log| {
            log.0.lock().removed = true;
            log.0.close()
        });
        let folder = self.rename_folder(name, DELETED);
        if let Some(log) = log {
            log.0.forget_files();
        }
        Removal { folder, pending }
    }

    /// Gives the folder of a log a name of its own that ends so; none if there is none. Durable once
    /// [`sync_folder`](Self::sync_folder) has been called.
    fn rename_folder(&self, name: &str, ending: &str) -> Result<Option<PathBuf>, DiskError> {
        let (from, to) = (self.dir.join(name), self.dir.join(new_name(name, ending)));
        let renamed = self.files.disk().rename(&from, &to);
        Ok(disk::found(renamed).at("rename", &from)?.map(|()| to))
    }

    fn sync_folder(&self) -> Result<(), DiskError> {
        self.files.disk().sync_dir(&self.dir).at("sync", &self.dir)
    }

    /// Stops cleanly: refuses appends, syncs everything whatever the durability, trims reserved
    /// space, and leaves what the next start needs so that it reads no log. Logs that failed are
    /// left to recovery. Gives the folder free even when it fails. Blocks.
    pub fn close(&self) -> Result<(), OpenError> {
        let Some((logs, mut summaries, lock)) = self.stop() else { return Ok(()) };
        for (name, log) in logs {
            if let Some(summary) = log.0.summarize() {
                summaries.insert(name, summary);
            }
        }
        self.core.sweeper.remove_files();
        self.run.end(&**self.files.disk(), &self.dir, summaries)?;
        drop(lock);
        Ok(())
    }

    /// Stops as a crash would: nothing is synced beyond what is due, no mark is left. Gives the
    /// folder free. Blocks.
    pub fn abandon(&self) {
        drop(self.stop());
    }

    /// Ends the threads once what is due is synced. `None` when that has been done.
    fn stop(&self) -> Option<(HashMap<String, Log>, Summaries, Option<DiskLock>)> {
        let mut registry = self.registry();
        if std::mem::replace(&mut registry.closed, true) {
            return None;
        }
        let Registry { logs, summaries, sweeper, lock, .. } = std::mem::take(&mut *registry);
        registry.closed = true;
        drop(registry);
        for log in logs.values() {
            log.0.refuse();
        }
        // A pass may need the threads to come to its end.
        for log in logs.values() {
            drop(log.0.hold_compaction());
        }
        self.core.committer.end();
        self.core.sweeper.end();
        if sweeper.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the sweeper panicked");
        }
        for (_, ticket) in logs.values().flat_map(|log| log.0.close()) {
            ticket.resolve(Outcome::Unknown);
        }
        Some((logs, summaries, lock))
    }

    fn reserve_name(&self, name: &str) -> Result<Option<LogSummary>, OpenError> {
        let bad = matches!(name, "" | "." | "..") || name.len() > NAME_LEN_MAX;
        if bad || name.contains(['/', '\0']) || is_out_of_use(name) {
            return Err(OpenError::BadName { name: name.to_owned() });
        }
        let mut registry = self.registry();
        if registry.closed {
            return Err(OpenError::Closed);
        }
        if registry.logs.contains_key(name) {
            return Err(OpenError::AlreadyOpen { name: name.to_owned() });
        }
        Ok(registry.summaries.remove(name))
    }

    fn find(
        &self,
        place: &Place,
        topic_id: TopicId,
        options: &LogOptions,
        summary: Option<LogSummary>,
    ) -> Result<Recovered, OpenError> {
        let now_ms = self.core.clock.now_ms();
        let known = summary.filter(|summary| summary.is_of(topic_id));
        if let Some(recovered) = known.and_then(|summary| summary.restore(&self.files)) {
            return Ok(recovered);
        }
        recover::recover(place, &recover::Input { topic_id, options, now_ms })
    }

    fn sweep_leftovers(&self) -> Result<(), DiskError> {
        for entry in self.files.disk().list(&self.dir).at("list", &self.dir)? {
            if entry.is_dir && entry.name.ends_with(DELETED) {
                let folder = Rubbish::Folder(self.dir.join(entry.name));
                self.core.sweeper.remove(folder, Duration::ZERO);
            }
        }
        Ok(())
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().expect("no code panics while it holds the registry")
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // A panic may have left a lock broken: then the threads are left to the end of the process.
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

impl LogInner {
    /// Refuses everything from now on.
    fn refuse(&self) {
        self.lock().closed = true;
        self.gathered.notify_one();
    }

    /// Refuses everything from now on, and waits for a compaction pass to see it. Returns what
    /// waits for a commit that will not come.
    fn close(&self) -> Pending {
        self.refuse();
        let _pass = self.hold_compaction();
        let _layout = self.hold_layout();
        std::mem::take(&mut self.lock_between_syncs().pending)
    }

    /// Syncs and trims, and says what the next start has to know; `None` for a log that has to
    /// be recovered.
    fn summarize(self: &Arc<Self>) -> Option<LogSummary> {
        if let Err(error) = self.sync_everything().and_then(|()| self.trim()) {
            tracing::warn!(log = %self.name, %error, "left to be recovered at the next start");
            return None;
        }
        let mut state = self.lock();
        if state.roll_due {
            tracing::warn!(log = %self.name, "left to be recovered at the next start: a segment was not made whole");
            return None;
        }
        if let Err(error) = state.active.write_entries(&self.place) {
            tracing::warn!(log = %self.name, %error, "left to be recovered at the next start");
            return None;
        }
        Some(LogSummary::new(self.topic_id, &state))
    }
}

/// Whether a folder of this name was that of a log, and is no more.
fn is_out_of_use(name: &str) -> bool {
    [DELETED, STRAY].iter().any(|ending| name.ends_with(ending))
}

/// A name of its own, that ends so, for the folder of a log that goes out of use. Where it would be
/// too long the topic's name is cut, as in Kafka, and not the partition's number.
fn new_name(name: &str, ending: &str) -> String {
    let (topic, partition) = name.rsplit_once('-').unwrap_or((name, ""));
    let mut random = Random::new();
    let rest = format!("-{partition}.{:016x}{:016x}{ending}", random.bits(), random.bits());
    let room = topic.len().min(NAME_LEN_MAX.saturating_sub(rest.len()));
    format!("{}{rest}", &topic[..topic.floor_char_boundary(room)])
}

fn new_state(files: &FileCache, options: LogOptions, recovered: Recovered) -> State {
    let mut state = State {
        options,
        sealed: Vec::new(),
        active: Segment::empty(files, 0, 0),
        start: 0,
        stable: None,
        high_watermark: 0,
        epochs: crate::epochs::Epochs::default(),
        fault: None,
        closed: false,
        removed: false,
        pending: std::collections::VecDeque::new(),
        generation: 0,
        roll_due: false,
        jitter_ms: 0,
        append_time_ms: 0,
        has_folder: false,
        unsynced: Unsynced::default(),
        company: Company::default(),
        durable: DurablePoint::default(),
        sidecar: Sidecar::default(),
        first_dirty: None,
        aborted: AbortedFiles::default(),
        setback: None,
    };
    recovered.install(&mut state);
    state
}
