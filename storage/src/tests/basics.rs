//! Appending, reading, and what comes back after a stop or a crash.

use super::support::*;
use crate::disk::MemoryDisk;
use crate::{Bound, Durability, Outcome, ReadError};

#[test]
fn what_is_appended_is_read_in_whole_batches() {
    let world = open(&MemoryDisk::new(), small());
    let expected: Vec<_> = (0..100u8)
        .map(|tag| {
            let base = commit(&world.log, plain(3, tag));
            (base, base + 2, tag)
        })
        .collect();
    assert_eq!(contents(&world.log, Bound::HighWatermark), expected);
    assert!(world.log.segments().len() > 3);
    let inside = world.log.read(151, 1, true, Bound::End).unwrap();
    assert_eq!((inside.base_offset, inside.next_offset), (150, 153));
    assert!(world.log.read(151, 1, false, Bound::End).unwrap().bytes.is_empty());
    assert!(world.log.read(300, 1, true, Bound::End).unwrap().bytes.is_empty());
    let beyond = world.log.read(301, 1, true, Bound::End);
    assert!(matches!(beyond, Err(ReadError::OffsetOutOfRange { start: 0, end: 300 })));
}

#[test]
fn a_log_that_was_never_written_costs_no_file() {
    let disk = MemoryDisk::new();
    let world = open(&disk, small());
    assert!(contents(&world.log, Bound::End).is_empty());
    assert!(world.storage.names_on_disk().unwrap().is_empty());
    world.storage.close().unwrap();
    let world = open(&disk, small());
    assert!(world.report.clean);
    assert!(world.storage.names_on_disk().unwrap().is_empty());
    commit(&world.log, plain(1, 1));
    assert_eq!(world.storage.names_on_disk().unwrap(), ["t-0"]);
}

#[test]
fn everything_comes_back_after_a_clean_stop_without_being_read() {
    for durability in [Durability::Synced, Durability::Interval, Durability::OsCached] {
        let disk = MemoryDisk::new();
        let world = open(&disk, with(durability));
        for tag in 0..50 {
            commit(&world.log, plain(2, tag));
        }
        let (before, segments) = (contents(&world.log, Bound::End), world.log.segments());
        world.storage.close().unwrap();
        assert!(matches!(world.log.read(0, 1, true, Bound::End), Err(ReadError::Closed)));
        let world = open(&disk.after_power_cut(3), with(durability));
        assert!(world.report.clean && world.storage.was_clean());
        assert_eq!(world.log.segments(), segments);
        assert_eq!(contents(&world.log, Bound::HighWatermark), before);
        commit(&world.log, plain(1, 99));
    }
}

#[test]
fn everything_comes_back_after_a_kill() {
    for durability in [Durability::Synced, Durability::Interval, Durability::OsCached] {
        let disk = MemoryDisk::new();
        let world = open(&disk, with(durability));
        for tag in 0..50 {
            commit(&world.log, plain(2, tag));
        }
        let before = contents(&world.log, Bound::End);
        let world = open(&disk.after_kill(), with(durability));
        assert!(!world.report.clean);
        assert_eq!((world.report.cut.clone(), world.report.damaged.len()), (None, 0));
        assert_eq!(contents(&world.log, Bound::HighWatermark), before);
        assert_eq!(commit(&world.log, plain(1, 99)), 100);
    }
}

#[test]
fn consumers_of_a_synced_log_see_synced_records_only() {
    let world = open(&MemoryDisk::new(), small());
    let tickets: Vec<_> = (0..20).map(|tag| append(&world.log, plain(1, tag))).collect();
    for ticket in tickets {
        let last = ticket.last_offset();
        assert_eq!(wait(ticket), Outcome::Committed);
        assert!(world.log.offsets().high_watermark.0 > last);
    }
    assert_eq!(contents(&world.log, Bound::HighWatermark).len(), 20);
}
