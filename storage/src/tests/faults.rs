//! Every call of a script fails once, for a moment and for good.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::support::*;
use crate::disk::{Fault, FaultyDisk, MemoryDisk};
use crate::{Append, AppendError, Bound, Log, Outcome};

/// Appends, rolls, reads and retention. Returns what was acknowledged, by base offset and tag.
fn script(log: &Log) -> Vec<(i64, u8)> {
    let mut acknowledged = Vec::new();
    for tag in 0..40 {
        let Ok(ticket) = log.enqueue(Append::new(i32::from(tag) / 15, vec![plain(2, tag)])) else {
            continue;
        };
        let base = ticket.base_offset();
        if wait(ticket) == Outcome::Committed {
            acknowledged.push((base, tag));
        }
        if tag % 16 == 9 {
            let _ = log.read(base / 2, 500, true, Bound::HighWatermark);
            let _ = log.apply_retention(0);
        }
    }
    acknowledged
}

#[test]
fn a_run_that_could_not_be_noted_is_served_and_recovered_after_its_stop() {
    let stopped = MemoryDisk::new();
    let world = open(&stopped, small());
    let acknowledged = script(&world.log);
    world.storage.close().unwrap();
    let calls = {
        let disk = FaultyDisk::new(Arc::new(stopped.after_kill()));
        drop(try_open(Arc::new(disk.clone()), small()).unwrap());
        disk.calls()
    };
    let mut unnoted = 0;
    for first in 1..=calls {
        let memory = stopped.after_kill();
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        disk.fail(Some(Fault { first, count: 1, kind: ErrorKind::StorageFull }));
        let Ok(world) = try_open(Arc::new(disk.clone()), small()) else { continue };
        disk.fail(None);
        let place = format!("call {first} of {calls}");
        all_there(&world.log, &acknowledged, &place);
        world.storage.close().unwrap();
        let world = open(&memory, small());
        unnoted += usize::from(!world.storage.was_clean());
        all_there(&world.log, &acknowledged, &place);
    }
    assert!(unnoted > 0, "none of {calls} calls");
}

fn check(count: u64, kind: ErrorKind) {
    let calls = {
        let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
        let world = try_open(Arc::new(disk.clone()), small()).unwrap();
        assert_eq!(script(&world.log).len(), 40);
        disk.calls()
    };
    assert!(calls > 100);
    for first in 1..=calls {
        let memory = MemoryDisk::new();
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        disk.fail(Some(Fault { first, count, kind }));
        let Ok(world) = try_open(Arc::new(disk.clone()), small()) else { continue };
        let acknowledged = script(&world.log);
        let place = format!("call {first} of {calls}, {kind:?}");
        disk.fail(None);
        // What is committed stays readable even while the log takes no appends.
        all_there(&world.log, &acknowledged, &place);
        if kind == ErrorKind::StorageFull && world.log.fault().is_none() {
            commit(&world.log, plain(1, 77));
        }
        for restarted in [memory.after_power_cut(first), memory.after_kill()] {
            let world = open(&restarted, small());
            assert!(world.report.damaged.is_empty(), "{place}: {:?}", world.report);
            all_there(&world.log, &acknowledged, &place);
            commit(&world.log, plain(1, 78));
        }
        let is_told = || world.listener.failures.load(Ordering::SeqCst) > 0;
        // The committer poisons the log first and tells the listener then.
        while world.log.fault().is_some() && !is_told() {
            std::thread::yield_now();
        }
        assert_eq!(is_told(), world.log.fault().is_some(), "{place}");
        world.log.recover().unwrap();
        all_there(&world.log, &acknowledged, &place);
        commit(&world.log, plain(1, 79));
    }
}

