//! What is forgotten unasked: offsets that expired or whose topic is gone, and groups that have
//! neither members nor offsets.

use std::collections::BTreeSet;

use klamm_protocol::wire::{Str, Uuid};

use super::coordinator::{Coordinator, Setting, Step};
use crate::group::classic::OffsetExpiry;
use crate::group::kind::Group;
use crate::group::offsets::{Committed, Place};
use crate::group::records::GroupRecord;

impl Coordinator {
    /// Forgets the offsets whose time is over, and then the groups that have nothing left.
    ///
    /// An offset expires a time after its group became empty, or after its commit if nobody ever
    /// joined the group. While consumers are in a group, only offsets of topics that none of them
    /// reads expire.
    pub(super) fn expire_offsets(&mut self, setting: Setting<'_>) -> Step {
        let mut step = Step::default();
        let mut expired: Vec<(Str, Str, i32)> = Vec::new();
        for (name, topics) in self.offsets.groups() {
            let Some(group) = self.groups.get(name) else { continue };
            for (topic, partitions) in topics {
                let is_over = |committed: &Committed| is_over(group, topic, committed, setting);
                let is_pending = |index| self.offsets.pending.contains(name, topic, index);
                let over = partitions.iter().filter(|(_, committed)| is_over(committed));
                let over = over.filter(|(index, _)| !is_pending(**index));
                expired.extend(over.map(|(index, _)| (name.clone(), topic.clone(), *index)));
            }
        }
        for (name, topic, partition) in expired {
            self.forget(&name, &topic, partition, &mut step);
        }
        self.erase_void_groups(&mut step);
        step
    }

    /// Forgets what was committed for topics that are gone, also in transactions that are open.
    /// Some records, those of old brokers and of clients that say how long to keep an offset, tell
    /// the name of a topic and not its id.
    pub(super) fn forget_topics(
        &mut self,
        is_gone: impl Fn(&str, Option<Uuid>) -> bool,
        step: &mut Step,
    ) {
        let mut gone: BTreeSet<Place> = BTreeSet::new();
        for (name, topics) in self.offsets.groups() {
            for (topic, partitions) in topics {
                let of_gone = partitions.iter().filter(|(_, it)| is_gone(topic, it.topic_id()));
                gone.extend(of_gone.map(|(index, _)| (name.clone(), topic.clone(), *index)));
            }
        }
        let pending = self.offsets.pending.iter();
        let pending = pending.filter(|((_, topic, _), it)| is_gone(topic, it.topic_id()));
        gone.extend(pending.map(|(place, _)| place.clone()));
        for (name, topic, partition) in gone {
            self.forget(&name, &topic, partition, step);
        }
    }

    fn forget(&mut self, group: &Str, topic: &Str, partition: i32, step: &mut Step) {
        if self.offsets.remove(group, topic, partition) {
            step.records.push(GroupRecord::offset_gone(group, topic, partition));
        }
    }

    fn erase_void_groups(&mut self, step: &mut Step) {
        let names = self.groups.keys();
        let void: Vec<Str> = names.filter(|name| self.is_void(name)).cloned().collect();
        for name in &void {
            self.erase_group(name, step);
        }
    }

    /// Whether a group has nothing left: no members, no ids that clients may still join with, and
    /// no offsets, not even in transactions that are open.
    pub(super) fn is_void(&self, name: &Str) -> bool {
        let is_unused = |group: &Group| group.is_empty() && !group.has_pending();
        let has_offsets =
            || self.offsets.of_group(name).is_some() || self.offsets.pending.has_group(name);
        self.groups.get(name).is_some_and(is_unused) && !has_offsets()
    }
}

fn is_over(group: &Group, topic: &str, it: &Committed, setting: Setting<'_>) -> bool {
    let since_ms = match group.offset_expiry() {
        OffsetExpiry::Never => return false,
        OffsetExpiry::SinceCommit => it.committed_ms,
        OffsetExpiry::Since(since_ms) => since_ms,
    };
    let retention = setting.config.offsets_retention.as_millis();
    let retention_ms = i64::try_from(retention).unwrap_or(i64::MAX);
    // Asked last: it looks at what all members subscribe to.
    let is_used = || !group.is_empty() && group.subscribes_to(topic);
    it.has_expired(since_ms, retention_ms, setting.now.unix_ms) && !is_used()
}
