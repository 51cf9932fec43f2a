//! Zeros behind the end: where they are, and that they are never taken for records or their loss.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::support::*;
use crate::disk::{Disk, DiskFile, Fault, FaultyDisk, MemoryDisk, OpenMode};
use crate::{Append, Bound, Durability, LogOptions, Outcome};

fn segment(disk: &MemoryDisk, base: i64) -> Arc<dyn DiskFile> {
    let path = Path::new(DIR).join(format!("t-0/{base:020}.log"));
    disk.open(&path, OpenMode::Existing).unwrap()
}

fn len(disk: &MemoryDisk, base: i64) -> u64 {
    segment(disk, base).len().unwrap()
}

fn lengthen(disk: &MemoryDisk, by: u64) {
    let file = segment(disk, 0);
    file.set_len(file.len().unwrap() + by).unwrap();
}

fn large(durability: Durability) -> LogOptions {
    LogOptions { segment_bytes: 1 << 20, ..with(durability) }
}

#[test]
fn few_small_syncs_make_the_file_longer() {
    let disk = MemoryDisk::new();
    let world = open(&disk, large(Durability::Synced));
    let (mut lengths, mut last) = (0, 0);
    for tag in 0..200 {
        commit(&world.log, batch(&[1], tag, 4000));
        let now = len(&disk, 0);
        let size = world.log.size_bytes();
        assert!((size..=size + (260 << 10)).contains(&now), "{now} for {size}");
        lengths += usize::from(now != last);
        last = now;
    }
    // It doubles up to 256 KiB, and grows by as much from then on.
    assert!(lengths < 14, "{lengths}");
}

#[test]
fn no_zeros_follow_where_they_would_not_help() {
    let disk = MemoryDisk::new();
    let world = open(&disk, large(Durability::Synced));
    commit(&world.log, batch(&[1], 1, 40_000));
    assert_eq!(len(&disk, 0), world.log.size_bytes(), "much was synced");
    world.log.set_options(large(Durability::OsCached));
    commit(&world.log, plain(1, 2));
    assert_eq!(len(&disk, 0), world.log.size_bytes(), "nothing is synced");
}

#[test]
fn a_roll_and_a_stop_leave_none() {
    let disk = MemoryDisk::new();
    let world = open(&disk, large(Durability::Synced));
    commit(&world.log, plain(1, 1));
    assert!(len(&disk, 0) > world.log.size_bytes());
    world.log.set_options(LogOptions { segment_bytes: 1000, ..large(Durability::Synced) });
    while world.log.segments().len() == 1 {
        drop(append(&world.log, plain(1, 2)));
    }
    assert_eq!(len(&disk, 0), world.log.segments()[0].size_bytes.into());
    commit(&world.log, plain(1, 3));
    let last = world.log.segments()[1];
    assert!(len(&disk, last.base_offset) > last.size_bytes.into());
    let before = contents(&world.log, Bound::End);
    world.storage.close().unwrap();
    assert_eq!(len(&disk, last.base_offset), last.size_bytes.into());
    assert_eq!(contents(&open(&disk, small()).log, Bound::End), before);
}

#[test]
fn a_full_segment_is_trimmed_though_nobody_knows_of_its_zeros() {
    let disk = MemoryDisk::new();
    let world = open(&disk, small());
    commit(&world.log, plain(1, 1));
    world.storage.close().unwrap();
    // The power failed before the trimming of a clean stop was durable.
    lengthen(&disk, 100);
    let world = open(&disk, small());
    assert!(world.report.clean);
    while world.log.segments().len() < 3 {
        commit(&world.log, plain(1, 2));
    }
    let size = u64::from(world.log.segments()[0].size_bytes);
    let before = contents(&world.log, Bound::End);
    for seed in 0..20 {
        let disk = disk.after_power_cut(seed);
        assert_eq!(len(&disk, 0), size);
        assert_eq!(contents(&open(&disk, small()).log, Bound::End), before);
    }
}

