//! What can happen to a group: one change for each kind of record.

use std::collections::{BTreeMap, BTreeSet};

use klamm_protocol::wire::{Str, Uuid};

use super::ConsumerGroup;
use super::member::{Current, Member, Subscription};

/// A partition of a topic: the topic's id, and the index.
pub(crate) type TopicPartition = (Uuid, i32);

/// Partitions, each once.
pub(crate) type Partitions = BTreeSet<TopicPartition>;

/// Partitions that a member holds, and the epochs of the targets by which it got them.
pub(crate) type Held = BTreeMap<TopicPartition, i32>;

/// What is said of partitions, by their topics. Those of one topic come one after the other.
pub(crate) fn by_topic<T>(of_topics: impl IntoIterator<Item = (Uuid, T)>) -> Vec<(Uuid, Vec<T>)> {
    let mut topics: Vec<(Uuid, Vec<T>)> = Vec::new();
    for (id, said) in of_topics {
        match topics.last_mut().filter(|(last, _)| *last == id) {
            Some((_, known)) => known.push(said),
            None => topics.push((id, vec![said])),
        }
    }
    topics
}

/// Where a group is when it is new. Members are at epoch 0 only until they have joined.
const FIRST_EPOCH: i32 = 1;

/// Where a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupEpoch {
    /// Goes up with every change of who reads what.
    pub(crate) epoch: i32,
    /// Over the topics that the group reads.
    pub(crate) metadata_hash: i64,
}

impl Default for GroupEpoch {
    fn default() -> Self {
        Self { epoch: FIRST_EPOCH, metadata_hash: 0 }
    }
}

/// Where the target of a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TargetEpoch {
    /// The epoch of the group that the target was made for.
    pub(crate) epoch: i32,
    /// When it was made, by the wall clock.
    pub(crate) assigned_ms: i64,
}

impl Default for TargetEpoch {
    fn default() -> Self {
        Self { epoch: FIRST_EPOCH, assigned_ms: 0 }
    }
}

/// What a pattern stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Matches {
    pub(crate) topics: BTreeSet<Str>,
    /// The version of the topics that were looked at.
    pub(crate) version: i64,
    /// When, by the wall clock.
    pub(crate) matched_ms: i64,
}

/// A change of a group. Without a content, what it is about is no more.
#[expect(clippy::large_enum_variant, reason = "few are there at a time")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The group has changed.
    Epoch(Option<GroupEpoch>),
    /// A member says something of itself.
    Member(Str, Option<Subscription>),
    /// There is a new target.
    TargetEpoch(Option<TargetEpoch>),
    /// What a member shall hold.
    Target(Str, Option<Partitions>),
    /// What a member holds.
    Current(Str, Option<Current>),
    /// What a pattern stands for.
    Pattern(Str, Option<Matches>),
}

impl Change {
    /// Whether something is no more.
    pub(crate) fn is_end(&self) -> bool {
        match self {
            Self::Epoch(it) => it.is_none(),
            Self::Member(_, it) => it.is_none(),
            Self::TargetEpoch(it) => it.is_none(),
            Self::Target(_, it) => it.is_none(),
            Self::Current(_, it) => it.is_none(),
            Self::Pattern(_, it) => it.is_none(),
        }
    }
}

impl ConsumerGroup {
    /// Does what a change says. Sessions and deadlines are not touched.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Epoch(epoch) => self.epoch = epoch.unwrap_or_default(),
            Change::TargetEpoch(epoch) => self.target_epoch = epoch.unwrap_or_default(),
            Change::Member(id, Some(subscription)) => self.put_member(id, subscription),
            Change::Member(id, None) => self.drop_member(&id),
            Change::Target(id, Some(target)) => drop(self.targets.insert(id, target)),
            Change::Target(id, None) => drop(self.targets.remove(&id)),
            Change::Current(id, Some(current)) => self.put_current(id, current),
            Change::Current(id, None) => self.drop_current(&id),
            Change::Pattern(pattern, Some(matches)) => {
                self.patterns.insert(pattern, matches);
            }
            Change::Pattern(pattern, None) => drop(self.patterns.remove(&pattern)),
        }
    }

    fn put_member(&mut self, id: Str, subscription: Subscription) {
        let member = self.members.entry(id.clone()).or_insert_with(Member::new);
        let before = std::mem::replace(&mut member.subscription, subscription);
        let now = member.subscription.instance_id.clone();
        self.release_instance(before.instance_id, &id);
        if let Some(instance_id) = now {
            self.static_ids.insert(instance_id, id);
        }
    }

    fn drop_member(&mut self, id: &Str) {
        self.drop_current(id);
        if let Some(member) = self.members.remove(id) {
            self.release_instance(member.subscription.instance_id, id);
        }
    }

    /// A successor may have taken the instance id over already.
    fn release_instance(&mut self, instance_id: Option<Str>, id: &Str) {
        if let Some(instance_id) = instance_id
            && self.static_ids.get(&instance_id) == Some(id)
        {
            self.static_ids.remove(&instance_id);
        }
    }

    /// After a compaction, what a member holds may be read before what it says of itself.
    fn put_current(&mut self, id: Str, current: Current) {
        self.drop_current(&id);
        for partition in current.assigned.keys().chain(current.revoking.keys()) {
            self.holders.insert(*partition, id.clone());
        }
        self.members.entry(id).or_insert_with(Member::new).current = current;
    }

    /// What another holds by now stays with the other: after a compaction, a release may be read
    /// after the gain that followed it.
    fn drop_current(&mut self, id: &Str) {
        let Some(member) = self.members.get_mut(id) else { return };
        let before = std::mem::take(&mut member.current);
        for partition in before.assigned.keys().chain(before.revoking.keys()) {
            if self.holders.get(partition) == Some(id) {
                self.holders.remove(partition);
            }
        }
    }

    /// Whether somebody else holds a partition.
    pub(super) fn is_held_by_other(&self, partition: &TopicPartition, id: &str) -> bool {
        self.holders.get(partition).is_some_and(|holder| &**holder != id)
    }
}
