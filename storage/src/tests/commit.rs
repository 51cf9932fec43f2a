//! Tickets and group commit, without a sleep: a disk whose syncs wait for the test.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use klamm_utils::clock::ManualClock;

use super::support::*;
use crate::disk::{Disk, DiskFile, DiskLock, Entry, Mapping, MemoryDisk, OpenMode, Space};
use crate::{
    Append, AppendError, Bound, Durability, Log, Outcome, Storage, StorageOptions, Ticket,
};

/// A memory disk whose segment syncs stop at a gate.
#[derive(Clone, Debug)]
struct GatedDisk {
    inner: MemoryDisk,
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    closed: bool,
    waiting: usize,
    passed: usize,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |state| state.closed).unwrap();
        state.waiting -= 1;
        state.passed += 1;
    }

    fn close(&self) {
        self.state.lock().unwrap().closed = true;
    }

    fn open(&self) {
        self.state.lock().unwrap().closed = false;
        self.changed.notify_all();
    }

    fn wait_for_sync(&self) {
        self.wait_for_syncs(1);
    }

    fn wait_for_syncs(&self, count: usize) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| state.waiting < count).unwrap());
    }

    fn passed(&self) -> usize {
        self.state.lock().unwrap().passed
    }
}

#[derive(Debug)]
struct GatedFile(Arc<dyn DiskFile>, Arc<Gate>);

impl DiskFile for GatedFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_at(buffer, position)
    }
    fn write_all_at(&self, parts: &[&[u8]], position: u64) -> io::Result<()> {
        self.0.write_all_at(parts, position)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.1.pass();
        self.0.sync_data()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn reserve(&self, position: u64, len: u64) -> io::Result<()> {
        self.0.reserve(position, len)
    }
    fn modified_ms(&self) -> io::Result<i64> {
        self.0.modified_ms()
    }
    fn map(&self, len: usize) -> io::Result<Option<Mapping>> {
        self.0.map(len)
    }
}

impl Disk for GatedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.inner.open(path, mode)?;
        let is_segment = path.extension().is_some_and(|extension| extension == "log");
        if is_segment { Ok(Arc::new(GatedFile(file, self.gate.clone()))) } else { Ok(file) }
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.inner.list(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }
    fn space(&self, path: &Path) -> io::Result<Space> {
        self.inner.space(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        self.inner.lock(path)
    }
}

fn gated(durability: Durability) -> (World, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let disk = GatedDisk { inner: MemoryDisk::new(), gate: gate.clone() };
    (
        try_open(Arc::new(disk), crate::LogOptions { segment_bytes: 1 << 20, ..with(durability) })
            .unwrap(),
        gate,
    )
}

#[test]
fn appends_gather_while_a_sync_runs_and_share_the_next_one() {
    let (world, gate) = gated(Durability::Synced);
    gate.close();
    let first = append(&world.log, plain(1, 0));
    gate.wait_for_sync();
    let later: Vec<_> = (1..50).map(|tag| append(&world.log, plain(1, tag))).collect();
    assert_eq!((later[48].base_offset(), later[48].outcome()), (49, None));
    assert_eq!(world.log.offsets().high_watermark.0, 0);
    assert_eq!(world.log.offsets().end.0, 50);
    assert!(contents(&world.log, Bound::HighWatermark).is_empty());
    assert_eq!(contents(&world.log, Bound::End).len(), 50);
    gate.open();
    assert_eq!(wait(first), Outcome::Committed);
    for ticket in later {
        assert_eq!(wait(ticket), Outcome::Committed);
    }
    assert_eq!(world.log.offsets().high_watermark.0, 50);
    assert_eq!(gate.passed(), 2, "fifty appends, two syncs");
}

/// A log whose first sync has taken an hour and committed one append, while another waited.
struct AfterLongSync {
    storage: Storage,
    log: Log,
    listener: Arc<Heard>,
    gate: Arc<Gate>,
    waiting: Ticket,
}

/// The next sync may wait for a minute, and does when this returns.
fn in_company() -> AfterLongSync {
    let after = after_a_long_sync(Duration::from_secs(60));
    while !after.log.0.lock().company.is_awaited() {
        std::thread::yield_now();
    }
    after
}

