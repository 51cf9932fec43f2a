//! Compaction of transactions, with the eyes of a reader of committed records.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use klamm_protocol::records::{
    Batch, BatchBuilder, BatchOptions, BatchProducer, EndTransaction, Outcome as End, batches,
};
use proptest::prelude::*;

use super::compaction::{Entry, always, entries, is_sound, options};
use super::support::*;
use crate::disk::{Disk as _, Fault, FaultyDisk, MemoryDisk};
use crate::{AbortedTransaction, Bound, Log, LogOptions};

/// Something happens to a log.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A producer writes in its transaction, or outside of any.
    Write(Option<i64>, Entry),
    End(i64, End),
}

fn event() -> impl Strategy<Value = Event> {
    let entry = || (0..4u8, prop::option::weighted(0.9, any::<u8>()));
    let outcome = prop_oneof![Just(End::Commit), Just(End::Abort)];
    prop_oneof![
        1 => entry().prop_map(|entry| Event::Write(None, entry)),
        3 => (1..4i64, entry()).prop_map(|(id, entry)| Event::Write(Some(id), entry)),
        2 => (1..4i64, outcome).prop_map(|(id, outcome)| Event::End(id, outcome)),
    ]
}

/// A log, and what readers of committed records should see of it.
struct Scene {
    world: World,
    /// Where the transactions of producers begin that are open.
    open: BTreeMap<i64, i64>,
    /// Every record, and the producer whose transaction is open that it belongs to.
    written: BTreeMap<i64, (Option<i64>, Entry)>,
}

impl Scene {
    fn new(disk: &MemoryDisk) -> Self {
        let world = open(disk, LogOptions { segment_bytes: 700, ..small() });
        Self { world, open: BTreeMap::new(), written: BTreeMap::new() }
    }

    fn take(&mut self, event: Event) {
        let log = &self.world.log;
        match event {
            Event::Write(producer, entry) => {
                let offset = commit(log, data(producer, entry));
                if let Some(id) = producer {
                    self.open.entry(id).or_insert(offset);
                }
                self.written.insert(offset, (producer, entry));
            }
            Event::End(id, outcome) => {
                let end = EndTransaction { outcome, coordinator_epoch: 0 };
                let last_offset = commit(log, end.batch(id, 0, 1000).unwrap());
                let first_offset = self.open.remove(&id);
                let first_open = self.open.values().min().copied();
                if let (End::Abort, Some(first_offset)) = (outcome, first_offset) {
                    let stable_offset = first_open.unwrap_or(last_offset + 1);
                    let aborted = AbortedTransaction {
                        producer_id: id,
                        first_offset,
                        last_offset,
                        stable_offset,
                    };
                    log.add_aborted(&aborted).unwrap();
                }
                self.written.retain(|_, (owner, _)| *owner != Some(id) || outcome == End::Commit);
                for (owner, _) in self.written.values_mut() {
                    owner.take_if(|owner| *owner == id);
                }
            }
        }
        log.set_stable_offset(self.open.values().min().copied());
    }

    /// What counts, before anything is compacted.
    fn expected(&self) -> Vec<(i64, Entry)> {
        let stable = self.world.log.offsets().stable.0;
        self.written.range(..stable).map(|(offset, (_, entry))| (*offset, *entry)).collect()
    }
}

fn data(producer: Option<i64>, (key, value): Entry) -> Batch {
    let transactional = producer.is_some();
    let mut builder = BatchBuilder::new(BatchOptions { transactional, ..BatchOptions::default() });
    if let Some(id) = producer {
        builder.set_producer(BatchProducer { id, epoch: 0, base_sequence: 0 });
    }
    let value = value.map(|value| vec![value; 30]);
    builder.push(1000, Some(&[key]), value.as_deref(), &[]).unwrap();
    builder.build(0).unwrap()
}

