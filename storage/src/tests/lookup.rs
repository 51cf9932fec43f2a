//! Indexes and lookups by timestamp, against a naive scan over all records.

use std::path::Path;

use klamm_protocol::records::batches;
use proptest::prelude::*;

use super::support::*;
use crate::disk::MemoryDisk;
use crate::{Bound, Durability, Log, verify};

/// Offset and timestamp of every record.
fn records(log: &Log) -> Vec<(i64, i64)> {
    let mut at = log.offsets().start.0;
    let mut found = Vec::new();
    while at < log.offsets().end.0 {
        let slice = log.read(at, 5000, true, Bound::End).unwrap();
        for batch in batches(slice.bytes) {
            let batch = batch.unwrap();
            let records = batch.records(1 << 20).unwrap();
            found.extend(records.map(|record| record.map(|r| (r.offset, r.timestamp)).unwrap()));
        }
        at = slice.next_offset;
    }
    found
}

fn check(world: &World) {
    let all = records(&world.log);
    let start = world.log.offsets().start.0;
    let all: Vec<_> = all.into_iter().filter(|(offset, _)| *offset >= start).collect();
    for timestamp in 0..70 {
        let naive = all.iter().find(|(_, t)| *t >= timestamp).map(|(o, t)| (*t, *o));
        let found = world.log.offset_for_timestamp(timestamp).unwrap();
        assert_eq!(found.map(|f| (f.timestamp, f.offset)), naive, "timestamp {timestamp}");
    }
    let greatest = all.iter().map(|(_, t)| *t).max();
    let naive = greatest.and_then(|g| all.iter().find(|(_, t)| *t == g)).map(|(o, t)| (*t, *o));
    let found = world.log.max_timestamp().unwrap();
    assert_eq!(found.map(|f| (f.timestamp, f.offset)), naive);
}

fn check_files(disk: &MemoryDisk) -> verify::VerifyReport {
    let report = verify::verify(disk, &Path::new(DIR).join("t-0")).unwrap();
    assert_eq!(report.problems, []);
    report
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn lookups_agree_with_a_naive_scan(
        appends in proptest::collection::vec(proptest::collection::vec(0i64..64, 1..5), 1..80),
        deleted in 0i64..40,
        index_interval_bytes in prop_oneof![Just(0), 0u32..800],
        segment_bytes in prop_oneof![Just(2000), Just(1 << 20)],
    ) {
        let disk = MemoryDisk::new();
        let options = crate::LogOptions {
            index_interval_bytes,
            segment_bytes,
            ..with(Durability::OsCached)
        };
        let world = open(&disk, options.clone());
        for (tag, timestamps) in appends.iter().enumerate() {
            commit(&world.log, batch(timestamps, tag as u8, 20));
        }
        check(&world);
        check_files(&disk);
        world.log.delete_records(deleted.min(world.log.offsets().end.0)).unwrap();
        check(&world);
        // The same from files alone, after two crashes and after a clean stop.
        let crashed = disk.after_kill();
        check(&open(&crashed, options.clone()));
        let crashed = crashed.after_kill();
        let recovered = open(&crashed, options.clone());
        check(&recovered);
        check_files(&crashed);
        recovered.storage.close().unwrap();
        check(&open(&crashed, options));
    }
}

#[test]
fn entries_are_where_kafka_puts_them() {
    let disk = MemoryDisk::new();
    let world =
        open(&disk, crate::LogOptions { segment_bytes: 1 << 20, ..with(Durability::OsCached) });
    let mut position = 0u32;
    let (mut since, mut expected) = (0, Vec::new());
    for tag in 0..30 {
        let batch = plain(2, tag);
        let size = batch.bytes().len() as u32;
        let base = commit(&world.log, batch);
        if since > 300 {
            expected.extend((base as u32 + 1).to_be_bytes());
            expected.extend(position.to_be_bytes());
            since = 0;
        }
        position += size;
        since += size;
    }
    world.storage.close().unwrap();
    let path = Path::new(DIR).join("t-0/00000000000000000000.index");
    let file = crate::disk::Disk::open(&disk, &path, crate::disk::OpenMode::Existing).unwrap();
    assert_eq!(crate::disk::read_small(&*file, 1 << 20).unwrap(), expected);
    assert!(check_files(&disk).index_entries > 10);
}

#[test]
fn a_log_scan_meets_every_batch() {
    let world = open(&MemoryDisk::new(), small());
    for tag in 0..60 {
        commit(&world.log, plain(2, tag));
    }
    for from in [0, 1, 33, 118, 119, 120] {
        let mut offsets = Vec::new();
        world.log.scan(from, |header, _| offsets.push(header.base_offset)).unwrap();
        let naive: Vec<i64> = (0..60).map(|i| 2 * i).filter(|base| base + 1 >= from).collect();
        assert_eq!(offsets, naive, "from {from}");
    }
}

#[test]
fn a_real_disk_answers_as_the_memory_does() {
    let dir = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(klamm_utils::clock::ManualClock::at(5));
    let open = || {
        let disk = std::sync::Arc::new(crate::disk::RealDisk);
        let storage =
            crate::Storage::open(disk, dir.path(), &Default::default(), clock.clone()).unwrap();
        let listener = std::sync::Arc::new(crate::NoListener);
        let (log, report) = storage.open_log("t-0", TOPIC, small(), listener).unwrap();
        (storage, log, report)
    };
    let (storage, log, _) = open();
    let tickets: Vec<_> = (0..200).map(|tag| append(&log, plain(2, tag))).collect();
    tickets.into_iter().for_each(|ticket| assert_eq!(wait(ticket), crate::Outcome::Committed));
    let before = contents(&log, Bound::HighWatermark);
    assert_eq!(before.len(), 200);
    drop((storage, log));
    let (storage, log, report) = open();
    assert!(!report.clean && report.cut.is_none());
    assert_eq!(contents(&log, Bound::HighWatermark), before);
    storage.close().unwrap();
    let (_storage, log, report) = open();
    assert!(report.clean);
    assert_eq!(contents(&log, Bound::HighWatermark), before);
    let report = verify::verify(&crate::disk::RealDisk, &dir.path().join("t-0")).unwrap();
    assert_eq!((report.batches, report.problems), (200, vec![]));
}
