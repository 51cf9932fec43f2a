//! Offsets that groups have committed in transactions that are open. Pure.

use std::collections::{BTreeMap, HashMap};

use klamm_protocol::records::Outcome;
use klamm_protocol::wire::Str;

use super::Committed;

/// A group, a topic and a partition of it.
type Place = (Str, Str, i32);

/// What counts once the transactions of its producers are committed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pending {
    /// By the id of the producer, with the number of the commit among all.
    producers: HashMap<i64, BTreeMap<Place, (u64, Committed)>>,
    last: u64,
}

impl Pending {
    /// Keeps a commit of a producer's open transaction.
    pub(crate) fn add(
        &mut self,
        producer_id: i64,
        (group, topic, partition): (&Str, &Str, i32),
        committed: Committed,
    ) {
        self.last += 1;
        let place = (group.detached(), topic.detached(), partition);
        self.producers.entry(producer_id).or_default().insert(place, (self.last, committed));
    }

    /// What was committed for a place before counts no more, whatever becomes of its transaction:
    /// somebody has committed there outside of any, or deleted what was there.
    pub(crate) fn supersede(&mut self, group: &str, topic: &str, partition: i32) {
        self.retain(|place, _| !is_at(place, group, topic, partition));
    }

    /// A producer's transaction ends. What counts from now on.
    pub(crate) fn end(&mut self, producer_id: i64, outcome: Outcome) -> Vec<(Place, Committed)> {
        let ended = self.producers.remove(&producer_id).unwrap_or_default();
        if outcome == Outcome::Abort {
            return Vec::new();
        }
        let mut counts = Vec::with_capacity(ended.len());
        for (place, (number, committed)) in ended {
            // Others that were committed before and are still open come too late.
            self.retain(|other, at| *other != place || at > number);
            counts.push((place, committed));
        }
        counts
    }

    /// Whether a transaction is open that may change what is committed for a place.
    pub(crate) fn contains(&self, group: &str, topic: &str, partition: i32) -> bool {
        let mut places = self.producers.values().flat_map(BTreeMap::keys);
        places.any(|place| is_at(place, group, topic, partition))
    }

    /// Whether a transaction is open that may change what is committed for a group.
    pub(crate) fn has_group(&self, group: &str) -> bool {
        let mut places = self.producers.values().flat_map(BTreeMap::keys);
        places.any(|place| place.0 == *group)
    }

    fn retain(&mut self, keep: impl Fn(&Place, u64) -> bool) {
        self.producers.retain(|_, places| {
            places.retain(|place, (number, _)| keep(place, *number));
            !places.is_empty()
        });
    }
}

fn is_at((known_group, known_topic, index): &Place, group: &str, topic: &str, at: i32) -> bool {
    *known_group == *group && *known_topic == *topic && *index == at
}

#[cfg(test)]
mod tests {
    use klamm_protocol::wire::Uuid;

    use super::*;

    fn committed(offset: i64) -> Committed {
        Committed {
            offset,
            leader_epoch: -1,
            metadata: Str::default(),
            committed_ms: 0,
            expires_ms: None,
            topic_id: Uuid::ZERO,
        }
    }

    fn add(pending: &mut Pending, producer_id: i64, partition: i32, offset: i64) {
        pending.add(producer_id, (&"g".into(), &"t".into(), partition), committed(offset));
    }

    fn check(ended: Vec<(Place, Committed)>, expected: &[(i32, i64)]) {
        let ended = ended.into_iter().map(|((_, _, partition), it)| (partition, it.offset));
        assert_eq!(ended.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_committed_counts_and_what_is_aborted_does_not() {
        let mut pending = Pending::default();
        for producer_id in [1, 2] {
            add(&mut pending, producer_id, 0, 5);
            add(&mut pending, producer_id, 0, 7);
            add(&mut pending, producer_id, 3, 8);
            assert!(pending.contains("g", "t", 3) && pending.has_group("g"));
            assert!(!pending.contains("g", "t", 1) && !pending.has_group("h"));
            let (outcome, counts): (_, &[_]) = match producer_id {
                1 => (Outcome::Commit, &[(0, 7), (3, 8)]),
                _ => (Outcome::Abort, &[]),
            };
            check(pending.end(producer_id, outcome), counts);
            assert!(!pending.has_group("g"));
        }
        check(pending.end(9, Outcome::Commit), &[]);
    }

    #[test]
    fn the_newest_commit_counts_whichever_transaction_ends_first() {
        let mut pending = Pending::default();
        add(&mut pending, 1, 0, 5);
        add(&mut pending, 2, 0, 6);
        add(&mut pending, 1, 1, 7);
        check(pending.end(2, Outcome::Commit), &[(0, 6)]);
        check(pending.end(1, Outcome::Commit), &[(1, 7)]);
        add(&mut pending, 1, 0, 5);
        add(&mut pending, 2, 0, 6);
        check(pending.end(1, Outcome::Commit), &[(0, 5)]);
        check(pending.end(2, Outcome::Commit), &[(0, 6)]);
    }

    #[test]
    fn a_commit_outside_of_transactions_comes_before_those_that_were_there() {
        let mut pending = Pending::default();
        add(&mut pending, 1, 0, 5);
        add(&mut pending, 1, 1, 6);
        pending.supersede("g", "t", 0);
        check(pending.end(1, Outcome::Commit), &[(1, 6)]);
    }
}