#[test]
fn zeros_behind_a_full_segment_do_not_tear_the_log() {
    let disk = MemoryDisk::new();
    let world = open(&disk, with(Durability::OsCached));
    while world.log.segments().len() < 2 {
        commit(&world.log, plain(1, 1));
    }
    let before = contents(&world.log, Bound::End);
    let disk = disk.after_kill();
    let durable = Path::new(DIR).join("t-0/durable.klamm");
    crate::disk::found(disk.remove_file(&durable)).unwrap();
    lengthen(&disk, 100);
    let world = open(&disk, with(Durability::OsCached));
    assert_eq!(contents(&world.log, Bound::End), before);
    assert!(world.report.cut.is_none() && world.report.damaged.is_empty());
    assert_eq!(len(&disk.after_power_cut(1), 0), world.log.segments()[0].size_bytes.into());
}

#[test]
fn a_disk_without_room_for_zeros_takes_records() {
    let disk = MemoryDisk::with_capacity(1 << 20);
    let world = open(&disk, large(Durability::Synced));
    commit(&world.log, plain(1, 1));
    let zeros_end = len(&disk, 0);
    let used = (1 << 20) - disk.space(Path::new(DIR)).unwrap().free;
    disk.set_capacity(used + 500);
    while world.log.size_bytes() <= zeros_end {
        commit(&world.log, plain(1, 1));
    }
    assert_eq!(len(&disk, 0), world.log.size_bytes());
    let before = contents(&world.log, Bound::End);
    assert_eq!(contents(&open(&disk.after_kill(), small()).log, Bound::End), before);
}

#[test]
fn zeros_that_did_not_all_fit_are_cut_off() {
    let mut committed = 0;
    for first in 1..8 {
        let memory = MemoryDisk::new();
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        let world = try_open(Arc::new(disk.clone()), large(Durability::Synced)).unwrap();
        commit(&world.log, batch(&[1], 1, 3_000));
        let first = disk.calls() + first;
        disk.fail(Some(Fault { first, count: 1, kind: ErrorKind::StorageFull }));
        // Its sync has to bring more, of which half is written where that is what fails.
        let outcome = world.log.enqueue(Append::new(0, vec![batch(&[2], 1, 3_000)])).map(wait);
        disk.fail(None);
        if matches!(outcome, Ok(Outcome::Committed)) {
            committed += 1;
            let (size, len) = (world.log.size_bytes(), len(&memory, 0));
            assert!(len == size || len.is_multiple_of(4096), "call {first}: {size} of {len}");
        }
    }
    assert!(committed > 0);
}

/// The deletion of a topic has to be written down before it makes room: a few bytes were refused
/// wherever what lay ready had just been used up.
#[test]
fn a_little_fits_on_a_disk_that_is_full() {
    let disk = MemoryDisk::new();
    let world = open(&disk, large(Durability::Synced));
    commit(&world.log, plain(1, 1));
    // Beyond what is written ahead at once, and where blocks are reserved.
    while world.log.size_bytes() < 600 << 10 {
        disk.set_capacity(0);
        for _ in 0..5 {
            commit(&world.log, plain(1, 2));
        }
        disk.set_capacity(u64::MAX);
        commit(&world.log, plain(1, 3));
    }
}

#[test]
fn a_segment_that_rolled_just_before_a_kill_is_trimmed_for_good() {
    for seed in 0..60 {
        let memory = MemoryDisk::new();
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        let world = try_open(Arc::new(disk.clone()), small()).unwrap();
        while world.log.size_bytes() < 1900 {
            commit(&world.log, plain(1, 1));
        }
        // Cuts nothing, but waits until the durable point is written.
        world.log.truncate(i64::MAX).unwrap();
        let held = disk.hold_syncs();
        while world.log.segments().len() < 2 {
            drop(append(&world.log, plain(1, 2)));
        }
        let killed = memory.after_kill();
        drop(held);
        let size = u64::from(world.log.segments()[0].size_bytes);
        let world = open(&killed, small());
        let before = contents(&world.log, Bound::End);
        // The kernel happens to write the durable point back.
        let durable = Path::new(DIR).join("t-0/durable.klamm");
        killed.open(&durable, OpenMode::Existing).unwrap().sync_data().unwrap();
        let world = open(&killed.after_power_cut(seed), small());
        assert!(world.report.damaged.is_empty() && world.report.cut.is_none(), "seed {seed}");
        assert_eq!(contents(&world.log, Bound::End), before, "seed {seed}");
        assert_eq!(world.log.segments()[0].size_bytes, size as u32, "seed {seed}");
    }
}
