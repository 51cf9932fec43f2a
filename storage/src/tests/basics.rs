//! Appending, reading, and what comes back after a stop or a crash.

use std::path::Path;
use std::sync::Arc;

use klamm_utils::clock::ManualClock;

use super::support::*;
use crate::disk::{Disk as _, Fault, FaultyDisk, MemoryDisk};
use crate::{Bound, Durability, NoListener, OpenError, Outcome, ReadError, Storage};

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
fn what_is_larger_than_a_segment_gets_one_of_its_own() {
    let disk = MemoryDisk::new();
    let world = open(&disk, small());
    for len in [40, 40, 5000, 40, 7000, 7000] {
        commit(&world.log, batch(&[1], 1, len));
    }
    let sizes: Vec<_> = world.log.segments().iter().map(|s| s.size_bytes / 1000).collect();
    assert_eq!(sizes, [0, 5, 0, 7, 7]);
    let before = contents(&world.log, Bound::End);
    let world = open(&disk.after_kill(), small());
    assert_eq!(contents(&world.log, Bound::End), before);
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

#[test]
fn opening_a_log_after_a_clean_stop_touches_no_disk() {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let open = || {
        let clock = Arc::new(ManualClock::at(0));
        Storage::open(Arc::new(disk.clone()), Path::new(DIR), &Default::default(), clock).unwrap()
    };
    let open_all = |storage: &Storage| {
        let open =
            |name: String| storage.open_log(&name, TOPIC, small(), Arc::new(NoListener)).unwrap();
        let name = |number: u32| format!("t-{number}");
        (0..200).map(|number| open(name(number)).0).collect::<Vec<_>>()
    };
    let storage = open();
    for log in open_all(&storage).iter().step_by(2) {
        commit(log, plain(2, 7));
    }
    storage.close().unwrap();
    let storage = open();
    let before = disk.calls();
    let logs = open_all(&storage);
    assert_eq!(disk.calls(), before);
    assert_eq!(contents(&logs[4], Bound::HighWatermark), [(0, 1, 7)]);
    assert!(contents(&logs[5], Bound::HighWatermark).is_empty());
    // Logs that nobody opened are known to the next clean stop, too.
    storage.close().unwrap();
    open().close().unwrap();
    let storage = open();
    let before = disk.calls();
    open_all(&storage);
    assert_eq!(disk.calls(), before);
}

#[test]
fn a_folder_has_one_user_and_a_log_one_opener() {
    let disk = MemoryDisk::new();
    let world = open(&disk, small());
    assert!(matches!(try_open(Arc::new(disk.clone()), small()), Err(OpenError::Locked { .. })));
    let again = |name: &str, topic| {
        world.storage.open_log(name, topic, small(), Arc::new(NoListener)).map(|_| ())
    };
    assert!(matches!(again("t-0", TOPIC), Err(OpenError::AlreadyOpen { .. })));
    for name in ["", ".", "..", "a/b", "x-delete", "x-stray", &"x".repeat(256)] {
        assert!(matches!(again(name, TOPIC), Err(OpenError::BadName { .. })), "{name}");
    }
    commit(&world.log, plain(1, 1));
    drop(world);
    let world = open(&disk, small());
    world.storage.remove_log("t-0").unwrap();
    assert!(world.storage.names_on_disk().unwrap().is_empty());
    world.storage.remove_log("t-0").unwrap();
    let other = crate::TopicId([8; 16]);
    let (log, _) = world.storage.open_log("t-0", other, small(), Arc::new(NoListener)).unwrap();
    commit(&log, plain(1, 2));
    drop(world);
    let opened = try_open(Arc::new(disk), small());
    assert!(matches!(opened, Err(OpenError::OtherTopic { found, .. }) if found == other));
}

/// A topic may have a name of 249 letters, and of what letters Kafka takes: the broker had one
/// that it could not open, and did not start any more.
#[test]
fn every_name_that_a_topic_may_have_is_one_for_a_log() {
    let disk = MemoryDisk::new();
    let world = open(&disk, small());
    let long = format!("{}-9999", "x".repeat(249));
    for name in [long.as_str(), ".hidden-0", "..-0", "a-delete-0", "--0"] {
        let open_log = || world.storage.open_log(name, TOPIC, small(), Arc::new(NoListener));
        let (log, _) = open_log().unwrap();
        commit(&log, plain(1, 1));
        world.storage.remove_log(name).unwrap();
        let (log, _) = open_log().unwrap();
        assert!(contents(&log, Bound::End).is_empty());
    }
}

fn open_more<'a>(storage: &Storage, names: &[&'a str]) -> Vec<&'a str> {
    // No thread has to do with them.
    let options = with(Durability::OsCached);
    for name in names {
        let (log, _) =
            storage.open_log(name, TOPIC, options.clone(), Arc::new(NoListener)).unwrap();
        commit(&log, plain(1, 1));
    }
    names.to_vec()
}

