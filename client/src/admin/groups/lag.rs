//! How far groups are behind.

use std::collections::BTreeMap;

use klamm_protocol::wire::Str;
use klamm_utils::clock;

use super::{CommittedOffset, GroupDescription};
use crate::admin::{Admin, FoundOffset, OffsetSpec};
use crate::error::{Error, Result};
use crate::group_offsets::Offsets;

/// How far a group is behind in a partition: one that it has committed, or that a member has.
#[derive(Clone, Debug)]
pub struct PartitionLag {
    /// The topic.
    pub topic: Str,
    /// The partition's number.
    pub partition: i32,
    /// How far the group has read, where it has committed that.
    pub committed: Option<CommittedOffset>,
    /// One more than the last offset that consumers may see, or why it is not known.
    pub end_offset: Result<i64>,
    /// The id of the member that has the partition.
    pub member: Option<Str>,
}

impl PartitionLag {
    /// How many offsets lie between what the group has read and the end, where both are known.
    /// Below zero where the group has committed more than there is.
    #[must_use]
    pub fn lag(&self) -> Option<i64> {
        let committed = self.committed.as_ref()?.offset;
        Some(self.end_offset.as_ref().ok()? - committed)
    }
}

impl Admin {
    /// How far a group is behind, by topic and partition. `group` tells which partitions its
    /// members have.
    ///
    /// # Errors
    /// No broker answers, or the group may not be asked.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn group_lag(&self, group: &GroupDescription) -> Result<Vec<PartitionLag>> {
        let began = clock::now();
        let offsets = self.group_offsets(std::slice::from_ref(&group.id)).await?;
        let offsets = offsets.into_iter().next().map_or(Err(Error::Closed), |(_, told)| told)?;
        let mut known = known(group, offsets)?;
        let place = |(topic, index): &(Str, i32)| (topic.clone(), *index, OffsetSpec::Latest);
        let places: Vec<_> = known.keys().map(place).collect();
        let ends = self.since(began).list_offsets(&places).await?;
        Ok(ends.into_iter().filter_map(|(place, end)| behind(place, end, &mut known)).collect())
    }
}

/// What is known of each partition before its end is: how far the group has read, and the member
/// that has it.
type Known = BTreeMap<(Str, i32), (Option<CommittedOffset>, Option<Str>)>;

fn known(group: &GroupDescription, offsets: Offsets) -> Result<Known> {
    let mut known = Known::new();
    for (partition, outcome) in offsets {
        known.entry(partition).or_default().0 = outcome?;
    }
    for member in &group.members {
        for partition in member.assignment.iter().flatten() {
            known.entry(partition.clone()).or_default().1 = Some(member.id.clone());
        }
    }
    Ok(known)
}

fn behind(place: (Str, i32), end: Result<FoundOffset>, known: &mut Known) -> Option<PartitionLag> {
    let (committed, member) = known.remove(&place)?;
    let end_offset = end.map(|found| found.offset.unwrap_or(0));
    Some(PartitionLag { topic: place.0, partition: place.1, committed, end_offset, member })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{GroupMember, GroupState};

    #[test]
    fn what_is_committed_and_what_is_assigned_has_a_lag() {
        let place = |index| (Str::from("a"), index);
        let member = GroupMember {
            id: "m".into(),
            instance_id: None,
            client_id: "c".into(),
            host: "/h".into(),
            rack: None,
            epoch: None,
            assignment: Some(vec![place(1), place(2)]),
            target: None,
        };
        let group = GroupDescription {
            id: "g".into(),
            state: GroupState::Stable,
            protocol_type: "consumer".into(),
            protocol: "range".into(),
            epoch: None,
            coordinator: 1,
            members: vec![member],
        };
        let committed = |offset: i64| Ok(Some(CommittedOffset::from(offset)));
        let offsets = vec![(place(1), committed(5)), (place(0), committed(9))];
        let mut known = known(&group, offsets).unwrap();
        let found = FoundOffset { offset: Some(8), timestamp: None, leader_epoch: None };
        let lags = (0..4).filter_map(|index| behind(place(index), Ok(found), &mut known));
        let lags: Vec<_> = lags.collect();
        let told: Vec<_> =
            lags.iter().map(|lag| (lag.partition, lag.lag(), lag.member.is_some())).collect();
        assert_eq!(told, [(0, Some(-1), false), (1, Some(3), true), (2, None, true)]);
    }
}
