//! Compaction that does not come to its end: passes that are told to stop, logs that are closed under
//! them, and what fails.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::Arc;

use klamm_protocol::records::Compression;

use super::compaction::*;
use super::support::*;
use crate::disk::{Disk, Fault, FaultyDisk, MemoryDisk, OpenMode};
use crate::{CompactError, Log, LogOptions, Pace};

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
        let pace = |_| if left.replace(left.get() - 1) > 0 { Pace::Go } else { Pace::Stop };
        let done = world.log.compact(&options(), 0, &HashMap::new(), &pace);
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
    let pace = |_| {
        if has_files_aside(&disk, &world.log) {
            writes.send(()).unwrap();
            while !world.log.0.lock().closed {
                std::thread::yield_now();
            }
        }
        Pace::Go
    };
    let log = &world.log;
    std::thread::scope(|scope| {
        let pass = scope.spawn(move || log.compact(&options(), 0, &HashMap::new(), &pace));
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

#[test]
fn a_pass_waits_as_often_as_it_is_told_to_and_says_how_much_it_moves() {
    let disk = MemoryDisk::new();
    let world = updates(&disk, log_options());
    let (asked, moved) = (Cell::new(0), Cell::new(0));
    let pace = |bytes| {
        moved.set(moved.get() + bytes);
        asked.set(asked.get() + 1);
        if asked.get() % 3 == 0 { Pace::Go } else { Pace::Wait }
    };
    let done = world.log.compact(&options(), 0, &HashMap::new(), &pace).unwrap();
    assert_eq!(moved.get(), 2 * done.bytes_before + done.bytes_after);
    let (found, _) = records(&world.log);
    assert_eq!(found.last().unwrap().offset, 79);
}

#[test]
fn a_log_with_a_segment_that_cannot_be_read_is_left_alone_until_its_segments_change() {
    let disk = MemoryDisk::new();
    let world = updates(&disk, log_options());
    let second = world.log.segments()[1].base_offset;
    let third = world.log.segments()[2].base_offset;
    let path = world.log.dir().join(format!("{second:020}.log"));
    let file = disk.open(&path, OpenMode::Existing).unwrap();
    file.write_all_at(&[b"rot"], 70).unwrap();
    let due = |now_ms| world.log.should_compact(&options(), now_ms);
    assert!(due(0));
    let failed = world.log.compact(&options(), 0, &HashMap::new(), &always);
    assert!(matches!(failed, Err(CompactError::Corrupt(_))), "{failed:?}");
    assert!(!due(0) && !due(i64::MAX));
    commit(&world.log, keyed(&[(1, None)], Compression::None));
    assert!(!due(i64::MAX), "an append changes nothing about it");
    world.log.delete_records(third).unwrap();
    assert!(due(0));
    compact(&world);
    assert!(!due(0));
}

#[test]
fn after_a_disk_error_the_next_pass_waits_ever_longer() {
    let memory = MemoryDisk::new();
    updates(&memory, log_options()).storage.close().unwrap();
    let disk = FaultyDisk::new(Arc::new(memory));
    let world = try_open(Arc::new(disk.clone()), log_options()).unwrap();
    let due = |now_ms| world.log.should_compact(&options(), now_ms);
    for (failed_ms, again_ms) in [(0, 30_000), (30_000, 90_000)] {
        assert!(due(failed_ms));
        let first = disk.calls() + 1;
        disk.fail(Some(Fault { first, count: u64::MAX, kind: ErrorKind::Other }));
        let failed = world.log.compact(&options(), failed_ms, &HashMap::new(), &always);
        disk.fail(None);
        assert!(matches!(failed, Err(CompactError::Disk(_))), "{failed:?}");
        assert!(!due(failed_ms) && !due(again_ms - 1) && due(again_ms));
    }
    compact(&world);
    assert_eq!(world.log.0.lock().setback, None);
}
