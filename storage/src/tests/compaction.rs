//! Compaction against a plain list of records.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::records::{
    Batch, BatchBuilder, BatchOptions, BatchProducer, Compression, Record, batches,
};
use klamm_utils::clock::ManualClock;
use proptest::prelude::*;

use super::support::*;
use crate::disk::{Disk, MemoryDisk, RealDisk};
use crate::{
    Bound, CompactOptions, Compacted, Log, LogOptions, NoListener, Pace, Storage, StorageOptions,
    verify,
};

/// A key and its value; none is a tombstone.
pub(super) type Entry = (u8, Option<u8>);

/// A batch of one record per entry; a value is made of bytes that say which.
pub(super) fn keyed(entries: &[Entry], compression: Compression) -> Batch {
    let mut builder = BatchBuilder::new(BatchOptions { compression, ..BatchOptions::default() });
    for (key, value) in entries {
        let value = value.map(|value| vec![value; 30]);
        builder.push(1000 + i64::from(*key), Some(&[*key]), value.as_deref(), &[]).unwrap();
    }
    builder.build(0).unwrap()
}

/// Every record up to the end, with its offset, and the last offset of each batch.
pub(super) fn records(log: &Log) -> (Vec<Record>, Vec<i64>) {
    let (mut at, mut found, mut ends) = (log.offsets().start.0, Vec::new(), Vec::new());
    loop {
        let slice = log.read(at, 300, true, Bound::End).unwrap();
        if slice.bytes.is_empty() {
            assert!(found.is_sorted_by_key(|record: &Record| record.offset));
            return (found, ends);
        }
        for batch in batches(slice.bytes.clone()) {
            let batch = batch.unwrap();
            batch.check().unwrap();
            ends.push(batch.header().last_offset());
            found.extend(batch.records(1 << 20).unwrap().map(Result::unwrap));
        }
        at = slice.next_offset;
    }
}

pub(super) fn entries(records: &[Record]) -> Vec<(i64, Entry)> {
    let entry = |record: &Record| {
        let key = record.key.as_ref().unwrap()[0];
        (record.offset, (key, record.value.as_ref().map(|value| value[0])))
    };
    records.iter().map(entry).collect()
}

/// Tombstones stay for a second.
pub(super) fn options() -> CompactOptions {
    CompactOptions { tombstone_retention: Duration::from_secs(1), ..CompactOptions::default() }
}

/// Lets a pass go on.
pub(super) fn always(_: u64) -> Pace {
    Pace::Go
}

pub(super) fn compact(world: &World) -> Compacted {
    world.log.compact(&options(), 0, &HashMap::new(), &always).unwrap()
}

/// Stops and starts, so that all that is sealed is known to be durable.
pub(super) fn restarted(disk: &MemoryDisk, world: World) -> World {
    let options = world.log.options();
    world.storage.close().unwrap();
    open(disk, options)
}

/// Every batch, and every index entry but those of the active segment, which no sync covers.
pub(super) fn is_sound(disk: &MemoryDisk) {
    let dir = Path::new(DIR).join("t-0");
    let active = format!("{:020}.", verify::segments(disk, &dir).unwrap().last().unwrap());
    let mut problems = verify::verify(disk, &dir).unwrap().problems;
    problems.retain(|problem| !problem.file.ends_with(format!("{active}timeindex")));
    assert_eq!(problems, []);
}

/// A batch that should be there still.
#[derive(Clone, Debug)]
struct Kept {
    last_offset: i64,
    records: Vec<(i64, Entry)>,
    horizon: Option<i64>,
}

/// What the log should hold.
#[derive(Debug, Default)]
struct Model {
    batches: Vec<Kept>,
    end: i64,
}

impl Model {
    fn append(&mut self, entries: &[Entry]) {
        let records: Vec<_> = (self.end..).zip(entries.iter().copied()).collect();
        self.end += entries.len() as i64;
        self.batches.push(Kept { last_offset: self.end - 1, records, horizon: None });
    }

