//! A log against a plain list of batches, through random appends, cuts, deletions and restarts.

use proptest::prelude::*;

use super::support::*;
use crate::disk::MemoryDisk;
use crate::{Append, Bound, Durability, LogOptions, Outcome, ReadError};

#[derive(Clone, Debug)]
enum Step {
    Append { records: usize, wait: bool },
    AppendMany(usize),
    Truncate { to_percent: i64 },
    DeleteRecords { to_percent: i64 },
    Retention { keep: u64 },
    Options(Durability),
    CleanRestart,
    Kill,
    PowerCut(u64),
    Recover,
}

fn step() -> impl Strategy<Value = Step> {
    let durability = prop_oneof![Just(Durability::Synced), Just(Durability::OsCached)];
    prop_oneof![
        12 => (1usize..6, any::<bool>()).prop_map(|(records, wait)| Step::Append { records, wait }),
        3 => (1usize..4).prop_map(Step::AppendMany),
        1 => (0i64..=110).prop_map(|to_percent| Step::Truncate { to_percent }),
        1 => (0i64..=110).prop_map(|to_percent| Step::DeleteRecords { to_percent }),
        1 => (0u64..4000).prop_map(|keep| Step::Retention { keep }),
        1 => durability.prop_map(Step::Options),
        1 => Just(Step::CleanRestart),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::PowerCut),
        1 => Just(Step::Recover),
    ]
}

/// What the log should hold.
struct Model {
    /// Base offset, last offset and tag.
    batches: Vec<(i64, i64, u8)>,
    start: i64,
    /// Acknowledged up to here while synced: what a power cut must leave.
    promised: i64,
    tag: u8,
    options: LogOptions,
}

impl Model {
    fn end(&self) -> i64 {
        // A start that was made durable outlives the records before it.
        self.batches.last().map_or(0, |last| last.1 + 1).max(self.start)
    }

    fn push(&mut self, records: usize) -> klamm_protocol::records::Batch {
        self.tag = self.tag.wrapping_add(1);
        let base = self.end();
        self.batches.push((base, base + records as i64 - 1, self.tag));
        plain(records, self.tag)
    }

    fn percent(&self, percent: i64) -> i64 {
        self.start + (self.end() - self.start) * percent / 100
    }

    /// The batches that a reader from the start sees.
    fn visible(&self) -> Vec<(i64, i64, u8)> {
        self.batches.iter().copied().filter(|batch| batch.1 >= self.start).collect()
    }
}

fn run(steps: Vec<Step>) {
    let mut disk = MemoryDisk::new();
    let mut model = Model { batches: vec![], start: 0, promised: 0, tag: 0, options: small() };
    let mut world = open(&disk, small());
    for step in steps {
        match step {
            Step::Append { records, wait: waits } => {
                let ticket = append(&world.log, model.push(records));
                if waits {
                    let end = ticket.last_offset() + 1;
                    assert_eq!(wait(ticket), Outcome::Committed);
                    if model.options.durability == Durability::Synced {
                        model.promised = end;
                    }
                }
            }
            Step::AppendMany(batches) => {
                let batches = (0..batches).map(|_| model.push(2)).collect();
                drop(world.log.enqueue(Append::new(0, batches)).unwrap());
            }
            Step::Truncate { to_percent } => {
                let to = model.percent(to_percent);
                let end = world.log.truncate(to).unwrap().0;
                model.batches.retain(|batch| batch.1 < to);
                model.promised = model.promised.min(end);
                model.start = model.start.min(end);
            }
            Step::DeleteRecords { to_percent } => {
                let high_watermark = world.log.offsets().high_watermark.0;
                let to = model.percent(to_percent).min(high_watermark);
                model.start = world.log.delete_records(to).unwrap().0;
                assert!(model.start >= to);
            }
            Step::Retention { keep } => {
                let options = LogOptions { retention_bytes: Some(keep), ..model.options.clone() };
                world.log.set_options(options);
                world.log.apply_retention(0).unwrap();
                world.log.set_options(model.options.clone());
                model.start = world.log.offsets().start.0;
            }
            Step::Options(durability) => {
                model.options = with(durability);
                world.log.set_options(model.options.clone());
            }
            Step::CleanRestart => {
                world.storage.close().unwrap();
                world = open(&disk, model.options.clone());
                assert!(world.report.clean);
                model.promised = model.end();
            }
            Step::Kill => {
                disk = disk.after_kill();
                world = open(&disk, model.options.clone());
            }
            Step::PowerCut(seed) => {
                disk = disk.after_power_cut(seed);
                world = open(&disk, model.options.clone());
                let end = world.log.offsets().end.0;
                assert!(end >= model.promised, "lost {end}..{}", model.promised);
                model.batches.retain(|batch| batch.1 < end);
                model.start = world.log.offsets().start.0;
            }
            Step::Recover => {
                world.log.recover().unwrap();
            }
        }
        check(&world, &model);
    }
}

fn check(world: &World, model: &Model) {
    assert!(world.report.damaged.is_empty(), "{:?}", world.report);
    let offsets = world.log.offsets();
    assert_eq!(offsets.start.0, model.start.min(offsets.end.0));
    assert_eq!(contents(&world.log, Bound::End), model.visible());
    if !model.batches.is_empty() {
        assert_eq!(offsets.end.0, model.end());
    }
    for (base, last, _) in model.visible() {
        let slice = world.log.read(last, 1, true, Bound::End).unwrap();
        assert_eq!((slice.base_offset, slice.next_offset), (base, last + 1));
    }
    let beyond = world.log.read(offsets.end.0 + 1, 1, true, Bound::End);
    assert!(matches!(beyond, Err(ReadError::OffsetOutOfRange { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn a_log_is_a_list_of_batches(steps in proptest::collection::vec(step(), 1..60)) {
        run(steps);
    }
}
