//! What must be true of the records of a transactional id, whatever happened.

use std::collections::{BTreeSet, HashMap};

use klamm_protocol::records::Outcome;

use super::super::super::*;

/// How many transactions of each producer ended how.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ends(pub(super) HashMap<(i64, i16, bool), usize>);

impl Ends {
    pub(super) fn count(&mut self, producer: Producer, outcome: Outcome) {
        let key = (producer.id, producer.epoch, outcome == Outcome::Commit);
        *self.0.entry(key).or_default() += 1;
    }

    /// Whether each end that clients were told of took place.
    pub(super) fn include(&self, told: &Self) -> bool {
        told.0.iter().all(|(key, count)| self.0.get(key).is_some_and(|it| it >= count))
    }
}

/// Checks records against each other, and tells how transactions ended, under which producers they
/// were open.
pub(super) fn check(records: &[Snapshot]) -> Ends {
    let (mut ends, mut left) = (Ends::default(), BTreeSet::new());
    for pair in records.windows(2) {
        let [before, after] = pair else { continue };
        let context = format!("{before:?}\n{after:?}");
        check_producers(before, after, &mut left, &context);
        let is_same = before.partitions == after.partitions;
        match (before.state, after.state) {
            (State::Empty | State::Complete(_), State::Empty) => {}
            (State::Empty | State::Complete(_), State::Ongoing) => {
                assert!(!after.partitions.is_empty(), "{context}");
                assert_eq!(before.producer, after.producer, "{context}");
            }
            (State::Ongoing, State::Ongoing) => {
                let grows = |(topic, indexes): (_, &BTreeSet<i32>)| {
                    after.partitions.get(topic).is_some_and(|now| now.is_superset(indexes))
                };
                assert!(before.partitions.iter().all(grows) && !is_same, "{context}");
                assert_eq!(before.producer, after.producer, "{context}");
                assert_eq!(before.started_ms, after.started_ms, "{context}");
            }
            (State::Ongoing, State::Prepare(outcome)) => {
                assert!(is_same, "{context}");
                ends.count(before.producer, outcome);
            }
            (State::Empty | State::Complete(_), State::Prepare(outcome)) => {
                assert!(is_same && outcome == Outcome::Abort, "{context}");
                assert_eq!(after.generation, Generation::Second, "{context}");
                ends.count(before.producer, outcome);
            }
            (State::Prepare(decided), State::Complete(outcome)) => {
                assert!(after.partitions.is_empty() && decided == outcome, "{context}");
            }
            _ => panic!("no such change:\n{context}"),
        }
    }
    ends
}

fn check_producers(before: &Snapshot, after: &Snapshot, left: &mut BTreeSet<i64>, context: &str) {
    assert!(after.updated_ms >= before.updated_ms, "{context}");
    assert_eq!(after.previous_id, Some(before.producer.id), "{context}");
    if before.producer.id == after.producer.id {
        assert!(before.producer.epoch <= after.producer.epoch, "{context}");
    } else {
        left.insert(before.producer.id);
        assert!(!left.contains(&after.producer.id) && after.producer.epoch == 0, "{context}");
    }
}