/// What a reader sees who does as Kafka's consumer: it reads piece by piece, and passes over what
/// is of an aborted transaction until the marker comes by.
fn committed(log: &Log) -> Vec<(i64, Entry)> {
    let (mut at, mut found) = (log.offsets().start.0, Vec::new());
    loop {
        let slice = log.read(at, 300, true, Bound::Stable).unwrap();
        if slice.bytes.is_empty() {
            return entries(&found);
        }
        let mut aborted = VecDeque::from(log.aborted(at..slice.next_offset).unwrap());
        let mut passed_over = HashSet::new();
        for batch in batches(slice.bytes.clone()) {
            let batch = batch.unwrap();
            let header = batch.header();
            let begins = |it: &mut AbortedTransaction| it.first_offset <= header.last_offset();
            while let Some(begun) = aborted.pop_front_if(begins) {
                passed_over.insert(begun.producer_id);
            }
            let records = batch.records(1 << 20).unwrap().map(Result::unwrap);
            if header.attributes.is_control() {
                let ends: Vec<_> = records.filter_map(|it| EndTransaction::parse(&it)).collect();
                if ends.iter().any(|end| end.outcome == End::Abort) {
                    passed_over.remove(&header.producer_id);
                }
            } else if !header.attributes.is_transactional()
                || !passed_over.contains(&header.producer_id)
            {
                found.extend(records);
            }
        }
        at = slice.next_offset;
    }
}

/// The newest value of each key.
fn table(records: &[(i64, Entry)]) -> BTreeMap<u8, u8> {
    let mut table = BTreeMap::new();
    for (_, (key, value)) in records {
        match value {
            Some(value) => table.insert(*key, *value),
            None => table.remove(key),
        };
    }
    table
}

/// The offsets of markers, and of records of transactions.
fn transactional(log: &Log) -> (Vec<i64>, Vec<i64>) {
    let (mut at, mut markers, mut data) = (log.offsets().start.0, Vec::new(), Vec::new());
    loop {
        let slice = log.read(at, 300, true, Bound::Stable).unwrap();
        if slice.bytes.is_empty() {
            return (markers, data);
        }
        for batch in batches(slice.bytes.clone()).map(Result::unwrap) {
            let header = batch.header();
            match header.attributes.is_control() {
                true => markers.push(header.base_offset),
                false if header.attributes.is_transactional() => data.push(header.base_offset),
                false => {}
            }
        }
        at = slice.next_offset;
    }
}

/// Compacts at that time, in milliseconds; tombstones and markers stay for a second.
fn compact(log: &Log, now_ms: i64) {
    log.compact(&options(), now_ms, &HashMap::new(), &always).unwrap();
}

/// What readers see, how much is there still, and what is noted, fit together.
fn check(world: &World, expected: &[(i64, Entry)]) {
    let seen = committed(&world.log);
    assert_eq!(table(&seen), table(expected));
    assert!(seen.iter().all(|record| expected.contains(record)), "{seen:?} of {expected:?}");
    let (markers, _) = transactional(&world.log);
    let noted = world.log.aborted(0..world.log.offsets().stable.0).unwrap();
    let has_marker = |it: &AbortedTransaction| {
        it.last_offset >= world.log.offsets().stable.0 || markers.contains(&it.last_offset)
    };
    assert!(noted.iter().all(has_marker), "{noted:?} with {markers:?}");
}

fn restarted(disk: &MemoryDisk, world: World, stable: Option<i64>) -> World {
    let world = super::compaction::restarted(disk, world);
    world.log.set_stable_offset(stable);
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn readers_of_committed_records_see_what_counts_before_and_after(
        events in prop::collection::vec(event(), 1..120), passes in prop::collection::vec(0..3000i64, 1..4),
    ) {
        let disk = MemoryDisk::new();
        let mut scene = Scene::new(&disk);
        for event in events {
            scene.take(event);
        }
        let expected = scene.expected();
        prop_assert_eq!(&committed(&scene.world.log), &expected);
        let stable = scene.open.values().min().copied();
        let mut world = restarted(&disk, scene.world, stable);
        let mut now_ms = 0;
        for pass in passes {
            now_ms += pass;
            compact(&world.log, now_ms);
            check(&world, &expected);
            world = restarted(&disk, world, stable);
            check(&world, &expected);
        }
        is_sound(&disk);
    }
}

