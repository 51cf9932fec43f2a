//! Aborted transactions: noted, found, forgotten, and kept through everything.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::AbortedTransaction;
use crate::disk::{Disk, Fault, FaultyDisk, MemoryDisk, OpenMode};

use super::support::*;

fn aborted(producer_id: i64, first_offset: i64, last_offset: i64) -> AbortedTransaction {
    let stable_offset = last_offset + 1;
    AbortedTransaction { producer_id, first_offset, last_offset, stable_offset }
}

/// A log with a batch at each offset, in several segments.
fn world(disk: &MemoryDisk) -> World {
    let world = open(disk, small());
    for tag in 0..40 {
        commit(&world.log, plain(1, tag));
    }
    assert!(world.log.segments().len() > 2);
    world
}

fn check(world: &World, offsets: std::ops::Range<i64>, producers: &[i64]) {
    let found = world.log.aborted(offsets.clone()).unwrap();
    let found: Vec<_> = found.iter().map(|aborted| aborted.producer_id).collect();
    assert_eq!(found, producers, "{offsets:?}");
}

#[test]
fn what_overlaps_a_range_is_found_by_first_offset() {
    let world = world(&MemoryDisk::new());
    check(&world, 0..40, &[]);
    // The second was open when the first ended, the fourth when the third did.
    let first = AbortedTransaction { stable_offset: 3, ..aborted(1, 5, 9) };
    let third = AbortedTransaction { stable_offset: 12, ..aborted(3, 20, 35) };
    for one in [first, aborted(2, 3, 11), third, aborted(4, 12, 38)] {
        world.log.add_aborted(&one).unwrap();
    }
    check(&world, 0..40, &[2, 1, 4, 3]);
    check(&world, 0..5, &[2]);
    check(&world, 10..12, &[2]);
    check(&world, 12..13, &[4]);
    check(&world, 36..40, &[4]);
    check(&world, 39..40, &[]);
}

#[test]
fn after_a_sync_that_failed_nothing_is_said_to_be_durable() {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let world = try_open(Arc::new(disk.clone()), small()).unwrap();
    commit(&world.log, plain(1, 0));
    world.log.add_aborted(&aborted(1, 0, 0)).unwrap();
    let first = disk.calls() + 1;
    disk.fail(Some(Fault { first, count: 1, kind: ErrorKind::Other }));
    for _ in 0..2 {
        assert!(world.log.sync_aborted().is_err());
    }
}

#[test]
fn it_is_there_after_a_clean_stop_and_after_a_crash() {
    for is_clean in [true, false] {
        let disk = MemoryDisk::new();
        let before = world(&disk);
        before.log.add_aborted(&aborted(1, 5, 9)).unwrap();
        before.log.add_aborted(&aborted(2, 20, 35)).unwrap();
        before.log.sync_aborted().unwrap();
        let disk = if is_clean {
            before.storage.close().unwrap();
            disk
        } else {
            disk.after_power_cut(1)
        };
        let world = open(&disk, small());
        check(&world, 0..40, &[1, 2]);
        world.log.forget_aborted(35).unwrap();
        check(&world, 0..40, &[1]);
        world.log.forget_aborted(0).unwrap();
        check(&world, 0..40, &[]);
    }
}

/// It asked for room for a new file: what was started on a full disk did not know its producers.
#[test]
fn a_full_disk_has_room_to_forget() {
    let disk = MemoryDisk::new();
    let before = world(&disk);
    for one in [aborted(1, 5, 9), aborted(2, 6, 10), aborted(3, 20, 35)] {
        before.log.add_aborted(&one).unwrap();
    }
    disk.set_capacity(0);
    before.log.forget_aborted(10).unwrap();
    check(&before, 0..40, &[1]);
    // For good.
    check(&open(&disk.after_power_cut(1), small()), 0..40, &[1]);
}

#[test]
fn entries_are_as_kafka_writes_them_and_half_ones_are_overwritten() {
    let disk = MemoryDisk::new();
    let world = world(&disk);
    let one = AbortedTransaction { stable_offset: 6, ..aborted(1, 2, 3) };
    world.log.add_aborted(&one).unwrap();
    let path = Path::new(DIR).join("t-0/00000000000000000000.txnindex");
    let file = Arc::new(disk).open(&path, OpenMode::Existing).unwrap();
    let mut bytes = [0; 100];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 34);
    let numbers = b"\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x06";
    assert_eq!(&bytes[..34], numbers);
    file.write_all_at(&[b"half"], 34).unwrap();
    check(&world, 0..40, &[1]);
    world.log.add_aborted(&aborted(2, 4, 5)).unwrap();
    assert_eq!(file.len().unwrap(), 68);
    check(&world, 0..40, &[1, 2]);
}
