//! Reads that must not wait, and what is verified when.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::support::*;
use crate::disk::{Disk, Fault, FaultyDisk, MemoryDisk, OpenMode};
use crate::{Bound, Log, LogOptions, ReadError, Slice, VerifyReads};

const SIZE_MAX: usize = 1 << 20;

/// The next call to the disk finds nothing in memory.
fn chill(disk: &FaultyDisk) {
    let kind = io::ErrorKind::WouldBlock;
    disk.fail(Some(Fault { first: disk.calls() + 1, count: 1, kind }));
}

/// A log of some segments on a disk that can say that bytes are not in memory.
fn world(memory: &MemoryDisk, options: LogOptions) -> (World, FaultyDisk) {
    let disk = FaultyDisk::new(Arc::new(memory.clone()));
    let world = try_open(Arc::new(disk.clone()), options).unwrap();
    (world, disk)
}

fn filled(options: LogOptions) -> (World, FaultyDisk, MemoryDisk) {
    let memory = MemoryDisk::new();
    let (world, disk) = world(&memory, options);
    for tag in 0..40 {
        commit(&world.log, plain(2, tag));
    }
    assert!(world.log.segments().len() > 2);
    (world, disk, memory)
}

fn at_once(log: &Log, from: i64) -> Result<Option<Slice>, ReadError> {
    log.read_at_once(from, SIZE_MAX, true, Bound::HighWatermark)
}

fn read(log: &Log, from: i64) -> Result<Slice, ReadError> {
    log.read(from, SIZE_MAX, true, Bound::HighWatermark)
}

/// Changes the last byte of the batch that holds `offset`, behind the back of the log.
fn rot(log: &Log, memory: &MemoryDisk, offset: i64) {
    let base = log.segments().iter().map(|segment| segment.base_offset).rfind(|at| *at <= offset);
    let path: PathBuf = Path::new(DIR).join(format!("t-0/{:020}.log", base.unwrap()));
    let len = log.read(0, 1, true, Bound::End).unwrap().bytes.len() as u64;
    let at = (offset - base.unwrap()) as u64 / 2 * len + len - 1;
    let file = memory.open(&path, OpenMode::Existing).unwrap();
    let mut byte = [0];
    assert_eq!(file.read_at(&mut byte, at).unwrap(), 1);
    file.write_all_at(&[&[byte[0] ^ 1]], at).unwrap();
}

#[test]
fn what_is_not_in_memory_is_read_only_by_who_may_wait() {
    let (world, disk, _) = filled(small());
    let mut at = 0;
    while at < 80 {
        chill(&disk);
        assert_eq!(at_once(&world.log, at).unwrap(), None, "offset {at}");
        chill(&disk);
        let waited = read(&world.log, at).unwrap();
        assert_eq!(at_once(&world.log, at).unwrap().unwrap(), waited);
        at = waited.next_offset;
    }
    assert_eq!(at_once(&world.log, 80).unwrap().unwrap().bytes.len(), 0);
}

#[test]
fn other_failures_are_told_by_either_read() {
    let (world, disk, _) = filled(small());
    let kind = io::ErrorKind::PermissionDenied;
    disk.fail(Some(Fault { first: disk.calls() + 1, count: u64::MAX / 2, kind }));
    assert!(matches!(at_once(&world.log, 79), Err(ReadError::Disk(_))));
    assert!(matches!(read(&world.log, 0), Err(ReadError::Disk(_))));
}

#[test]
fn what_was_there_at_the_start_is_verified_when_first_read() {
    let (before, _, memory) = filled(small());
    before.storage.close().unwrap();
    let (world, _) = world(&memory, small());
    rot(&world.log, &memory, 6);
    let sound = read(&world.log, 0).unwrap();
    assert_eq!(sound.next_offset, 6);
    assert!(matches!(read(&world.log, 6), Err(ReadError::Corrupt(_))));
}

#[test]
fn all_that_comes_from_the_device_is_verified_again() {
    let (world, disk, memory) = filled(small());
    assert!(read(&world.log, 0).unwrap().next_offset > 8, "appended, and so verified");
    rot(&world.log, &memory, 6);
    chill(&disk);
    assert_eq!(read(&world.log, 0).unwrap().next_offset, 6);
    // What came into memory along with it is no longer trusted either.
    let error = at_once(&world.log, 6).unwrap_err();
    assert!(matches!(error, ReadError::Corrupt(corrupt) if corrupt.offsets == (6..8)));
}

#[test]
fn a_log_may_have_every_read_verified() {
    let (world, _, memory) = filled(LogOptions { verify_reads: VerifyReads::Always, ..small() });
    assert!(read(&world.log, 0).unwrap().next_offset > 8);
    rot(&world.log, &memory, 6);
    assert_eq!(read(&world.log, 0).unwrap().next_offset, 6);
}

/// A reader up to a bound was given a few bytes that held on to all that were read with them.
#[test]
fn a_small_part_of_what_was_read_holds_on_to_nothing_else() {
    let world = open(&MemoryDisk::new(), LogOptions { segment_bytes: 1 << 20, ..small() });
    commit(&world.log, plain(1, 1));
    commit(&world.log, batch(&[1], 2, 500_000));
    world.log.set_stable_offset(Some(1));
    let slice = world.log.read(0, SIZE_MAX, true, Bound::Stable).unwrap();
    assert_eq!(slice.next_offset, 1);
    assert!(slice.bytes.try_into_mut().unwrap().capacity() < 1_000);
    let slice = world.log.read(0, SIZE_MAX, true, Bound::HighWatermark).unwrap();
    assert_eq!(slice.next_offset, 2);
    slice.bytes.try_into_mut().unwrap_err();
}
