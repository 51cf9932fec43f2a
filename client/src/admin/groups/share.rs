//! Share groups (KIP-932): who is in them, and how far they are.

use klamm_protocol::api::describe_share_group_offsets::{self, DescribeShareGroupOffsets};
use klamm_protocol::api::share_group_describe::{self, ShareGroupDescribe};
use klamm_protocol::wire::Str;

use super::{GroupState, in_order};
use crate::admin::{Admin, Effect, Outcomes};
use crate::answer::{Answer, Origin};
use crate::error::{Result, Subject};

/// A share group and its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareGroupDescription {
    /// Its name.
    pub id: Str,
    /// What it is doing.
    pub state: GroupState,
    /// Rises whenever members or subscriptions change.
    pub epoch: i32,
    /// How partitions are assigned.
    pub assignor: Str,
    /// The node id of the broker that coordinates it.
    pub coordinator: i32,
    /// Its members.
    pub members: Vec<ShareGroupMember>,
}

/// A member of a share group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareGroupMember {
    /// The id that it has given itself.
    pub id: Str,
    /// The group's epoch that it has heard of.
    pub epoch: i32,
    /// Its client id.
    pub client_id: Str,
    /// The address it joined from.
    pub host: Str,
    /// Where it stands, if it says so.
    pub rack: Option<Str>,
    /// The topics it wants.
    pub topics: Vec<Str>,
    /// The partitions it reads, in order; others may read them, too.
    pub assignment: Vec<(Str, i32)>,
}

/// How far a share group is in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareOffset {
    /// Every record below it is done with; none where the group has not begun.
    pub start: Option<i64>,
    /// How many records are still to be done, where the broker says it.
    pub lag: Option<i64>,
}

/// How far a share group is in each partition that it has read.
type ShareOffsets = Outcomes<(Str, i32), ShareOffset>;

impl Admin {
    /// Share groups and their members.
    ///
    /// # Errors
    /// No broker answers. One that knows no share groups says so beside each.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn describe_share_groups(
        &self,
        groups: &[Str],
    ) -> Result<Outcomes<Str, ShareGroupDescription>> {
        self.by_coordinator(groups, Effect::Reads, async |node, groups| {
            let request = share_group_describe::Request {
                group_ids: groups,
                include_authorized_operations: false,
            };
            let Answer { body, origin } =
                self.kafka.call::<ShareGroupDescribe>(node, &request).await?;
            let described = body.groups.into_iter().map(|group| {
                let id = group.group_id.clone();
                (id, ShareGroupDescription::from_wire(group, node, &origin))
            });
            Ok(described.collect())
        })
        .await
    }

    /// How far share groups are in the partitions that they have read.
    ///
    /// # Errors
    /// No broker answers. One that knows no share groups says so beside each.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn share_group_offsets(&self, groups: &[Str]) -> Result<Outcomes<Str, ShareOffsets>> {
        self.by_coordinator(groups, Effect::Reads, async |node, groups| {
            let of_all = |group: &Str| describe_share_group_offsets::Group {
                group_id: group.clone(),
                topics: None,
            };
            let request = describe_share_group_offsets::Request {
                groups: groups.iter().map(of_all).collect(),
            };
            let Answer { body, origin } =
                self.kafka.call::<DescribeShareGroupOffsets>(node, &request).await?;
            Ok(body.groups.into_iter().map(|group| read_offsets(group, &origin)).collect())
        })
        .await
    }
}

impl ShareGroupDescription {
    fn from_wire(
        group: share_group_describe::GroupAnswer,
        coordinator: i32,
        origin: &Origin,
    ) -> Result<Self> {
        let subject = Subject::Name(group.group_id.clone());
        origin.check(group.error_code, group.error_message, subject)?;
        Ok(Self {
            id: group.group_id,
            state: GroupState::from_wire(group.group_state),
            epoch: group.group_epoch,
            assignor: group.assignor_name,
            coordinator,
            members: group.members.into_iter().map(ShareGroupMember::from_wire).collect(),
        })
    }
}