    /// A pass that covers all before `end`.
    fn compact(&mut self, end: i64, now_ms: i64) {
        let covered = self.batches.iter().flat_map(|batch| &batch.records);
        let covered = covered.filter(|(offset, _)| *offset < end);
        let newest: BTreeMap<u8, i64> = covered.map(|(offset, (key, _))| (*key, *offset)).collect();
        for batch in self.batches.iter_mut().filter(|batch| batch.last_offset < end) {
            let expired = batch.horizon.is_some_and(|horizon| horizon <= now_ms);
            batch.records.retain(|(offset, (key, value))| {
                newest[key] == *offset && (value.is_some() || !expired)
            });
            if batch.records.iter().any(|(_, (_, value))| value.is_none()) {
                batch.horizon.get_or_insert(now_ms + 1000);
            }
        }
    }

    /// A pass that ran out of room may have looked into the next batch: what that supersedes may
    /// be gone as well.
    fn allow(&mut self, found: &[(i64, Entry)]) {
        let all = self.records();
        for batch in &mut self.batches {
            batch.records.retain(|record| {
                let is_newer =
                    |other: &&(i64, Entry)| other.1.0 == record.1.0 && other.0 > record.0;
                found.contains(record) || !all.iter().any(|other| is_newer(&other))
            });
        }
    }

    fn records(&self) -> Vec<(i64, Entry)> {
        self.batches.iter().flat_map(|batch| batch.records.clone()).collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Entry>, Compression),
    /// After so many milliseconds, with room for so many slots.
    Compact(i64, usize),
    Restart,
    Kill,
    PowerCut(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let entry = (0u8..20, prop::option::weighted(0.8, 1u8..200));
    let codec = prop::sample::select(&Compression::ALL[..]);
    let batch = (prop::collection::vec(entry, 1..8), codec);
    prop_oneof![
        12 => batch.prop_map(|(entries, codec)| Step::Append(entries, codec)),
        3 => (0i64..1500, prop::sample::select(vec![16usize, 32, 1024]))
            .prop_map(|(later, slots)| Step::Compact(later, slots)),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::PowerCut),
    ]
}

