//! Runs of batches that are sent from their file: the same bytes as a read gives.

use std::io::{ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::Bytes;
use klamm_protocol::records::{BatchBuilder, BatchOptions, Compression, batches};

use super::support::*;
use crate::disk::{Disk, OpenMode, RealDisk};
use crate::{Bound, Durability, Log, LogOptions, Span, Storage, StorageOptions};

/// A log of 1 KiB batches in segments of 300 KiB, in a folder of its own.
fn filled(dir: &tempfile::TempDir) -> (Storage, Log) {
    let options = LogOptions {
        segment_bytes: 300 << 10,
        index_interval_bytes: 4096,
        durability: Durability::OsCached,
        ..small()
    };
    let clock = Arc::new(klamm_utils::clock::ManualClock::at(1_000_000));
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let storage = Storage::open(disk, dir.path(), &StorageOptions::default(), clock).unwrap();
    let listener = Arc::new(crate::NoListener);
    let (log, _) = storage.open_log("t-0", TOPIC, options, listener).unwrap();
    for tag in 0..700 {
        commit(&log, batch(&[tag], tag as u8, 1000));
    }
    (storage, log)
}

fn sent(span: &Span) -> Vec<u8> {
    let (near, mut far) = UnixStream::pair().unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let mut at = 0;
    while at < span.size() {
        at += span.send(near.as_fd(), at).unwrap().expect("it is in memory");
    }
    drop(near);
    reader.join().unwrap()
}

/// Reads the whole log, by spans where there are any. How many there were.
fn walk(log: &Log, size_max: usize) -> usize {
    let (mut at, mut spans) = (0, 0);
    while at < log.offsets().end.0 {
        let read = log.read(at, size_max, true, Bound::HighWatermark).unwrap();
        let Some(span) = log.span(at, size_max, Bound::HighWatermark) else {
            at = read.next_offset;
            continue;
        };
        spans += 1;
        let bytes = sent(&span);
        let common = bytes.len().min(read.bytes.len());
        assert!(bytes.len() <= size_max);
        assert_eq!(bytes[..common], read.bytes[..common], "from {at}");
        let last = batches(bytes.into()).last().unwrap().unwrap();
        assert_eq!(last.header().last_offset() + 1, span.next_offset());
        at = span.next_offset();
    }
    spans
}

/// Whether this machine can tell what is in memory.
fn can_tell(dir: &tempfile::TempDir) -> bool {
    let file = RealDisk.open(&dir.path().join("probe"), OpenMode::Create).unwrap();
    file.write_all_at(&[&[0; 4096]], 0).unwrap();
    file.is_cached(0, 4096)
}

#[test]
fn a_span_is_what_a_read_gives_and_never_crosses_the_bound() {
    let dir = tempfile::tempdir().unwrap();
    let (_storage, log) = filled(&dir);
    for size_max in [128 << 10, 140_000, 200_000, 1 << 20] {
        let spans = walk(&log, size_max);
        assert_eq!(spans > 0, can_tell(&dir) && size_max > 128 << 10, "{size_max}");
    }
    log.set_stable_offset(Some(100));
    let span = log.span(0, 1 << 20, Bound::Stable);
    assert!(span.is_none_or(|span| span.next_offset() <= 100));
}

/// A span of the first segment, where this machine can tell what is in memory.
fn first_span(dir: &tempfile::TempDir, log: &Log) -> Option<Span> {
    let span = log.span(0, 200_000, Bound::HighWatermark);
    assert_eq!(span.is_some(), can_tell(dir));
    span
}

fn first_file(dir: &tempfile::TempDir) -> std::fs::File {
    let path = dir.path().join("t-0/00000000000000000000.log");
    std::fs::File::options().read(true).write(true).open(path).unwrap()
}

/// Says that nothing can be sent, and what a read says.
fn read_instead(span: &Span) -> std::io::Result<Bytes> {
    let (near, _far) = UnixStream::pair().unwrap();
    assert_eq!(span.send(near.as_fd(), 10).unwrap(), None);
    span.read()
}

#[test]
fn a_file_that_was_cut_is_neither_sent_nor_read() {
    let dir = tempfile::tempdir().unwrap();
    let (_storage, log) = filled(&dir);
    let Some(span) = first_span(&dir, &log) else { return };
    first_file(&dir).set_len(4096).unwrap();
    // The thread that gives back what a full segment did not need may make it as long again.
    let error = read_instead(&span).unwrap_err().kind();
    assert!(matches!(error, ErrorKind::UnexpectedEof | ErrorKind::InvalidData), "{error}");
}

#[test]
fn a_log_that_was_cut_and_goes_on_does_not_change_what_is_being_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (_storage, log) = filled(&dir);
    let Some(span) = first_span(&dir, &log) else { return };
    log.truncate(50).unwrap();
    for tag in 50..400 {
        commit(&log, batch(&[tag], 1, 1000));
    }
    assert_eq!(read_instead(&span).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(sent(&first_span(&dir, &log).unwrap()).len(), span.size());
}

#[test]
fn a_segment_that_is_deleted_is_sent_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, log) = filled(&dir);
    let Some(span) = first_span(&dir, &log) else { return };
    let before = log.read(0, span.size(), true, Bound::HighWatermark).unwrap().bytes;
    log.delete_records(500).unwrap();
    drop((log, storage));
    assert!(!dir.path().join("t-0/00000000000000000000.log").exists());
    assert!(sent(&span) == before);
}

