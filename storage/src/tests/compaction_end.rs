//! Compaction that does not come to its end: passes that are told to stop, and logs that are closed
//! under them.

use std::cell::Cell;
use std::collections::HashMap;

use super::compaction::*;
use super::support::*;
use crate::disk::{Disk, MemoryDisk};
use crate::{CompactError, Log, LogOptions};

fn log_options() -> LogOptions {
    LogOptions { segment_bytes: 600, ..small() }
}

/// Whether a pass is writing, or has left behind what it wrote.
fn has_files_aside(disk: &dyn Disk, log: &Log) -> bool {
    let listed = disk.list(log.dir()).unwrap();
    listed.iter().any(|entry| entry.name.ends_with(".cleaned") || entry.name.ends_with(".swap"))
}

#[test]
fn a_pass_that_is_told_to_stop_ends_there_and_leaves_nothing_aside() {
    for batches in 0.. {
        let disk = MemoryDisk::new();
        let world = updates(&disk, log_options());
        let left = Cell::new(batches);
        let goes_on = || left.replace(left.get() - 1) > 0;
        let done = world.log.compact(&options(), 0, &HashMap::new(), &goes_on);
        assert!(!has_files_aside(&disk, &world.log), "stopped after {batches}");
        if done.is_ok() {
            assert!(batches > 40, "each batch is read twice, and asked about");
            return;
        }
        assert!(matches!(done, Err(CompactError::Stopped)), "{done:?}");
        assert_eq!(left.get(), -1, "nothing is asked or read after a no");
        compact(&world);
        let (found, _) = records(&world.log);
        assert_eq!(found.last().unwrap().offset, 79);
        is_sound(&disk);
    }
}

/// Ends a log while a pass over it writes; `end` returns once the pass is over.
fn check_end(end: impl FnOnce(&World)) {
    let disk = MemoryDisk::new();
    let world = updates(&disk, log_options());
    let (writes, written) = std::sync::mpsc::sync_channel(1);
    let goes_on = || {
        if has_files_aside(&disk, &world.log) {
            writes.send(()).unwrap();
            while !world.log.0.lock().closed {
                std::thread::yield_now();
            }
        }
        true
    };
    let log = &world.log;
    std::thread::scope(|scope| {
        let pass = scope.spawn(move || log.compact(&options(), 0, &HashMap::new(), &goes_on));
        written.recv().unwrap();
        end(&world);
        assert!(log.0.compacting.try_lock().is_ok(), "the pass outlives the log");
        let done = pass.join().unwrap();
        assert!(matches!(done, Err(CompactError::Closed)), "{done:?}");
    });
}

#[test]
fn closing_ends_the_pass_under_way_and_waits_for_it() {
    check_end(|world| {
        world.storage.close().unwrap();
        assert!(!has_files_aside(&**world.storage.disk(), &world.log));
    });
}

#[test]
fn removing_a_log_ends_the_pass_under_way_and_waits_for_it() {
    check_end(|world| world.storage.remove_log("t-0").unwrap());
}
