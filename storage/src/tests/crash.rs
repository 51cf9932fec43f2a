//! Files cut at every byte, power cuts at every moment, tails of zeros.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::support::*;
use crate::disk::{Disk, Fault, FaultyDisk, MemoryDisk, OpenMode, read_small};
use crate::{Bound, Durability, NoListener, OpenError, Outcome, TopicId, topic_id};

fn segment(base: i64) -> PathBuf {
    Path::new(DIR).join(format!("t-0/{base:020}.log"))
}

fn len(disk: &MemoryDisk, path: &Path) -> u64 {
    disk.open(path, OpenMode::Existing).unwrap().len().unwrap()
}

#[test]
fn a_file_cut_at_any_byte_of_its_last_batches_keeps_the_whole_ones() {
    let disk = MemoryDisk::new();
    let world = open(&disk, with(Durability::OsCached));
    let mut ends = vec![0];
    for tag in 0..6 {
        commit(&world.log, plain(2, tag));
        ends.push(world.log.size_bytes());
    }
    let before = contents(&world.log, Bound::End);
    for cut in 0..=ends[6] {
        let disk = disk.after_kill();
        disk.open(&segment(0), OpenMode::Existing).unwrap().set_len(cut).unwrap();
        let world = open(&disk, with(Durability::OsCached));
        let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
        assert_eq!(contents(&world.log, Bound::End), before[..whole], "cut at {cut}");
        assert_eq!(len(&disk, &segment(0)), ends[whole]);
        assert_eq!(world.report.cut.is_some(), ends[whole] != cut);
        assert_eq!(commit(&world.log, plain(1, 9)), 2 * whole as i64);
    }
}

#[test]
fn a_byte_changed_above_the_durable_point_cuts_the_tail_there() {
    let disk = MemoryDisk::new();
    let world = open(&disk, with(Durability::OsCached));
    let mut ends = vec![0];
    for tag in 0..4 {
        commit(&world.log, plain(1, tag));
        ends.push(world.log.size_bytes());
    }
    let before = contents(&world.log, Bound::End);
    // Base offset and epoch lie outside the checksum: those of the first batch cannot be judged.
    for at in
        (ends[1]..ends[4]).filter(|at| ends.iter().all(|end| !(*end + 12..*end + 16).contains(at)))
    {
        let disk = disk.after_kill();
        let file = disk.open(&segment(0), OpenMode::Existing).unwrap();
        let mut byte = [0];
        file.read_at(&mut byte, at).unwrap();
        file.write_all_at(&[&[byte[0] ^ 0x80]], at).unwrap();
        let world = open(&disk, with(Durability::OsCached));
        let sound = ends.iter().filter(|end| **end <= at).count() - 1;
        assert_eq!(contents(&world.log, Bound::End), before[..sound], "byte {at}");
    }
}

#[test]
fn zeros_end_a_log() {
    let disk = MemoryDisk::new();
    let world = open(&disk, with(Durability::OsCached));
    commit(&world.log, plain(2, 1));
    let before = world.log.size_bytes();
    let disk = disk.after_kill();
    disk.open(&segment(0), OpenMode::Existing).unwrap().set_len(before + 5000).unwrap();
    let world = open(&disk, with(Durability::OsCached));
    let cut = world.report.cut.clone().unwrap();
    assert_eq!((cut.position, cut.bytes, cut.damage), (before, 5000, None));
    assert_eq!(len(&disk, &segment(0)), before);
}

#[test]
fn a_power_cut_at_any_moment_loses_no_acknowledged_batch() {
    for seed in 0..60 {
        let disk = MemoryDisk::new();
        let world = open(&disk, small());
        let mut acknowledged = Vec::new();
        let mut tickets = Vec::new();
        for tag in 0..(20 + seed as u8 % 20) {
            tickets.push((append(&world.log, plain(1 + seed as usize % 3, tag)), tag));
            if tag % 7 == seed as u8 % 7 {
                for (ticket, tag) in tickets.drain(..) {
                    let described = (ticket.base_offset(), ticket.last_offset(), tag);
                    assert_eq!(wait(ticket), Outcome::Committed);
                    acknowledged.push(described);
                }
            }
        }
        let restarted = disk.after_power_cut(seed);
        let world = open(&restarted, small());
        let found = contents(&world.log, Bound::HighWatermark);
        assert!(world.report.damaged.is_empty(), "seed {seed}: {:?}", world.report);
        assert_eq!(found[..acknowledged.len()], acknowledged, "seed {seed}");
        let next = found.last().map_or(0, |last| last.1 + 1);
        assert_eq!(commit(&world.log, plain(1, 99)), next);
        let again = open(&restarted.after_power_cut(seed + 1000), small());
        assert_eq!(contents(&again.log, Bound::End)[..found.len()], found, "seed {seed}");
    }
}

/// Whether the folder of the log says whose it is, whatever a power cut leaves.
fn is_said_for_good(disk: &MemoryDisk) -> bool {
    let dir = Path::new(DIR).join("t-0");
    let said = |seed| topic_id::read(&disk.after_power_cut(seed), &dir).unwrap();
    (0..50).all(|seed| said(seed) == Some(TOPIC))
}