#[test]
fn bytes_that_have_left_memory_are_read_and_verified_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (_storage, log) = filled(&dir);
    let Some(span) = first_span(&dir, &log) else { return };
    let file = first_file(&dir);
    let before = sent(&span);
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    if log.span(0, 200_000, Bound::HighWatermark).is_some() {
        return; // The folder is in memory.
    }
    assert!(read_instead(&span).unwrap() == before);
    assert!(sent(&span) == before, "it was verified while it was read");
    file.write_all_at(b"rot", 100_000).unwrap();
    assert_eq!(span.read().unwrap_err().kind(), ErrorKind::InvalidData);
    assert_eq!(read_instead(&span).unwrap_err().kind(), ErrorKind::InvalidData);
}

/// Whoever waits for more has to know whether there is more. What the index is too coarse for was
/// taken for what a limit keeps back, and answered at once.
#[test]
fn it_is_known_what_ended_a_span() {
    let dir = tempfile::tempdir().unwrap();
    let (_storage, log) = filled(&dir);
    for tag in 0..150 {
        commit(&log, batch(&[tag], 1, 1000));
    }
    let (from, end) = (log.active_base_offset(), log.offsets().end.0);
    log.set_stable_offset(Some(end - 1));
    let is_known = |size_max, bound, expected: (bool, bool)| {
        let Some(span) = log.span(from, size_max, bound) else {
            assert!(!can_tell(&dir));
            return;
        };
        let is_whole = span.next_offset() == end;
        assert_eq!((is_whole, span.reaches_bound()), expected, "{size_max}, {bound:?}");
    };
    is_known(1 << 20, Bound::HighWatermark, (true, true));
    is_known(1 << 20, Bound::Stable, (false, true));
    is_known(140_000, Bound::Stable, (false, false));
    is_known(140_000, Bound::HighWatermark, (false, false));
    let sealed = log.span(0, 1 << 20, Bound::HighWatermark);
    assert!(sealed.is_none_or(|span| !span.reaches_bound()));
}

#[test]
fn what_was_not_verified_is_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, log) = filled(&dir);
    let options = log.options();
    storage.close().unwrap();
    drop((log, storage));
    let clock = Arc::new(klamm_utils::clock::ManualClock::at(1_000_000));
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let storage = Storage::open(disk, dir.path(), &StorageOptions::default(), clock).unwrap();
    let (log, _) = storage.open_log("t-0", TOPIC, options, Arc::new(crate::NoListener)).unwrap();
    let read = |from| log.read(from, 140_000, true, Bound::HighWatermark).unwrap().next_offset;
    let second = read(0);
    assert!(log.span(second, 140_000, Bound::HighWatermark).is_none());
    read(second);
    assert_eq!(log.span(second, 140_000, Bound::HighWatermark).is_some(), can_tell(&dir));
}

#[test]
fn it_is_known_whether_a_batch_may_be_compressed_with_zstd() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, log) = filled(&dir);
    let Some(span) = first_span(&dir, &log) else { return };
    assert!(!span.may_hold_zstd());
    let options = BatchOptions { compression: Compression::Zstd, ..BatchOptions::default() };
    let mut zstd = BatchBuilder::new(options);
    zstd.push(1, None, Some(b"a"), &[]).unwrap();
    let offset = commit(&log, zstd.build(0).unwrap());
    for tag in 0..200 {
        commit(&log, batch(&[tag], 1, 1000));
    }
    let check = |log: &Log| {
        let read = log.read(offset, 10_000, true, Bound::HighWatermark).unwrap();
        let rest = |at| log.read(at, 1 << 20, true, Bound::HighWatermark).unwrap();
        rest(read.next_offset);
        let span = log.span(read.next_offset, 1 << 20, Bound::HighWatermark);
        assert_eq!(span.map(|span| span.may_hold_zstd()), can_tell(&dir).then_some(true));
    };
    check(&log);
    let options = log.options();
    storage.close().unwrap();
    drop((span, log, storage));
    let clock = Arc::new(klamm_utils::clock::ManualClock::at(1_000_000));
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let storage = Storage::open(disk, dir.path(), &StorageOptions::default(), clock).unwrap();
    let (log, _) = storage.open_log("t-0", TOPIC, options, Arc::new(crate::NoListener)).unwrap();
    check(&log);
}
