//! Rolling, retention and the start of a log.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use klamm_utils::clock::ManualClock;

use super::support::*;
use crate::disk::{Disk as _, MemoryDisk, RealDisk};
use crate::{Append, Bound, ChangeError, LogOptions, ReadError, Storage, StorageOptions};

/// Five batches per segment, of 100-odd bytes each, with rising timestamps.
fn world(options: LogOptions) -> World {
    let world = open(&MemoryDisk::new(), LogOptions { segment_bytes: 600, ..options });
    for tag in 0..20u8 {
        commit(&world.log, batch(&[1000 * i64::from(tag)], tag, 40));
    }
    world
}

fn bases(world: &World) -> Vec<i64> {
    world.log.segments().iter().map(|segment| segment.base_offset).collect()
}

/// The broker's default may be more than a topic's age: every append began a segment.
#[test]
fn no_more_is_taken_off_the_age_of_a_segment_than_it_is() {
    let options = LogOptions { segment_ms: 60_000, segment_jitter_ms: 86_400_000, ..small() };
    let jitters = (0..1_000).map(|base| crate::log::jitter(&options, base));
    assert!(jitters.max().is_some_and(|max| (30_000..60_000).contains(&max)));
}

#[test]
fn segments_roll_by_size() {
    let world = world(small());
    let sizes: Vec<u32> = world.log.segments().iter().map(|segment| segment.size_bytes).collect();
    assert_eq!(bases(&world), [0, 5, 10, 15]);
    assert!(sizes.iter().all(|size| *size == sizes[0]) && sizes[0] <= 600);
    assert_eq!(world.log.size_bytes(), u64::from(sizes[0]) * 4);
}

#[test]
fn segments_roll_by_the_time_between_their_first_batch_and_the_append() {
    let world = open(&MemoryDisk::new(), LogOptions { segment_ms: 5000, ..small() });
    for second in 0..12 {
        commit(&world.log, batch(&[1000 * second], 1, 10));
    }
    assert_eq!(bases(&world), [0, 6]);
    world.clock.advance(Duration::from_secs(60));
    commit(&world.log, batch(&[11_000], 1, 10));
    assert_eq!(bases(&world), [0, 6], "the clock does not count where records have timestamps");
}

#[test]
fn a_segment_that_rolls_gives_back_what_was_reserved_behind_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(1_000_000));
    let disk = Arc::new(RealDisk);
    let storage = Storage::open(disk, dir.path(), &StorageOptions::default(), clock).unwrap();
    let options = LogOptions { segment_ms: 5000, segment_bytes: 1 << 20, ..small() };
    let (log, _) = storage.open_log("t-0", TOPIC, options, Arc::new(crate::NoListener)).unwrap();
    // Each is on the disk before the next one comes, so that the roll finds nothing to sync.
    for _ in 0..70 {
        commit(&log, batch(&[1000], 1, 1000));
    }
    commit(&log, batch(&[7000], 1, 1000));
    let file = std::fs::metadata(dir.path().join("t-0/00000000000000000000.log")).unwrap();
    assert_eq!(file.len(), u64::from(log.segments()[0].size_bytes));
    let allocated = file.blocks() * 512;
    assert!(allocated < file.len() + (16 << 10), "{allocated} for {}", file.len());
}

#[test]
fn segments_without_timestamps_roll_by_the_clock() {
    let world = open(&MemoryDisk::new(), LogOptions { segment_ms: 5000, ..small() });
    commit(&world.log, batch(&[-1], 1, 10));
    world.clock.advance(Duration::from_millis(5000));
    commit(&world.log, batch(&[-1], 1, 10));
    assert_eq!(bases(&world), [0]);
    world.clock.advance(Duration::from_millis(1));
    commit(&world.log, batch(&[-1], 1, 10));
    assert_eq!(bases(&world), [0, 2]);
}

#[test]
fn old_segments_go_whole_and_the_active_one_rolls_first() {
    let world = world(LogOptions { retention_ms: Some(10_000), ..small() });
    assert_eq!(world.log.apply_retention(19_000).unwrap(), 1);
    assert_eq!(bases(&world), [5, 10, 15]);
    assert_eq!(world.log.offsets().start.0, 5);
    assert_eq!(world.log.apply_retention(29_000).unwrap(), 2);
    assert_eq!(world.log.apply_retention(29_001).unwrap(), 1);
    assert_eq!(bases(&world), [20]);
    assert_eq!((world.log.offsets().start.0, world.log.offsets().end.0), (20, 20));
    assert_eq!(world.log.apply_retention(i64::MAX).unwrap(), 0);
    assert_eq!(commit(&world.log, plain(1, 9)), 20);
}