fn all_there(log: &Log, acknowledged: &[(i64, u8)], place: &str) {
    let found = contents(log, Bound::HighWatermark);
    for (base, tag) in acknowledged {
        let there = found.contains(&(*base, base + 1, *tag));
        assert!(there, "{place}: lost {base}, tag {tag}, of {found:?}");
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
fn a_moment_without_space_loses_nothing() {
    check(1, ErrorKind::StorageFull);
}

#[test]
fn a_disk_that_stays_full_loses_nothing() {
    check(u64::MAX, ErrorKind::StorageFull);
}

#[test]
fn what_a_full_disk_left_half_done_is_not_forgotten_by_a_clean_stop() {
    let script_calls = {
        let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
        script(&try_open(Arc::new(disk.clone()), small()).unwrap().log);
        disk.calls()
    };
    for first in 1..=script_calls {
        let memory = MemoryDisk::new();
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        disk.fail(Some(Fault { first, count: u64::MAX, kind: ErrorKind::StorageFull }));
        let Ok(world) = try_open(Arc::new(disk.clone()), small()) else { continue };
        let acknowledged = script(&world.log);
        disk.fail(None);
        world.storage.close().unwrap();
        let world = open(&memory, small());
        // Small enough for what is left of a segment in which the others had no room.
        for tag in 50..53 {
            commit(&world.log, batch(&[1], tag, 1));
        }
        let before = contents(&world.log, Bound::HighWatermark);
        let world = open(&memory.after_kill(), small());
        let place = format!("call {first} of {script_calls}");
        assert_eq!(contents(&world.log, Bound::HighWatermark), before, "{place}");
        all_there(&world.log, &acknowledged, &place);
    }
}

#[test]
fn a_full_disk_refuses_appends_until_there_is_space() {
    let memory = MemoryDisk::with_capacity(3000);
    let world = open(&memory, small());
    let full = loop {
        match world.log.enqueue(Append::new(0, vec![plain(2, 1)])) {
            Ok(ticket) => assert_eq!(wait(ticket), Outcome::Committed),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, AppendError::Shortage(_)), "{full:?}");
    let before = contents(&world.log, Bound::HighWatermark);
    assert!(!before.is_empty());
    memory.set_capacity(100_000);
    commit(&world.log, plain(2, 2));
    assert_eq!(contents(&world.log, Bound::HighWatermark).len(), before.len() + 1);
    let world = open(&memory.after_power_cut(4), small());
    assert_eq!(contents(&world.log, Bound::HighWatermark).len(), before.len() + 1);
}

#[test]
fn a_failed_sync_makes_the_fate_of_appends_unknown_and_the_log_read_only() {
    // What the first sync leaves on the disk may come before the second batch or after it.
    assert!((0..100).any(|_| a_sync_failed()), "the fault has never met the sync");
}

/// Whether the fault met the sync of the second batch.
fn a_sync_failed() -> bool {
    let memory = MemoryDisk::new();
    let disk = FaultyDisk::new(Arc::new(memory.clone()));
    let world = try_open(Arc::new(disk.clone()), small()).unwrap();
    commit(&world.log, plain(1, 1));
    // The second batch costs one write; the next call is its sync.
    disk.fail(Some(Fault { first: disk.calls() + 2, count: 1, kind: ErrorKind::Other }));
    let Ok(ticket) = world.log.enqueue(Append::new(0, vec![plain(1, 2)])) else { return false };
    let outcome = wait(ticket);
    if world.log.fault().is_none() {
        // The call went to the sidecar of the first sync, which may fail.
        assert_eq!(outcome, Outcome::Committed);
        return false;
    }
    assert_eq!(outcome, Outcome::Unknown);
    let refused = world.log.enqueue(Append::new(0, vec![plain(1, 3)]));
    assert!(matches!(refused, Err(AppendError::Poisoned(_))));
    assert_eq!(contents(&world.log, Bound::HighWatermark), [(0, 0, 1)]);
    world.log.recover().unwrap();
    assert_eq!(commit(&world.log, plain(1, 4)), world.log.offsets().end.0 - 1);
    true
}