fn after_a_long_sync(gather_max: Duration) -> AfterLongSync {
    let gate = Arc::new(Gate::default());
    let disk = GatedDisk { inner: MemoryDisk::new(), gate: gate.clone() };
    let options = StorageOptions { gather_max, ..StorageOptions::default() };
    let clock = Arc::new(ManualClock::at(1_000_000));
    let storage = Storage::open(Arc::new(disk), Path::new(DIR), &options, clock.clone()).unwrap();
    let listener = Arc::new(Heard::default());
    let opened = storage.open_log("t-0", TOPIC, with(Durability::Synced), listener.clone());
    let log = opened.unwrap().0;
    gate.close();
    let committed = append(&log, plain(1, 0));
    gate.wait_for_sync();
    let waiting = append(&log, plain(1, 1));
    clock.advance(Duration::from_secs(3600));
    gate.open();
    assert_eq!(wait(committed), Outcome::Committed);
    AfterLongSync { storage, log, listener, gate, waiting }
}

#[test]
fn a_sync_waits_for_who_was_just_answered_and_covers_both() {
    let AfterLongSync { storage, log, gate, waiting, .. } = in_company();
    assert_eq!(waiting.outcome(), None);
    let again = append(&log, plain(1, 2));
    assert_eq!([wait(waiting), wait(again)], [Outcome::Committed; 2]);
    assert_eq!(gate.passed(), 2, "three appends, two syncs");
    storage.close().unwrap();
}

#[test]
fn a_sync_does_not_wait_for_ever_for_who_does_not_come_again() {
    let AfterLongSync { storage, gate, waiting, .. } = after_a_long_sync(Duration::from_millis(1));
    assert_eq!(wait(waiting), Outcome::Committed);
    assert_eq!(gate.passed(), 2);
    storage.close().unwrap();
}

#[test]
fn a_stop_does_not_wait_for_company() {
    let AfterLongSync { storage, waiting, .. } = in_company();
    storage.close().unwrap();
    assert_eq!(waiting.outcome(), Some(Outcome::Committed));
}

#[test]
fn a_log_that_goes_while_its_sync_waits_is_not_synced_any_more() {
    let AfterLongSync { storage, listener, gate, waiting, .. } = in_company();
    storage.remove_log("t-0").unwrap();
    assert_eq!(waiting.outcome(), Some(Outcome::Void));
    storage.close().unwrap();
    assert_eq!(gate.passed(), 1, "of the sync before");
    assert_eq!(listener.failures.load(Ordering::SeqCst), 0);
}

#[test]
fn as_many_syncs_run_at_once_as_logs_wait_for_one_up_to_a_bound() {
    let gate = Arc::new(Gate::default());
    let disk = GatedDisk { inner: MemoryDisk::new(), gate: gate.clone() };
    let options = StorageOptions { committers_max: 30, ..StorageOptions::default() };
    let clock = Arc::new(ManualClock::at(1_000_000));
    let storage = Storage::open(Arc::new(disk), Path::new(DIR), &options, clock).unwrap();
    let open = |number| {
        let (name, listener) = (format!("t-{number}"), Arc::new(Heard::default()));
        storage.open_log(&name, TOPIC, with(Durability::Synced), listener).unwrap().0
    };
    let logs: Vec<_> = (0..40).map(open).collect();
    for round in 1..=2 {
        gate.close();
        let tickets: Vec<_> = logs.iter().map(|log| append(log, plain(1, round))).collect();
        gate.wait_for_syncs(30);
        assert!(tickets.iter().all(|ticket| ticket.outcome().is_none()));
        gate.open();
        for ticket in tickets {
            assert_eq!(wait(ticket), Outcome::Committed);
        }
        assert_eq!(gate.passed(), 40 * usize::from(round));
    }
    storage.close().unwrap();
}

#[test]
fn a_thread_that_ends_leaves_the_deadlines_to_another() {
    let gate = Arc::new(Gate::default());
    let disk = GatedDisk { inner: MemoryDisk::new(), gate: gate.clone() };
    let committer_idle_max = Duration::from_millis(1);
    let options = StorageOptions { committer_idle_max, ..StorageOptions::default() };
    let clock = Arc::new(ManualClock::at(1_000_000));
    let storage = Storage::open(Arc::new(disk), Path::new(DIR), &options, clock.clone()).unwrap();
    let listener = Arc::new(Heard::default());
    let log = storage.open_log("t-0", TOPIC, with(Durability::Synced), listener).unwrap().0;
    let committer = &log.0.core.committer;
    let until = |threads| {
        while committer.threads() != threads {
            std::thread::yield_now();
        }
    };
    commit(&log, plain(1, 0));
    until((2, 2));
    let window = Duration::from_millis(50);
    log.set_options(crate::LogOptions { window, ..with(Durability::Interval) });
    drop(append(&log, plain(1, 1)));
    clock.advance(Duration::from_millis(10));
    until((1, 1));
    clock.advance(window);
    while gate.passed() < 2 {
        std::thread::yield_now();
    }
    storage.close().unwrap();
}