#[test]
fn a_clean_stop_leaves_no_deleted_segment_on_the_disk() {
    let disk = MemoryDisk::new();
    let file_delete_delay = Duration::from_secs(60);
    let options =
        LogOptions { segment_bytes: 600, retention_ms: Some(0), file_delete_delay, ..small() };
    let world = open(&disk, options);
    for tag in 0..20u8 {
        commit(&world.log, batch(&[1000 * i64::from(tag)], tag, 40));
    }
    assert!(world.log.apply_retention(i64::MAX).unwrap() > 2);
    let deleted = || {
        let entries = disk.list(&Path::new(DIR).join("t-0")).unwrap();
        entries.iter().filter(|entry| entry.name.ends_with(".deleted")).count()
    };
    assert!(deleted() > 2);
    world.storage.close().unwrap();
    assert_eq!(deleted(), 0);
}

#[test]
fn the_oldest_segments_go_while_the_others_are_large_enough() {
    let world = world(small());
    let segment = u64::from(world.log.segments()[0].size_bytes);
    let keep = |bytes| LogOptions { retention_bytes: Some(bytes), ..world.log.options() };
    world.log.set_options(keep(3 * segment + 1));
    assert_eq!(world.log.apply_retention(0).unwrap(), 0);
    world.log.set_options(keep(3 * segment));
    assert_eq!(world.log.apply_retention(0).unwrap(), 1);
    assert_eq!(bases(&world), [5, 10, 15]);
}

#[test]
fn deleted_records_stay_deleted() {
    let disk = MemoryDisk::new();
    let world = open(&disk, LogOptions { segment_bytes: 600, ..small() });
    for tag in 0..20 {
        commit(&world.log, plain(1, tag));
    }
    assert_eq!(world.log.delete_records(7).unwrap().0, 7);
    assert_eq!(world.log.delete_records(3).unwrap().0, 7);
    let beyond = world.log.delete_records(21);
    assert!(matches!(beyond, Err(ChangeError::OffsetOutOfRange { start: 7, end: 20 })));
    assert_eq!(bases(&world), [5, 10, 15]);
    let below = world.log.read(6, 100, true, Bound::End);
    assert!(matches!(below, Err(ReadError::OffsetOutOfRange { start: 7, .. })));
    let inside = world.log.read(7, 100, true, Bound::End).unwrap();
    assert_eq!(inside.base_offset, 7);
    for restarted in [disk.after_power_cut(1), disk.after_kill()] {
        let world = open(&restarted, small());
        assert_eq!(world.log.offsets().start.0, 7);
        assert_eq!(contents(&world.log, Bound::End).len(), 13);
    }
}

/// Where a topic has filled the disk, this is how one makes room.
#[test]
fn records_are_deleted_on_a_disk_that_is_full() {
    let disk = MemoryDisk::with_capacity(1 << 20);
    let options = LogOptions { file_delete_delay: Duration::from_secs(60), ..small() };
    let world = open(&disk, LogOptions { segment_bytes: 600, ..options });
    for tag in 0..20 {
        commit(&world.log, plain(1, tag));
    }
    disk.set_capacity((1 << 20) - disk.space(Path::new(DIR)).unwrap().free);
    assert!(matches!(world.log.delete_records(4), Err(ChangeError::Disk(_))), "nothing to free");
    assert_eq!(world.log.offsets().start.0, 0);
    assert_eq!(world.log.delete_records(7).unwrap().0, 7);
    assert_eq!(bases(&world), [5, 10, 15]);
    for restarted in [disk.after_power_cut(1), disk.after_kill()] {
        let world = open(&restarted, small());
        assert_eq!(world.log.offsets().start.0, 7);
        assert_eq!(contents(&world.log, Bound::End).len(), 13);
    }
}

#[test]
fn epochs_fence_and_end() {
    let disk = MemoryDisk::new();
    let world = open(&disk, small());
    for (epoch, tag) in [(0, 0), (0, 1), (3, 2), (5, 3)] {
        let ticket = world.log.enqueue(Append::new(epoch, vec![plain(2, tag)])).unwrap();
        wait(ticket);
    }
    let stale = world.log.enqueue(Append::new(4, vec![plain(1, 9)]));
    assert!(matches!(stale, Err(crate::AppendError::Fenced { epoch: 4, current: 5 })));
    for world in [open(&disk.after_power_cut(9), small()), world] {
        assert_eq!(world.log.epochs(), [(0, 0), (3, 4), (5, 6)]);
        let end = |epoch| world.log.end_offset_for_epoch(epoch).map(|(e, end)| (e, end.0));
        assert_eq!(
            (end(0), end(4), end(5), end(6)),
            (Some((0, 4)), Some((3, 6)), Some((5, 8)), None)
        );
    }
}

#[test]
fn a_segment_deleted_before_its_last_sync_is_not_missed() {
    let options =
        crate::LogOptions { retention_bytes: Some(0), ..with(crate::Durability::OsCached) };
    let world = open(&MemoryDisk::new(), options);
    for tag in 0..200 {
        commit(&world.log, plain(2, tag));
        world.log.apply_retention(0).unwrap();
    }
    assert!(world.log.fault().is_none());
    world.storage.close().unwrap();
}

#[test]
fn the_listener_hears_of_each_commit() {
    let world = open(&MemoryDisk::new(), small());
    commit(&world.log, plain(3, 1));
    world.storage.close().unwrap();
    let heard = world.listener.high_watermark.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(heard, 3);
}
