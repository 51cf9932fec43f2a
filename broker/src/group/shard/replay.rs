//! From the records of a partition to its groups.

use std::collections::HashMap;

use klamm_protocol::records::{Batch, EndTransaction, Outcome};
use klamm_protocol::wire::Str;

use super::coordinator::{Coordinator, Setting};
use crate::group::classic::{ClassicGroup, Snapshot};
use crate::group::consumer::{Change, ConsumerGroup};
use crate::group::kind::Group;
use crate::group::offsets::Offsets;
use crate::group::records::{GroupRecord, RecordError};

/// A batch that holds more than this, decompressed, was not written here.
const BATCH_BYTES_MAX: usize = 1 << 30;

/// A group, as its records tell of it.
#[derive(Clone, Debug)]
enum Stored {
    Classic(Snapshot),
    Consumer(ConsumerGroup),
}

/// What the records that were read so far amount to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replay {
    groups: HashMap<Str, Stored>,
    offsets: Offsets,
    /// Records of kinds that are not known here.
    passed_over: usize,
}

impl crate::shard::serve::Replay for Replay {
    fn read(&mut self, batch: &Batch) {
        let header = batch.header();
        let offset = header.base_offset;
        let transaction = header.attributes.is_transactional().then_some(header.producer_id);
        let records = match batch.records(BATCH_BYTES_MAX) {
            Ok(records) => records,
            Err(error) => return tracing::error!(offset, %error, "a batch of group records"),
        };
        for record in records {
            if let (true, Ok(record)) = (header.attributes.is_control(), &record) {
                if let Some(end) = EndTransaction::parse(record) {
                    self.end_transaction(header.producer_id, end.outcome);
                }
                continue;
            }
            let decoded = match &record {
                Ok(record) => GroupRecord::decode(record),
                Err(error) => return tracing::error!(offset, %error, "a record of a group"),
            };
            match decoded {
                Ok(record) => self.apply_in(transaction, record),
                Err(RecordError::UnknownType(_)) => self.passed_over += 1,
                Err(error) => tracing::error!(offset, %error, "a record of a group"),
            }
        }
    }
}

impl Replay {
    /// Takes a record in that belongs to the transaction of a producer, or to none.
    pub(super) fn apply_in(&mut self, transaction: Option<i64>, record: GroupRecord) {
        match (transaction, record) {
            (Some(producer_id), GroupRecord::Offset(key, Some(value))) => {
                let place = (&key.group, &key.topic, key.partition);
                self.offsets.pending.add(producer_id, place, value.into());
            }
            (_, record) => self.apply(record),
        }
    }

    /// Takes the end of a producer's transaction in. What groups there are is seen at the end.
    pub(super) fn end_transaction(&mut self, producer_id: i64, outcome: Outcome) {
        drop(self.offsets.end_transaction(producer_id, outcome));
    }

    /// Takes a record in.
    pub(super) fn apply(&mut self, record: GroupRecord) {
        match record {
            GroupRecord::Offset(key, Some(value)) => {
                self.offsets.set(&key.group, &key.topic, key.partition, value.into());
            }
            GroupRecord::Offset(key, None) => {
                self.offsets.remove(&key.group, &key.topic, key.partition);
            }
            GroupRecord::Group(key, Some(value)) => {
                self.groups.insert(key.group.detached(), Stored::Classic(value.into()));
            }
            GroupRecord::Group(key, None) => {
                if let Some(Stored::Classic(_)) = self.groups.get(&key.group) {
                    self.groups.remove(&key.group);
                }
            }
            GroupRecord::Consumer(record) => {
                if let (group, Some(change)) = record.into_change() {
                    self.apply_change(group, change);
                }
            }
        }
    }

    /// What is no more makes no group.
    fn apply_change(&mut self, name: Str, change: Change) {
        let is_end = change == Change::Epoch(None);
        match self.groups.get_mut(&name) {
            Some(Stored::Consumer(_)) if is_end => drop(self.groups.remove(&name)),
            Some(Stored::Consumer(group)) => group.apply(change),
            _ if change.is_end() => {}
            _ => {
                let mut group = ConsumerGroup::default();
                group.apply(change);
                self.groups.insert(name, Stored::Consumer(group));
            }
        }
    }

    /// The groups as they were left. Sessions begin anew.
    pub(super) fn finish(self, setting: Setting<'_>) -> Coordinator {
        if self.passed_over > 0 {
            let records = self.passed_over;
            tracing::warn!(
                records,
                "records of groups of kinds that are not served were passed over"
            );
        }
        let (limits, now) = (setting.limits(), setting.now);
        let mut coordinator = Coordinator::with_offsets(self.offsets);
        for (name, stored) in self.groups {
            let group = match stored {
                Stored::Classic(snapshot) => {
                    Group::Classic(ClassicGroup::restore(snapshot, limits, now))
                }
                Stored::Consumer(group) => {
                    let limits = setting.consumer_limits(&name);
                    Group::Consumer(group.restored(setting.scope(&limits)))
                }
            };
            coordinator.put_group(&name, group);
        }
        // Who commits without joining has no record of a group.
        for name in coordinator.groupless_offsets() {
            let group = Group::Classic(ClassicGroup::new(limits, now));
            coordinator.put_group(&name, group);
        }
        coordinator
    }
}