/// The file was written and never synced: a topic that was made after a power cut could take the
/// records of one of the same name that had been deleted.
#[test]
fn whose_a_folder_is_is_durable_when_its_first_records_are() {
    for durability in [Durability::Synced, Durability::OsCached] {
        let disk = MemoryDisk::new();
        let world = open(&disk, with(durability));
        drop(append(&world.log, plain(1, 1)));
        world.storage.close().unwrap();
        assert!(is_said_for_good(&disk), "{durability:?}");
    }
    let disk = MemoryDisk::new();
    let world = open(&disk, small());
    commit(&world.log, plain(1, 1));
    assert!(is_said_for_good(&disk));

    let disk = MemoryDisk::new();
    let world = open(&disk, with(Durability::OsCached));
    drop(append(&world.log, plain(1, 1)));
    assert!(!is_said_for_good(&disk), "nothing is synced");
    world.storage.abandon();
    drop(open(&disk, with(Durability::OsCached)));
    assert!(is_said_for_good(&disk), "after a crash");
}

#[test]
fn whose_a_folder_is_is_durable_after_a_first_sync_that_failed() {
    let memory = MemoryDisk::new();
    let disk = FaultyDisk::new(Arc::new(memory.clone()));
    let world = try_open(Arc::new(disk.clone()), small()).unwrap();
    let held = disk.hold_syncs();
    let ticket = append(&world.log, plain(1, 1));
    let fault = Fault { first: disk.calls() + 1, count: u64::MAX, kind: ErrorKind::Other };
    disk.fail(Some(fault));
    drop(held);
    assert_eq!(wait(ticket), Outcome::Unknown);
    disk.fail(None);
    world.log.recover().unwrap();
    commit(&world.log, plain(1, 2));
    assert!(is_said_for_good(&memory));
}

#[test]
fn a_folder_that_does_not_say_whose_it_is_says_it_once_it_was_opened() {
    let disk = MemoryDisk::new();
    let world = open(&disk, small());
    commit(&world.log, plain(1, 1));
    world.storage.abandon();
    let path = Path::new(DIR).join("t-0/partition.metadata");
    for torn in [None, Some(0), Some(20), Some(40)] {
        match torn {
            None => disk.remove_file(&path).unwrap(),
            Some(len) => {
                disk.open(&path, OpenMode::Existing).unwrap().set_len(len).unwrap();
            }
        }
        open(&disk, small()).storage.abandon();
        assert!(is_said_for_good(&disk), "{torn:?}");
    }
    let world = open(&disk, small());
    world.storage.release_log("t-0");
    let other = TopicId([8; 16]);
    let opened = world.storage.open_log("t-0", other, small(), Arc::new(NoListener));
    assert!(
        matches!(&opened, Err(OpenError::OtherTopic { found, .. }) if *found == TOPIC),
        "{opened:?}"
    );
}

#[test]
fn what_interval_promises_is_kept_by_bytes() {
    let options = crate::LogOptions { window_bytes: 1, ..with(Durability::Interval) };
    let disk = MemoryDisk::new();
    let world = open(&disk, options.clone());
    let ticket = append(&world.log, plain(1, 1));
    assert_eq!(ticket.outcome(), Some(Outcome::Committed), "written is committed");
    // A stronger durability waits for the syncs that are due.
    world.log.set_options(small());
    commit(&world.log, plain(1, 2));
    let world = open(&disk.after_power_cut(5), options);
    assert_eq!(contents(&world.log, Bound::End).len(), 2);
}

#[test]
fn files_of_a_rolled_and_crashed_log_are_as_if_it_had_been_stopped() {
    let files = |disk: &MemoryDisk| {
        let dir = Path::new(DIR).join("t-0");
        let mut entries = disk.list(&dir).unwrap();
        entries.sort();
        let content = |name: &str| {
            let file = disk.open(&dir.join(name), OpenMode::Existing).unwrap();
            read_small(&*file, 1 << 20).unwrap()
        };
        let kafkas = entries.iter().filter(|entry| !entry.name.ends_with(".klamm"));
        kafkas.map(|entry| (entry.name.clone(), content(&entry.name))).collect::<Vec<_>>()
    };
    let disk = MemoryDisk::new();
    let world = open(&disk, small());
    for tag in 0..60 {
        commit(&world.log, plain(2, tag));
    }
    let crashed = disk.after_kill();
    open(&crashed, small()).storage.close().unwrap();
    for entry in crashed.list(&Path::new(DIR).join("t-0")).unwrap() {
        if entry.name.ends_with("index") {
            crashed.remove_file(&Path::new(DIR).join("t-0").join(entry.name)).unwrap();
        }
    }
    crashed.remove_file(&Path::new(DIR).join("clean.klamm")).unwrap();
    let rebuilt = open(&crashed, small());
    assert!(rebuilt.report.indexes_rebuilt > 2);
    rebuilt.storage.close().unwrap();
    world.storage.close().unwrap();
    assert_eq!(files(&crashed), files(&disk));
}