fn run(steps: Vec<Step>) {
    let log_options = LogOptions { segment_bytes: 900, ..small() };
    let mut disk = MemoryDisk::new();
    let mut world = open(&disk, log_options.clone());
    let (mut model, mut now_ms, mut end) = (Model::default(), 0, 0);
    for step in steps {
        match step {
            Step::Append(entries, codec) => {
                commit(&world.log, keyed(&entries, codec));
                model.append(&entries);
            }
            Step::Compact(later, slots) => {
                now_ms += later;
                let options = CompactOptions { map_bytes_max: slots * 24, ..options() };
                let compacted =
                    world.log.compact(&options, now_ms, &HashMap::new(), &always).unwrap();
                assert!(compacted.end_offset >= end && compacted.bytes_after <= 2 * 900 * 40);
                end = compacted.end_offset;
                model.compact(end, now_ms);
                model.allow(&entries(&records(&world.log).0));
            }
            Step::Restart => world = restarted(&disk, world),
            Step::Kill => {
                disk = disk.after_kill();
                world = open(&disk, log_options.clone());
            }
            Step::PowerCut(seed) => {
                disk = disk.after_power_cut(seed);
                world = open(&disk, log_options.clone());
                // How far the log was compacted is a cache, and not synced.
                end = 0;
            }
        }
        assert!(world.report.damaged.is_empty() && world.report.cut.is_none());
        assert_eq!(entries(&records(&world.log).0), model.records());
        let offsets = world.log.offsets();
        assert_eq!((offsets.start.0, offsets.end.0), (0, model.end));
    }
    let world = restarted(&disk, world);
    let compacted = compact(&world);
    let segments = world.log.segments();
    assert_eq!(compacted.end_offset, segments.last().unwrap().base_offset);
    assert_eq!(world.log.dirty_ratio(), 0.0);
    model.compact(compacted.end_offset, 0);
    assert_eq!(entries(&records(&world.log).0), model.records());
    if model.end > 0 {
        is_sound(&disk);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_stays_is_the_newest_record_of_each_key(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        run(steps);
    }
}

/// Forty updates of four keys in segments of a few batches each, all but the last synced.
pub(super) fn updates(disk: &MemoryDisk, log_options: LogOptions) -> World {
    let world = open(disk, log_options);
    for value in 0..40u8 {
        let codec = Compression::ALL[usize::from(value) % 5];
        commit(&world.log, keyed(&[(value % 4, Some(value)), (9, None)], codec));
    }
    restarted(disk, world)
}

#[test]
fn small_neighbours_become_one_segment() {
    let disk = MemoryDisk::new();
    let world = updates(&disk, LogOptions { segment_bytes: 600, ..small() });
    let before = world.log.segments();
    let compacted = compact(&world);
    let after = world.log.segments();
    assert_eq!((compacted.segments_before, compacted.keys), (before.len() - 1, 5));
    assert!(compacted.bytes_after * 3 < compacted.bytes_before, "{compacted:?}");
    // Sizes before a pass say what fits: the next one sees what is left.
    while compact(&world).segments_after > 0 {}
    let sizes: Vec<u32> = world.log.segments().iter().map(|segment| segment.size_bytes).collect();
    let sealed = &sizes[..sizes.len() - 1];
    assert!(sealed.windows(2).all(|pair| pair[0] + pair[1] > 600), "{sizes:?}");
    assert_eq!(after.last(), before.last(), "the active segment is not touched");
    let (found, ends) = records(&world.log);
    assert!(found.len() < 20 && ends.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(
        compact(&world),
        Compacted {
            keys: 0,
            segments_before: 0,
            segments_after: 0,
            bytes_before: 0,
            bytes_after: 0,
            ..compact(&world)
        }
    );
    is_sound(&disk);
}

#[test]
fn gaps_are_no_torn_tail_whatever_became_of_the_durable_point() {
    let disk = MemoryDisk::new();
    let world = updates(&disk, LogOptions { segment_bytes: 600, ..small() });
    compact(&world);
    let before = entries(&records(&world.log).0);
    let disk = disk.after_power_cut(1);
    disk.remove_file(&Path::new(DIR).join("t-0/durable.klamm")).unwrap();
    let world = open(&disk, world.log.options());
    assert_eq!(entries(&records(&world.log).0), before);
    assert!(world.report.scanned_bytes >= world.log.size_bytes() && world.report.cut.is_none());
}

#[test]
fn records_without_a_key_go_and_batches_that_cannot_be_read_stay() {
    let disk = MemoryDisk::new();
    let world = open(&disk, LogOptions { segment_bytes: 300, ..small() });
    commit(&world.log, plain(1, 1));
    commit(&world.log, keyed(&[(1, Some(1))], Compression::None));
    while world.log.segments().len() < 4 {
        commit(&world.log, keyed(&[(1, Some(2))], Compression::None));
    }
    let world = restarted(&disk, world);
    compact(&world);
    let found = entries(&records(&world.log).0);
    assert!(found.iter().all(|(_, entry)| *entry == (1, Some(2))));
}

#[test]
fn the_last_batch_of_a_producer_stays_if_only_as_its_header() {
    let disk = MemoryDisk::new();
    let world = open(&disk, LogOptions { segment_bytes: 300, ..small() });
    for (id, value) in [(7, 1), (8, 2), (7, 3), (8, 4), (9, 5), (9, 6), (9, 7), (9, 8)] {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        builder.push(1000, Some(b"key"), Some(&[value; 40]), &[]).unwrap();
        let base_sequence = value.into();
        builder.set_producer(BatchProducer { id, epoch: 1, base_sequence });
        commit(&world.log, builder.build(0).unwrap());
    }
    let world = restarted(&disk, world);
    // Producer 7 has expired.
    let producers = HashMap::from([(8, 3), (9, 7)]);
    world.log.compact(&options(), 0, &producers, &always).unwrap();
    world.log.compact(&options(), 0, &producers, &always).unwrap();
    let mut headers = Vec::new();
    world.log.scan(0, |header, _| headers.push(*header)).unwrap();
    let of = |id| headers.iter().find(|header| header.producer_id == id);
    assert_eq!(of(7), None);
    let last = of(8).unwrap();
    assert_eq!((last.base_offset, last.last_sequence(), last.record_count), (3, 4, 0));
    is_sound(&disk);
}

#[test]
fn a_batch_with_more_keys_than_there_is_room_for_holds_up_nothing() {
    let disk = MemoryDisk::new();
    let world = open(&disk, small());
    let many: Vec<Entry> = (0..30).map(|key| (key, Some(key))).collect();
    for _ in 0..10 {
        commit(&world.log, keyed(&many, Compression::None));
    }
    let world = restarted(&disk, world);
    let tiny = CompactOptions { map_bytes_max: 1, ..options() };
    let mut end = 0;
    while end < world.log.segments().last().unwrap().base_offset {
        let compacted = world.log.compact(&tiny, 0, &HashMap::new(), &always).unwrap();
        assert!(compacted.end_offset > end);
        end = compacted.end_offset;
    }
    let mut newest = BTreeMap::new();
    newest.extend(entries(&records(&world.log).0).into_iter().map(|(at, (key, _))| (key, at)));
    let expected: BTreeMap<u8, i64> = (0..30).map(|key| (key, 270 + i64::from(key))).collect();
    assert_eq!(newest, expected);
}

#[test]
fn what_a_batch_with_more_keys_than_there_is_room_for_deletes_stays_deleted() {
    let disk = MemoryDisk::new();
    let world = open(&disk, LogOptions { segment_bytes: 600, ..small() });
    for key in 0..30 {
        commit(&world.log, keyed(&[(key, Some(key))], Compression::None));
    }
    let world = restarted(&disk, world);
    compact(&world);
    let deleted: Vec<Entry> = (0..30).map(|key| (key, None)).collect();
    commit(&world.log, keyed(&deleted, Compression::None));
    while world.log.segments().last().unwrap().base_offset < 60 {
        commit(&world.log, keyed(&[(99, Some(1))], Compression::None));
    }
    let world = restarted(&disk, world);
    let tiny = CompactOptions { map_bytes_max: 1, ..options() };
    // The first passes give the tombstones their horizon; those that follow are behind it.
    for now_ms in [0, 0, 5000, 5000] {
        world.log.compact(&tiny, now_ms, &HashMap::new(), &always).unwrap();
    }
    let found = entries(&records(&world.log).0);
    assert!(found.iter().all(|(_, (key, _))| *key == 99), "{found:?}");
}

#[test]
fn a_pass_that_could_not_replace_everything_is_done_again() {
    let disk = MemoryDisk::new();
    let world = updates(&disk, LogOptions { segment_bytes: 600, ..small() });
    let segments = world.log.segments();
    let (second, active) = (segments[1].base_offset, segments.last().unwrap().base_offset);
    // The pace is asked before each batch and at the end of each segment.
    let mut read_once = segments.len() - 1;
    world.log.scan(0, |header, _| read_once += usize::from(header.base_offset < active)).unwrap();
    // The first segment is deleted while it is being read for the second time.
    let calls = Cell::new(0);
    let pace = |_| {
        calls.set(calls.get() + 1);
        if calls.get() == read_once + 2 {
            world.log.delete_records(second).unwrap();
        }
        Pace::Go
    };
    let compacted = world.log.compact(&options(), 0, &HashMap::new(), &pace).unwrap();
    assert_eq!((compacted.end_offset, world.log.offsets().start.0), (0, second));
    assert_eq!(compact(&world).end_offset, active);
    let found = entries(&records(&world.log).0);
    let mut keys: Vec<u8> =
        found.iter().filter(|(at, _)| *at < active).map(|(_, (key, _))| *key).collect();
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count, "one record of each key: {found:?}");
    is_sound(&disk);
}

#[test]
fn how_long_something_has_waited_for_a_pass_is_known_after_a_crash() {
    let disk = MemoryDisk::new();
    let world = updates(&disk, LogOptions { segment_bytes: 600, ..small() });
    // The active segment has waited for less.
    let before = world.log.segments().len();
    while world.log.segments().len() == before {
        commit(&world.log, batch(&[15_000], 1, 100));
    }
    let disk = disk.after_kill();
    let world = open(&disk, LogOptions { segment_bytes: 600, ..small() });
    assert!(!world.report.clean);
    let lag_max = Duration::from_secs(10);
    let old = CompactOptions { lag_max, dirty_ratio_min: 1.0, ..options() };
    assert!(!world.log.should_compact(&old, 10_000));
    assert!(world.log.should_compact(&old, 20_000));
}

#[test]
fn a_pass_is_due_by_ratio_and_age_and_the_active_segment_is_rolled_for_it() {
    let disk = MemoryDisk::new();
    let world = updates(&disk, LogOptions { segment_bytes: 600, ..small() });
    assert!(world.log.should_compact(&options(), 0));
    let young = CompactOptions { lag_min: Duration::from_secs(1), ..options() };
    assert!(!world.log.should_compact(&young, 1001));
    compact(&world);
    assert!(!world.log.should_compact(&options(), i64::MAX));
    let old = CompactOptions { lag_max: Duration::from_secs(10), ..options() };
    assert!(!world.log.should_compact(&old, 10_000));
    assert!(world.log.should_compact(&old, 20_000));
    let large = CompactOptions { roll_bytes: Some(1), dirty_ratio_min: 0.1, ..options() };
    assert!(world.log.should_compact(&large, 0));
    assert!(!world.log.should_compact(&CompactOptions { dirty_ratio_min: 0.9, ..large }, 0));
    let before = world.log.segments().len();
    world.log.compact(&old, 20_000, &HashMap::new(), &always).unwrap();
    assert!(world.log.segments().last().unwrap().size_bytes == 0);
    assert!(world.log.segments().len() <= before + 1);
}

#[test]
fn rot_is_reported_and_not_compacted() {
    use crate::disk::OpenMode;
    let disk = MemoryDisk::new();
    let world = updates(&disk, LogOptions { segment_bytes: 600, ..small() });
    let path = Path::new(DIR).join("t-0/00000000000000000000.log");
    let file = disk.open(&path, OpenMode::Existing).unwrap();
    file.write_all_at(&[b"rot"], 70).unwrap();
    let failed = world.log.compact(&options(), 0, &HashMap::new(), &always);
    assert!(matches!(failed, Err(crate::CompactError::Corrupt(_))), "{failed:?}");
    assert!(world.log.fault().is_none());
    commit(&world.log, keyed(&[(1, None)], Compression::None));
}

#[test]
fn readers_and_writers_go_on_while_segments_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    // Few files may be open: readers have to open theirs again and again.
    let storage_options = StorageOptions { open_files_max: 64, ..StorageOptions::default() };
    let (disk, clock) = (Arc::new(RealDisk), Arc::new(ManualClock::at(1_000_000)));
    let storage = Storage::open(disk, dir.path(), &storage_options, clock).unwrap();
    let log_options = LogOptions { segment_bytes: 2000, ..small() };
    let (log, _) = storage.open_log("t-0", TOPIC, log_options, Arc::new(NoListener)).unwrap();
    commit(&log, keyed(&[(11, Some(1))], Compression::None));
    let write = || {
        for round in 0..20u8 {
            for value in 0..30u8 {
                let entries = [(value % 11, Some(value)), (11, Some(round))];
                commit(&log, keyed(&entries, Compression::Lz4));
            }
            log.compact(&options(), 0, &HashMap::new(), &always).unwrap();
        }
    };
    std::thread::scope(|scope| {
        let writer = scope.spawn(write);
        while !writer.is_finished() {
            let end = log.offsets().end.0;
            let (found, _) = records(&log);
            assert!(found.last().unwrap().offset + 1 >= end);
            let mut headers = 0;
            log.scan(0, |_, _| headers += 1).unwrap();
            assert!(headers > 0 && log.offset_for_timestamp(1011).unwrap().is_some());
            assert_eq!(log.max_timestamp().unwrap().unwrap().timestamp, 1011);
        }
    });
    storage.close().unwrap();
    let report = verify::verify(&RealDisk, &dir.path().join("t-0")).unwrap();
    assert_eq!(report.problems, []);
}