/// Each partition of a topic cost a sync when the topic was deleted.
#[test]
fn many_logs_are_removed_with_one_sync() {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let world = try_open(Arc::new(disk.clone()), with(Durability::OsCached)).unwrap();
    let names = open_more(&world.storage, &["a-0", "a-1", "a-2", "a-3"]);
    // Four folders are renamed, and the sync fails that follows.
    let (first, kind) = (disk.calls() + 4 + 1, std::io::ErrorKind::Other);
    disk.fail(Some(Fault { first, count: u64::MAX, kind }));
    world.storage.remove_logs(names).unwrap_err();
    disk.fail(None);
    assert_eq!(world.storage.names_on_disk().unwrap(), Vec::<String>::new());
}

#[test]
fn a_log_that_cannot_be_removed_does_not_keep_the_others() {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let world = try_open(Arc::new(disk.clone()), with(Durability::OsCached)).unwrap();
    let names = open_more(&world.storage, &["a-0", "a-1", "a-2"]);
    let (first, kind) = (disk.calls() + 2, std::io::ErrorKind::PermissionDenied);
    disk.fail(Some(Fault { first, count: 1, kind }));
    world.storage.remove_logs(names).unwrap_err();
    assert_eq!(world.storage.names_on_disk().unwrap(), ["a-1"]);
}

#[test]
fn a_log_that_was_let_go_is_opened_again() {
    let world = open(&MemoryDisk::new(), small());
    commit(&world.log, plain(1, 1));
    world.storage.release_log("t-0");
    assert!(matches!(world.log.read(0, 1, true, Bound::End), Err(ReadError::Closed)));
    let opened = world.storage.open_log("t-0", TOPIC, small(), Arc::new(NoListener));
    assert_eq!(contents(&opened.unwrap().0, Bound::End), [(0, 0, 1)]);
}

/// A folder that is not for us to read kept the broker from starting.
#[test]
fn what_the_disk_refuses_to_set_aside_stays() {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let world = try_open(Arc::new(disk.clone()), small()).unwrap();
    commit(&world.log, plain(1, 1));
    drop(world);
    let storage_options = crate::StorageOptions::default();
    let clock = Arc::new(ManualClock::at(1_000_000));
    let storage =
        Storage::open(Arc::new(disk.clone()), Path::new(DIR), &storage_options, clock).unwrap();
    // Whichever of its calls but the first fails, and all that follow.
    for call in 2.. {
        let (first, kind) = (disk.calls() + call, std::io::ErrorKind::PermissionDenied);
        disk.fail(Some(Fault { first, count: u64::MAX, kind }));
        let strays = storage.set_aside_strays().unwrap();
        disk.fail(None);
        if storage.names_on_disk().unwrap().is_empty() {
            break;
        }
        assert_eq!(strays, [], "{call}");
    }
}

#[test]
fn a_log_that_nobody_opens_is_set_aside() {
    let disk = MemoryDisk::new();
    let world = open(&disk, small());
    commit(&world.log, plain(1, 1));
    let open_log =
        |name| world.storage.open_log(name, TOPIC, small(), Arc::new(NoListener)).unwrap().0;
    commit(&open_log("t-1"), plain(1, 2));
    world.storage.close().unwrap();
    // Whoever has a disk of its own has this on it.
    disk.create_dir(&world.storage.dir().join("lost+found")).unwrap();

    let world = open(&disk, small());
    let strays = world.storage.set_aside_strays().unwrap();
    let [(name, place)] = &strays[..] else { panic!("{strays:?}") };
    assert_eq!(name, "t-1");
    let place = place.to_str().unwrap();
    assert!(place.contains("/t-1.") && place.ends_with("-stray"), "{place}");
    let mut left = world.storage.names_on_disk().unwrap();
    left.sort();
    assert_eq!(left, ["lost+found", "t-0"]);
    assert_eq!(world.storage.set_aside_strays().unwrap(), []);
    world.storage.close().unwrap();
    let world = open(&disk, small());
    assert_eq!(contents(&world.log, Bound::End), [(0, 0, 1)]);
}
