//! Offsets that groups have committed in transactions that are open. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use klamm_protocol::records::Outcome;
use klamm_protocol::wire::Str;

use super::Committed;

/// A group, a topic and a partition of it.
pub(crate) type Place = (Str, Str, i32);

/// What counts once the transactions of its producers are committed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pending {
    /// By place and the id of the producer, with the number of the commit among all.
    commits: BTreeMap<Place, BTreeMap<i64, (u64, Committed)>>,
    /// The places for which each producer has committed.
    producers: HashMap<i64, BTreeSet<Place>>,
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
        let commits = self.commits.entry(place.clone()).or_default();
        commits.insert(producer_id, (self.last, committed));
        self.producers.entry(producer_id).or_default().insert(place);
    }

    /// What was committed for a place before counts no more, whatever becomes of its transaction:
    /// somebody has committed there outside of any, or deleted what was there. Tells whether there
    /// was anything.
    pub(crate) fn supersede(&mut self, group: &str, topic: &str, partition: i32) -> bool {
        if self.commits.is_empty() {
            return false;
        }
        let place = place(group, topic, partition);
        let superseded = self.commits.remove(&place).unwrap_or_default();
        for producer_id in superseded.keys() {
            self.forget(*producer_id, &place);
        }
        !superseded.is_empty()
    }

    /// What was committed for a group counts no more; tells for which partitions.
    pub(crate) fn take_group(&mut self, group: &str) -> Vec<(Str, i32)> {
        let places = self.commits.range(place(group, "", i32::MIN)..);
        let places = places.take_while(|((known, _, _), _)| known.as_str() == group);
        let places = places.map(|((_, topic, partition), _)| (topic.clone(), *partition));
        let places: Vec<_> = places.collect();
        for (topic, partition) in &places {
            self.supersede(group, topic, *partition);
        }
        places
    }

    /// All that is pending, by group, topic and partition; several commits for one are possible.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Place, &Committed)> {
        let commits = self.commits.iter();
        commits.flat_map(|(place, by_producer)| by_producer.values().map(move |it| (place, &it.1)))
    }

    /// A producer's transaction ends. What counts from now on.
    pub(crate) fn end(&mut self, producer_id: i64, outcome: Outcome) -> Vec<(Place, Committed)> {
        let mut counts = Vec::new();
        for place in self.producers.remove(&producer_id).unwrap_or_default() {
            let Some(commits) = self.commits.get_mut(&place) else { continue };
            let ended = commits.remove(&producer_id).filter(|_| outcome == Outcome::Commit);
            let newest = ended.as_ref().map_or(0, |(number, _)| *number);
            // Others that were committed before and are still open come too late.
            let late = commits.iter().filter(|(_, (number, _))| *number < newest);
            let late: Vec<i64> = late.map(|(other, _)| *other).collect();
            commits.retain(|_, (number, _)| *number >= newest);
            if commits.is_empty() {
                self.commits.remove(&place);
            }
            late.into_iter().for_each(|other| self.forget(other, &place));
            counts.extend(ended.map(|(_, committed)| (place, committed)));
        }
        counts
    }

    /// Whether a transaction is open that may change what is committed for a place.
    pub(crate) fn contains(&self, group: &str, topic: &str, partition: i32) -> bool {
        !self.commits.is_empty() && self.commits.contains_key(&place(group, topic, partition))
    }

    /// Whether a transaction is open that may change what is committed for a group.
    pub(crate) fn has_group(&self, group: &str) -> bool {
        let first = self.commits.range(place(group, "", i32::MIN)..).next();
        first.is_some_and(|((known, _, _), _)| known.as_str() == group)
    }

    /// A producer's commit for a place counts no more.
    fn forget(&mut self, producer_id: i64, place: &Place) {
        if let Some(places) = self.producers.get_mut(&producer_id) {
            places.remove(place);
            if places.is_empty() {
                self.producers.remove(&producer_id);
            }
        }
    }
}

fn place(group: &str, topic: &str, partition: i32) -> Place {
    (group.into(), topic.into(), partition)
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
        assert!(pending.supersede("g", "t", 0) && !pending.supersede("g", "t", 0));
        check(pending.end(1, Outcome::Commit), &[(1, 6)]);
    }

    #[test]
    fn a_group_is_taken_out_whole_and_alone() {
        let mut pending = Pending::default();
        add(&mut pending, 1, 0, 5);
        add(&mut pending, 2, 0, 6);
        add(&mut pending, 1, 1, 7);
        pending.add(1, (&"h".into(), &"t".into(), 2), committed(8));
        assert_eq!(pending.take_group("f"), []);
        assert_eq!(pending.take_group("g"), [("t".into(), 0), ("t".into(), 1)]);
        assert!(!pending.has_group("g") && pending.iter().count() == 1);
        check(pending.end(2, Outcome::Commit), &[]);
        check(pending.end(1, Outcome::Commit), &[(2, 8)]);
    }
}
