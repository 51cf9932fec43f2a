//! Compaction with every call of the disk failing once, for a moment and for good, and with the
//! power cut there.

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::sync::Arc;

use klamm_protocol::records::Compression;

use super::compaction::*;
use super::support::*;
use crate::disk::{Disk, Fault, FaultyDisk, MemoryDisk};
use crate::{CompactError, Compacted, Log, LogOptions};

/// Power cuts that are tried after each call: many, since what is left takes several chances.
const CUTS: u64 = 16;

/// Twice the size of the segments there are, so that some become one.
fn log_options() -> LogOptions {
    LogOptions { segment_bytes: 1500, ..small() }
}

/// A stopped log whose second half repeats the keys of the first, with tombstones.
fn stopped() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let world = open(&disk, LogOptions { segment_bytes: 700, ..small() });
    for value in 0..24u8 {
        let codec = Compression::ALL[usize::from(value) % 5];
        let last = if value % 5 == 3 { None } else { Some(value) };
        commit(&world.log, keyed(&[(value % 3, Some(value)), (value % 7, last)], codec));
    }
    world.storage.close().unwrap();
    disk
}

/// Two passes, the second of which merges what the first made small and drops the tombstones.
fn passes(log: &Log) -> Result<[Compacted; 2], CompactError> {
    let first = log.compact(&options(), 0, &HashMap::new(), &always)?;
    Ok([first, log.compact(&options(), 2000, &HashMap::new(), &always)?])
}

/// What a reader who builds a table from the log ends up with.
fn table(log: &Log) -> BTreeMap<u8, u8> {
    let mut table = BTreeMap::new();
    for (_, (key, value)) in entries(&records(log).0) {
        match value {
            Some(value) => table.insert(key, value),
            None => table.remove(&key),
        };
    }
    table
}

fn check(count: u64, kind: ErrorKind) {
    let (before, expected, calls) = {
        let disk = FaultyDisk::new(Arc::new(stopped().after_kill()));
        let world = try_open(Arc::new(disk.clone()), log_options()).unwrap();
        let before = (table(&world.log), entries(&records(&world.log).0));
        let calls = disk.calls();
        let [first, second] = passes(&world.log).unwrap();
        assert!(first.segments_after < first.segments_before && second.segments_after > 0);
        assert_eq!(table(&world.log), before.0);
        (before, entries(&records(&world.log).0), disk.calls() - calls)
    };
    for call in 1..=calls {
        let memory = stopped();
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        let world = try_open(Arc::new(disk.clone()), log_options()).unwrap();
        let offsets = world.log.offsets();
        disk.fail(Some(Fault { first: disk.calls() + call, count, kind }));
        let place = format!("call {call} of {calls}, {count} times {kind:?}");
        let done = passes(&world.log);
        disk.fail(None);
        let same = |world: &World| {
            assert!(world.report.damaged.is_empty(), "{place}: {:?}", world.report);
            assert_eq!(world.log.offsets(), offsets, "{place}");
            assert_eq!(table(&world.log), before.0, "{place}");
            let found = entries(&records(&world.log).0);
            assert!(found.iter().all(|record| before.1.contains(record)), "{place}");
        };
        let power_cut = |i| memory.after_power_cut(call * CUTS + i);
        // After one failed call things are tidied up; only a disk that stays broken cuts them short.
        let cuts = if count > 1 { CUTS } else { 2 };
        let left: Vec<_> = (0..cuts).map(power_cut).chain([memory.after_kill()]).collect();
        // Whatever failed, readers of this log see nothing of it.
        same(&world);
        if world.log.fault().is_some() {
            assert!(done.is_err(), "{place}");
            world.log.recover().unwrap();
            same(&world);
        }
        for (i, restarted) in left.into_iter().enumerate() {
            let world = open(&restarted, log_options());
            same(&world);
            let listed = restarted.list(world.log.dir()).unwrap();
            let aside = |name: &str| name.ends_with(".swap") || name.ends_with(".cleaned");
            assert!(!listed.iter().any(|entry| aside(&entry.name)), "{place}: {listed:?}");
            is_sound(&restarted);
            if i % 8 > 0 {
                continue;
            }
            passes(&world.log).unwrap();
            assert_eq!(entries(&records(&world.log).0), expected, "{place}");
            is_sound(&restarted);
            let again = open(&restarted.after_power_cut(call), log_options());
            assert_eq!(entries(&records(&again.log).0), expected, "{place}");
        }
        commit(&world.log, keyed(&[(1, Some(1))], Compression::None));
    }
}

#[test]
fn one_failed_call_loses_nothing() {
    check(1, ErrorKind::Other);
}

#[test]
fn a_disk_that_stays_broken_loses_nothing() {
    check(u64::MAX, ErrorKind::Other);
}

#[test]
fn a_full_disk_loses_nothing() {
    check(1, ErrorKind::StorageFull);
}