impl ShareGroupMember {
    fn from_wire(member: share_group_describe::Member) -> Self {
        let assigned = member.assignment.topic_partitions.into_iter();
        Self {
            id: member.member_id,
            epoch: member.member_epoch,
            client_id: member.client_id,
            host: member.client_host,
            rack: member.rack_id,
            topics: member.subscribed_topic_names,
            assignment: in_order(assigned.map(|it| (it.topic_name, it.partitions))),
        }
    }
}

fn read_offsets(
    group: describe_share_group_offsets::GroupAnswer,
    origin: &Origin,
) -> (Str, Result<ShareOffsets>) {
    let subject = Subject::Name(group.group_id.clone());
    let told = origin.check(group.error_code, group.error_message, subject);
    let known = |value: i64| (value >= 0).then_some(value);
    let offsets = group.topics.into_iter().flat_map(|topic| {
        let name = topic.topic_name;
        topic.partitions.into_iter().map(move |told| {
            let place = (name.clone(), told.partition_index);
            let subject = Subject::Partition(place.0.clone(), place.1);
            let offset = ShareOffset { start: known(told.start_offset), lag: known(told.lag) };
            let outcome = origin.check(told.error_code, told.error_message, subject);
            (place, outcome.map(|()| offset))
        })
    });
    (group.group_id, told.map(|()| offsets.collect()))
}

#[cfg(test)]
mod tests {
    use klamm_protocol::error_code::ErrorCode;

    use super::*;

    #[test]
    fn members_have_partitions_in_common() {
        let origin = Origin::of::<ShareGroupDescribe>(&"a:1".into());
        let member = |id: &str| share_group_describe::Member {
            member_id: id.into(),
            assignment: share_group_describe::Assignment {
                topic_partitions: vec![share_group_describe::TopicPartitions {
                    topic_name: "t".into(),
                    partitions: vec![1, 0],
                    ..Default::default()
                }],
            },
            ..Default::default()
        };
        let group = share_group_describe::GroupAnswer {
            group_id: "g".into(),
            group_state: "Stable".into(),
            members: vec![member("a"), member("b")],
            ..Default::default()
        };
        let described = ShareGroupDescription::from_wire(group.clone(), 1, &origin).unwrap();
        assert_eq!(described.state, GroupState::Stable);
        for member in &described.members {
            assert_eq!(member.assignment, [("t".into(), 0), ("t".into(), 1)]);
        }
        let error_code = ErrorCode::GROUP_ID_NOT_FOUND;
        let gone = share_group_describe::GroupAnswer { error_code, ..group };
        let error = ShareGroupDescription::from_wire(gone, 1, &origin).unwrap_err();
        assert!(error.to_string().contains("(ShareGroupDescribe at a:1)"), "{error}");
    }

    #[test]
    fn what_is_not_begun_has_no_offset() {
        let partition =
            |partition_index, start_offset, lag| describe_share_group_offsets::PartitionAnswer {
                partition_index,
                start_offset,
                lag,
                ..Default::default()
            };
        let topic = describe_share_group_offsets::TopicAnswer {
            topic_name: "t".into(),
            partitions: vec![partition(0, 7, 3), partition(1, -1, -1)],
            ..Default::default()
        };
        let group = describe_share_group_offsets::GroupAnswer {
            group_id: "g".into(),
            topics: vec![topic],
            ..Default::default()
        };
        let origin = Origin::of::<DescribeShareGroupOffsets>(&"a:1".into());
        let offsets = read_offsets(group, &origin).1.unwrap();
        let told: Vec<_> = offsets.into_iter().map(|(_, offset)| offset.unwrap()).collect();
        let begun = ShareOffset { start: Some(7), lag: Some(3) };
        assert_eq!(told, [begun, ShareOffset { start: None, lag: None }]);
    }
}
