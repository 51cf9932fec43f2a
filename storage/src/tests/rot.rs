//! Bytes that were durable and have changed: reported, never served, never cut.

use std::path::{Path, PathBuf};

use super::support::*;
use crate::disk::{Disk, MemoryDisk, OpenMode};
use crate::{Bound, Durability, ReadError, verify};

fn segment(base: i64) -> PathBuf {
    Path::new(DIR).join(format!("t-0/{base:020}.log"))
}

fn flip(disk: &MemoryDisk, path: &Path, at: u64) {
    let file = disk.open(path, OpenMode::Existing).unwrap();
    let mut byte = [0];
    assert_eq!(file.read_at(&mut byte, at).unwrap(), 1);
    file.write_all_at(&[&[byte[0] ^ 0x10]], at).unwrap();
    file.sync_data().unwrap();
}

/// All that can be read, going on behind each damaged range.
fn readable(world: &World) -> (Vec<i64>, Vec<std::ops::Range<i64>>) {
    let (mut at, mut bases, mut damaged) = (0, Vec::new(), Vec::new());
    loop {
        match world.log.read(at, 1, true, Bound::HighWatermark) {
            Ok(slice) if slice.bytes.is_empty() => return (bases, damaged),
            Ok(slice) => {
                bases.push(slice.base_offset);
                at = slice.next_offset;
            }
            Err(ReadError::Corrupt(corrupt)) => {
                assert!(corrupt.offsets.contains(&at), "{corrupt:?} at {at}");
                at = corrupt.offsets.end;
                damaged.push(corrupt.offsets);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn any_damaged_batch_is_an_error_for_its_range_and_no_other() {
    let disk = MemoryDisk::new();
    let world = open(&disk, small());
    for tag in 0..30 {
        commit(&world.log, plain(2, tag));
    }
    let size = u64::from(world.log.segments()[0].size_bytes);
    let batch = world.log.read(0, 1, true, Bound::End).unwrap().bytes.len() as u64;
    // The leader epoch lies outside the checksum and means nothing to a reader of records.
    for at in (0..size).filter(|at| !(12..16).contains(&(at % batch))) {
        let disk = disk.after_kill();
        flip(&disk, &segment(0), at);
        let world = open(&disk, small());
        let hit = (at / batch) as i64 * 2;
        let (bases, damaged) = readable(&world);
        let expected: Vec<i64> = (0..30).map(|i| 2 * i).filter(|base| *base != hit).collect();
        assert_eq!((bases, damaged.len()), (expected, 1), "byte {at}");
        assert_eq!(damaged[0], hit..hit + 2, "byte {at}");
        assert_eq!(world.log.offsets().end.0, 60);
        let report = verify::verify(&disk, &Path::new(DIR).join("t-0")).unwrap();
        assert!(!report.problems.is_empty());
    }
}

#[test]
fn a_scan_passes_damage_over() {
    let disk = MemoryDisk::new();
    let world = open(&disk, small());
    for tag in 0..40 {
        commit(&world.log, plain(1, tag));
    }
    let batch = world.log.read(0, 1, true, Bound::End).unwrap().bytes.len() as u64;
    for offset in [0, 1, 3] {
        // A scan of headers sees a wrong magic, and no wrong checksum.
        flip(&disk, &segment(0), batch * offset + 16);
    }
    let (mut scanned, sound) = (Vec::new(), |offset: &i64| ![0, 1, 3].contains(offset));
    world.log.scan(0, |header, _| scanned.push(header.base_offset)).unwrap();
    assert_eq!(scanned, (0..40).filter(sound).collect::<Vec<_>>());
}

#[test]
fn rot_at_the_very_end_cuts_nothing_and_frees_no_offset() {
    let disk = MemoryDisk::new();
    let world = open(&disk, small());
    for tag in 0..3 {
        commit(&world.log, plain(2, tag));
    }
    let size = world.log.size_bytes();
    world.storage.close().unwrap();
    let disk = disk.after_kill();
    disk.remove_file(&Path::new(DIR).join("clean.klamm")).unwrap();
    flip(&disk, &segment(0), size - 1);
    let world = open(&disk, small());
    assert_eq!(world.report.damaged.len(), 1);
    assert_eq!(world.report.damaged[0].offsets, 4..6);
    let damaged: Vec<_> = std::iter::once(4..6).collect();
    assert!(world.report.cut.is_none());
    assert_eq!(readable(&world), (vec![0, 2], damaged.clone()));
    assert_eq!(commit(&world.log, plain(1, 9)), 6, "the lost offsets are not given again");
    assert_eq!(readable(&world), (vec![0, 2, 6], damaged));
}

#[test]
fn a_wrong_index_costs_time_and_nothing_else() {
    let disk = MemoryDisk::new();
    let world = open(&disk, small());
    for tag in 0..60 {
        commit(&world.log, plain(2, tag));
    }
    let before = contents(&world.log, Bound::End);
    world.storage.close().unwrap();
    for name in ["index", "timeindex"] {
        for at in 0..24 {
            let disk = disk.after_kill();
            flip(&disk, &segment(0).with_extension(name), at);
            let world = open(&disk, small());
            assert_eq!(contents(&world.log, Bound::End), before, "{name} byte {at}");
            world.log.offset_for_timestamp(30).unwrap();
        }
    }
}

#[test]
fn what_is_dumped_is_what_is_there() {
    let disk = MemoryDisk::new();
    let world = open(&disk, with(Durability::OsCached));
    for tag in 0..5 {
        commit(&world.log, plain(2, tag));
    }
    let batch = world.log.read(0, 1, true, Bound::End).unwrap().bytes.len() as u64;
    flip(&disk, &segment(0), 2 * batch + 70);
    let dumped: Vec<_> = verify::dump(&disk, &segment(0)).unwrap().map(Result::unwrap).collect();
    let shape: Vec<_> = dumped
        .iter()
        .map(|dumped| match dumped {
            verify::Dumped::Batch { position, header, .. } => (*position, header.base_offset),
            verify::Dumped::Damage { position, bytes, .. } => (*position, -(*bytes as i64)),
        })
        .collect();
    let damaged = -(batch as i64);
    assert_eq!(shape, [(0, 0), (batch, 2), (2 * batch, damaged), (3 * batch, 6), (4 * batch, 8)]);
}