#[test]
fn a_shorter_window_holds_from_the_next_append_on() {
    let (world, gate) = gated(Durability::Interval);
    let shorter = |window| crate::LogOptions { window, ..world.log.options() };
    world.log.set_options(shorter(Duration::from_secs(3600)));
    drop(append(&world.log, plain(1, 0)));
    world.log.set_options(shorter(Duration::ZERO));
    drop(append(&world.log, plain(1, 1)));
    while gate.passed() < 1 {
        std::thread::yield_now();
    }
}

#[test]
fn written_is_committed_where_nobody_asked_for_syncs() {
    for durability in [Durability::Interval, Durability::OsCached] {
        let (world, gate) = gated(durability);
        let ticket = append(&world.log, plain(2, 1));
        assert_eq!(ticket.outcome(), Some(Outcome::Committed));
        assert_eq!(world.log.offsets().high_watermark.0, 2);
        assert_eq!(gate.passed(), 0);
    }
}

#[test]
fn a_weaker_durability_commits_what_waits() {
    let (world, gate) = gated(Durability::Synced);
    gate.close();
    let ticket = append(&world.log, plain(1, 0));
    gate.wait_for_sync();
    assert_eq!(ticket.outcome(), None);
    let options = crate::LogOptions { durability: Durability::OsCached, ..world.log.options() };
    world.log.set_options(options);
    assert_eq!(ticket.outcome(), Some(Outcome::Committed));
    gate.open();
}

#[test]
fn what_is_removed_before_its_commit_is_void() {
    let (world, gate) = gated(Durability::Synced);
    gate.close();
    let running = append(&world.log, plain(1, 0));
    gate.wait_for_sync();
    let waiting = append(&world.log, plain(1, 1));
    let storage = world.storage;
    std::thread::scope(|scope| {
        scope.spawn(|| storage.remove_log("t-0").unwrap());
        gate.open();
    });
    assert!(matches!(wait(running), Outcome::Committed | Outcome::Void));
    assert!(matches!(wait(waiting), Outcome::Committed | Outcome::Void));
    let refused = world.log.enqueue(Append::new(0, vec![plain(1, 2)]));
    assert!(matches!(refused, Err(AppendError::Closed)));
    assert!(storage.names_on_disk().unwrap().is_empty());
}

#[test]
fn the_log_gives_its_own_time_which_never_goes_back() {
    let (world, _) = gated(Durability::Synced);
    let append = || Append::new(0, vec![batch(&[5, 6], 1, 3)]).with_log_append_time();
    let first = world.log.enqueue(append()).unwrap();
    assert_eq!(first.append_time_ms(), Some(1_000_000));
    world.clock.jump_to(10);
    let second = world.log.enqueue(append()).unwrap();
    assert_eq!(second.append_time_ms(), Some(1_000_000));
    assert_eq!(append_and_read(&world, second), [1_000_000, 1_000_000]);
}

fn append_and_read(world: &World, ticket: crate::Ticket) -> Vec<i64> {
    let base = ticket.base_offset();
    wait(ticket);
    let mut slice = world.log.read(base, 1000, true, Bound::End).unwrap();
    let batch = klamm_protocol::records::Batch::split_first(&mut slice.bytes).unwrap().unwrap();
    batch.verify_crc().unwrap();
    batch.records(1000).unwrap().map(|record| record.unwrap().timestamp).collect()
}

#[test]
fn several_batches_are_one_append() {
    let (world, _) = gated(Durability::Synced);
    let append = Append::new(0, vec![plain(2, 1), plain(3, 2), plain(1, 3)]);
    let ticket = world.log.enqueue(append).unwrap();
    assert_eq!((ticket.base_offset(), ticket.last_offset()), (0, 5));
    wait(ticket);
    assert_eq!(contents(&world.log, Bound::End), [(0, 1, 1), (2, 4, 2), (5, 5, 3)]);
    assert!(matches!(world.log.enqueue(Append::new(0, vec![])), Err(AppendError::Empty)));
}