/// A stopped log with aborted, committed and plain records of the same few keys.
fn stopped() -> (MemoryDisk, Vec<(i64, Entry)>) {
    let disk = MemoryDisk::new();
    let mut scene = Scene::new(&disk);
    for round in 0..12u8 {
        let id = i64::from(round % 3) + 1;
        let outcome = if round % 2 == 0 { End::Abort } else { End::Commit };
        scene.take(Event::Write(Some(id), (round % 4, Some(round))));
        scene.take(Event::Write(None, (round % 5, Some(100 + round))));
        scene.take(Event::Write(Some(id), (round % 3, Some(round))));
        scene.take(Event::End(id, outcome));
    }
    scene.world.log.sync_aborted().unwrap();
    let expected = scene.expected();
    scene.world.storage.close().unwrap();
    (disk, expected)
}

#[test]
fn aborted_records_go_at_once_and_markers_when_nobody_needs_them() {
    let (disk, expected) = stopped();
    let world = open(&disk, LogOptions { segment_bytes: 700, ..small() });
    let (markers, data) = transactional(&world.log);
    compact(&world.log, 0);
    check(&world, &expected);
    let (markers_left, data_left) = transactional(&world.log);
    assert_eq!(markers_left, markers);
    assert!(data_left.len() < data.len());
    // The second pass finds markers without records, the third those that have waited long enough.
    let world = restarted(&disk, world, None);
    compact(&world.log, 0);
    assert_eq!(transactional(&world.log).0, markers);
    check(&world, &expected);
    compact(&world.log, 2000);
    assert!(transactional(&world.log).0.len() < markers.len());
    check(&world, &expected);
}

fn passes(log: &Log) -> Result<(), crate::CompactError> {
    for now_ms in [0, 0, 2000] {
        log.compact(&options(), now_ms, &HashMap::new(), &always)?;
    }
    Ok(())
}

/// It left what it had written, as much as a segment, where the disk was full.
#[test]
fn a_pass_that_fails_leaves_nothing_beside_the_log() {
    let log_options = || LogOptions { segment_bytes: 1500, ..small() };
    let mut failures = 0;
    for call in 1.. {
        let (memory, _) = stopped();
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        let world = try_open(Arc::new(disk.clone()), log_options()).unwrap();
        let first = disk.calls() + call;
        disk.fail(Some(Fault { first, count: 1, kind: ErrorKind::StorageFull }));
        let passed = passes(&world.log);
        if disk.calls() < first {
            break;
        }
        // What is done about a log that has failed is done when it is opened again.
        if passed.is_ok() || world.log.fault().is_some() {
            continue;
        }
        failures += 1;
        let left = memory.list(&Path::new(DIR).join("t-0")).unwrap();
        let aside = left.iter().find(|entry| entry.name.ends_with(".cleaned"));
        assert!(aside.is_none(), "call {call}: {aside:?}");
    }
    assert!(failures > 10, "{failures}");
}

#[test]
fn a_power_cut_at_any_step_shows_nobody_what_was_aborted() {
    let log_options = || LogOptions { segment_bytes: 1500, ..small() };
    let calls = {
        let disk = FaultyDisk::new(Arc::new(stopped().0));
        let world = try_open(Arc::new(disk.clone()), log_options()).unwrap();
        let calls = disk.calls();
        passes(&world.log).unwrap();
        disk.calls() - calls
    };
    for call in 1..=calls {
        let (memory, expected) = stopped();
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        let world = try_open(Arc::new(disk.clone()), log_options()).unwrap();
        let first = disk.calls() + call;
        disk.fail(Some(Fault { first, count: u64::MAX, kind: ErrorKind::Other }));
        // Whether the call mattered is seen in what is left.
        let _ = passes(&world.log);
        disk.fail(None);
        let cuts = (0..4).map(|cut| memory.after_power_cut(call * 4 + cut));
        for left in cuts.chain([memory.after_kill()]) {
            let world = open(&left, log_options());
            check(&world, &expected);
            passes(&world.log).unwrap();
            check(&world, &expected);
            is_sound(&left);
        }
    }
}