#[test]
fn a_clean_stop_is_believed_only_of_the_newest_run() {
    let disk = MemoryDisk::new();
    open(&disk, small()).storage.close().unwrap();
    let noted = Path::new(DIR).join("clean.klamm");
    let stale = read_small(&*disk.open(&noted, OpenMode::Existing).unwrap(), 1 << 20).unwrap();
    let world = open(&disk, small());
    assert!(world.storage.was_clean());
    for tag in 0..60 {
        commit(&world.log, plain(2, tag));
    }
    let before = contents(&world.log, Bound::End);
    // What a copy has that was made after the first stop and brought up to date now.
    let copy = disk.after_kill();
    copy.open(&noted, OpenMode::Create).unwrap().write_all_at(&[&stale], 0).unwrap();
    let world = open(&copy, small());
    assert!(!world.storage.was_clean());
    assert_eq!(contents(&world.log, Bound::End), before);
}

#[test]
fn a_start_that_cannot_be_read_keeps_no_log_from_opening() {
    let (disk, world) = two_segments(Durability::OsCached);
    let before = contents(&world.log, Bound::End);
    world.log.delete_records(3).unwrap();
    let crashed = disk.after_kill();
    let noted = crashed.open(&Path::new(DIR).join("t-0/start.klamm"), OpenMode::Existing).unwrap();
    noted.write_all_at(&[b"?"], 21).unwrap();
    let world = open(&crashed, small());
    assert_eq!(world.log.offsets().start.0, 0);
    assert_eq!(contents(&world.log, Bound::End), before);
}

/// A log of two segments whose second, of base 12, has one batch.
fn two_segments(durability: Durability) -> (MemoryDisk, World) {
    let disk = MemoryDisk::new();
    let world = open(&disk, with(durability));
    while world.log.segments().len() < 2 {
        drop(append(&world.log, plain(1, world.log.offsets().end.0 as u8)));
    }
    (disk, world)
}

#[test]
fn a_tail_lost_between_two_batches_takes_the_next_segment_with_it() {
    let (disk, world) = two_segments(Durability::OsCached);
    let before = contents(&world.log, Bound::End);
    let size = u64::from(world.log.segments()[0].size_bytes);
    let batch = size / (before.len() as u64 - 1);
    world.storage.close().unwrap();
    for name in ["clean.klamm", "t-0/durable.klamm"] {
        disk.remove_file(&Path::new(DIR).join(name)).unwrap();
    }
    disk.open(&segment(0), OpenMode::Existing).unwrap().set_len(size - batch).unwrap();
    let world = open(&disk, with(Durability::OsCached));
    assert_eq!(contents(&world.log, Bound::End), before[..before.len() - 2]);
    assert!(world.report.cut.is_some() && world.log.segments().len() == 1);
}

#[test]
fn torn_slots_bring_no_durable_point_back_that_a_cut_made_untrue() {
    for seed in 0..200 {
        let (disk, world) = two_segments(Durability::Synced);
        wait(append(&world.log, plain(1, 1)));
        let cut = world.log.truncate(3).unwrap().0;
        for tag in 0..seed as u8 % 5 {
            commit(&world.log, plain(1, tag));
        }
        let end = world.log.offsets().end.0;
        assert_eq!((cut, end), (3, 3 + seed as i64 % 5));
        let restarted = disk.after_power_cut(seed);
        drop(open(&restarted, small()));
        let world = open(&restarted.after_power_cut(!seed), small());
        assert_eq!(world.log.offsets().end.0, end, "seed {seed}");
        assert!(world.report.damaged.is_empty());
    }
}

#[test]
fn a_start_outlives_the_records_before_it() {
    let disk = MemoryDisk::new();
    let world = open(&disk, with(Durability::OsCached));
    for tag in 0..5 {
        commit(&world.log, plain(1, tag));
    }
    world.log.delete_records(4).unwrap();
    let disk = disk.after_kill();
    disk.open(&segment(0), OpenMode::Existing).unwrap().set_len(0).unwrap();
    let world = open(&disk, small());
    assert_eq!((world.log.offsets().start.0, world.log.offsets().end.0), (4, 4));
    assert_eq!(commit(&world.log, plain(1, 9)), 4);
    let world = open(&disk.after_power_cut(1), small());
    assert_eq!(contents(&world.log, Bound::End), [(4, 4, 9)]);
}

#[test]
fn what_recovery_found_is_durable_before_the_durable_point_says_so() {
    for seed in 0..50 {
        let disk = MemoryDisk::new();
        let world = open(&disk, with(Durability::OsCached));
        for tag in 0..30 {
            commit(&world.log, plain(1, tag));
        }
        let killed = disk.after_kill();
        let before = contents(&open(&killed, with(Durability::OsCached)).log, Bound::End);
        let world = open(&killed.after_power_cut(seed), with(Durability::OsCached));
        assert_eq!(contents(&world.log, Bound::End), before, "seed {seed}");
        assert!(world.report.damaged.is_empty(), "seed {seed}");
    }
}
