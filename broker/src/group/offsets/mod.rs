//! The offsets that the groups of one partition of `__consumer_offsets` have committed. Pure.

mod pending;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use klamm_protocol::records::Outcome;
use klamm_protocol::wire::{Str, Uuid};

pub(crate) use pending::{Pending, Place};

/// How far a group has read a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The next record to read.
    pub(crate) offset: i64,
    /// Of the last record read; -1 where unknown.
    pub(crate) leader_epoch: i32,
    /// What the client wants to find again.
    pub(crate) metadata: Str,
    /// When it was committed, in milliseconds since 1970.
    pub(crate) committed_ms: i64,
    /// When the client wants it forgotten; without it the broker's retention counts.
    pub(crate) expires_ms: Option<i64>,
    /// The topic that was meant; zero in the records of old brokers.
    pub(crate) topic_id: Uuid,
}

impl Committed {
    /// The topic that was meant, if that is known.
    pub(crate) fn topic_id(&self) -> Option<Uuid> {
        (!self.topic_id.is_zero()).then_some(self.topic_id)
    }

    /// Whether it may be forgotten, if its retention began then.
    pub(crate) fn has_expired(&self, since_ms: i64, retention_ms: i64, now_ms: i64) -> bool {
        match self.expires_ms {
            Some(expires_ms) => now_ms >= expires_ms,
            None => now_ms.saturating_sub(since_ms) >= retention_ms,
        }
    }
}

/// What one group has committed, by topic and partition.
pub(crate) type GroupOffsets = BTreeMap<Str, BTreeMap<i32, Committed>>;

/// What all groups have committed. A group, or a topic of a group, without an offset takes no room.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Offsets {
    groups: HashMap<Str, GroupOffsets>,
    /// What transactions may still change.
    pub(crate) pending: Pending,
}

impl Offsets {
    /// Everything that a group has committed.
    pub(crate) fn of_group(&self, group: &str) -> Option<&GroupOffsets> {
        self.groups.get(group)
    }

    /// How far a group has read a partition.
    pub(crate) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.groups.get(group)?.get(topic)?.get(&partition)
    }

    /// The groups that have committed something.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&Str, &GroupOffsets)> {
        self.groups.iter()
    }

    /// Keeps a commit, in place of what the group had committed there.
    pub(crate) fn set(&mut self, group: &Str, topic: &Str, partition: i32, committed: Committed) {
        self.pending.supersede(group, topic, partition);
        if let Some(known) = self.get_mut(group, topic, partition) {
            *known = committed;
            return;
        }
        let topics = self.groups.entry(group.detached()).or_default();
        topics.entry(topic.detached()).or_default().insert(partition, committed);
    }

    /// Forgets what was committed for a place, also what transactions may still change; tells
    /// whether there was anything.
    pub(crate) fn remove(&mut self, group: &str, topic: &str, partition: i32) -> bool {
        let was_pending = self.pending.supersede(group, topic, partition);
        self.remove_committed(group, topic, partition) || was_pending
    }

    fn remove_committed(&mut self, group: &str, topic: &str, partition: i32) -> bool {
        let Some(topics) = self.groups.get_mut(group) else { return false };
        let Some(partitions) = topics.get_mut(topic) else { return false };
        let was_there = partitions.remove(&partition).is_some();
        if partitions.is_empty() {
            topics.remove(topic);
        }
        if topics.is_empty() {
            self.groups.remove(group);
        }
        was_there
    }

    /// Forgets everything that a group has committed, also what transactions may still change;
    /// tells for which partitions.
    pub(crate) fn take_group(&mut self, group: &str) -> BTreeSet<(Str, i32)> {
        let topics = self.groups.remove(group).unwrap_or_default().into_iter();
        let indexes = |(topic, partitions): (Str, BTreeMap<i32, Committed>)| {
            partitions.into_keys().map(move |index| (topic.clone(), index))
        };
        topics.flat_map(indexes).chain(self.pending.take_group(group)).collect()
    }

    /// A producer's transaction has ended. The groups for which something counts by that.
    pub(crate) fn end_transaction(&mut self, producer_id: i64, outcome: Outcome) -> BTreeSet<Str> {
        let mut groups = BTreeSet::new();
        for ((group, topic, partition), committed) in self.pending.end(producer_id, outcome) {
            groups.insert(group.clone());
            // What others committed there later, in transactions that are open, is still to come.
            match self.get_mut(&group, &topic, partition) {
                Some(known) => *known = committed,
                None => {
                    let topics = self.groups.entry(group).or_default();
                    topics.entry(topic).or_default().insert(partition, committed);
                }
            }
        }
        groups
    }

    fn get_mut(&mut self, group: &str, topic: &str, partition: i32) -> Option<&mut Committed> {
        self.groups.get_mut(group)?.get_mut(topic)?.get_mut(&partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(offset: i64) -> Committed {
        Committed {
            offset,
            leader_epoch: -1,
            metadata: "".into(),
            committed_ms: 1_000,
            expires_ms: None,
            topic_id: Uuid::ZERO,
        }
    }

    #[test]
    fn the_newest_commit_counts_until_it_is_forgotten() {
        let mut offsets = Offsets::default();
        let (group, topic) = ("g".into(), "t".into());
        offsets.set(&group, &topic, 0, committed(5));
        offsets.set(&group, &topic, 0, committed(3));
        offsets.set(&group, &topic, 1, committed(7));
        assert_eq!(offsets.get("g", "t", 0).map(|it| it.offset), Some(3));
        assert_eq!(offsets.get("g", "t", 2), None);
        assert!(offsets.remove("g", "t", 0) && !offsets.remove("g", "t", 0));
        assert!(offsets.remove("g", "t", 1) && !offsets.remove("h", "t", 1));
        assert_eq!(offsets, Offsets::default());
    }

    #[test]
    fn what_is_forgotten_is_forgotten_in_open_transactions_too() {
        let mut offsets = Offsets::default();
        let (group, topic) = ("g".into(), "t".into());
        let pend = |offsets: &mut Offsets, partition| {
            offsets.pending.add(1, (&group, &topic, partition), committed(5));
        };
        pend(&mut offsets, 0);
        assert!(offsets.remove("g", "t", 0) && !offsets.remove("g", "t", 0));
        pend(&mut offsets, 0);
        pend(&mut offsets, 1);
        offsets.set(&group, &topic, 2, committed(3));
        pend(&mut offsets, 2);
        let places = [0, 1, 2].map(|partition| (topic.clone(), partition));
        assert_eq!(offsets.take_group("g"), BTreeSet::from(places));
        assert_eq!(offsets.end_transaction(1, Outcome::Commit), BTreeSet::new());
        assert!(offsets.of_group("g").is_none());
    }

    #[test]
    fn the_client_may_say_when_a_commit_expires() {
        let check = |expires_ms, now_ms, expired| {
            let committed = Committed { expires_ms, ..committed(1) };
            let found = committed.has_expired(committed.committed_ms, 100, now_ms);
            assert_eq!(found, expired, "{expires_ms:?} {now_ms}");
        };
        check(None, 1_099, false);
        check(None, 1_100, true);
        check(Some(1_010), 1_009, false);
        check(Some(1_010), 1_010, true);
        check(Some(9_000), 1_200, false);
    }
}
