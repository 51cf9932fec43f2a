//! Who is in a group.

use klamm_protocol::api::consumer_group_describe::{self, ConsumerGroupDescribe};
use klamm_protocol::api::describe_groups::{self, DescribeGroups};
use klamm_protocol::consumer_protocol::Assignment;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::{GroupState, in_order};
use crate::admin::{Admin, Effect, Outcomes, to_each};
use crate::answer::{Answer, Origin};
use crate::error::{Error, Result, Subject};

/// The protocol type of groups that read topics.
pub(super) const CONSUMER: &str = "consumer";

/// A group and its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its name.
    pub id: Str,
    /// What it is doing.
    pub state: GroupState,
    /// What its members are: `consumer`, `connect` and so on.
    pub protocol_type: Str,
    /// How partitions are assigned: in a classic group as its members agreed, and empty unless it
    /// is stable.
    pub protocol: Str,
    /// Rises whenever members or subscriptions change; none in a classic group.
    pub epoch: Option<i32>,
    /// The node id of the broker that coordinates it.
    pub coordinator: i32,
    /// Its members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// The id that the coordinator gave it.
    pub id: Str,
    /// Its own name, where it is a static member.
    pub instance_id: Option<Str>,
    /// Its client id.
    pub client_id: Str,
    /// The address it joined from.
    pub host: Str,
    /// Where it stands, if it says so; none in a classic group.
    pub rack: Option<Str>,
    /// The group's epoch that it has heard of; none in a classic group.
    pub epoch: Option<i32>,
    /// The partitions it has, in order. None in a group whose members are no consumers.
    pub assignment: Option<Vec<(Str, i32)>>,
    /// The partitions it is to have in the end, in order; none in a classic group.
    pub target: Option<Vec<(Str, i32)>>,
}

impl Admin {
    /// Groups and their members, of the consumer protocol (KIP-848) and of the classic one. A group
    /// that does not exist is an error.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn describe_groups(&self, groups: &[Str]) -> Result<Outcomes<Str, GroupDescription>> {
        self.by_coordinator(groups, Effect::Reads, async |node, groups| {
            let (mut described, classic) = self.describe_consumer_groups(node, groups).await?;
            if !classic.is_empty() {
                let told = self.describe_classic_groups(node, classic.clone()).await;
                described.extend(to_each(classic, told));
            }
            Ok(described)
        })
        .await
    }

    /// What a broker tells of the groups that speak the consumer protocol, and those that do not.
    async fn describe_consumer_groups(
        &self,
        node: i32,
        groups: Vec<Str>,
    ) -> Result<(Outcomes<Str, GroupDescription>, Vec<Str>)> {
        let request = consumer_group_describe::Request {
            group_ids: groups.clone(),
            include_authorized_operations: false,
        };
        let answer = self.kafka.call::<ConsumerGroupDescribe>(node, &request).await;
        let Answer { body, origin } = match answer {
            // It does not know the protocol, or was not told to speak it.
            Err(Error::Unsupported { .. }) => return Ok((Vec::new(), groups)),
            answer => answer?,
        };
        let (mut described, mut others) = (Vec::new(), Vec::new());
        for group in body.groups {
            let id = group.group_id.clone();
            match group.error_code {
                // A classic group may have no name.
                ErrorCode::GROUP_ID_NOT_FOUND
                | ErrorCode::UNSUPPORTED_VERSION
                | ErrorCode::INVALID_GROUP_ID => others.push(id),
                _ => described.push((id, GroupDescription::of_consumers(group, node, &origin))),
            }
        }
        Ok((described, others))
    }

    async fn describe_classic_groups(
        &self,
        node: i32,
        groups: Vec<Str>,
    ) -> Result<Outcomes<Str, GroupDescription>> {
        let request = describe_groups::Request { groups, ..describe_groups::Request::default() };
        let Answer { body, origin } = self.kafka.call::<DescribeGroups>(node, &request).await?;
        let described = body.groups.into_iter().map(|group| {
            let id = group.group_id.clone();
            (id, GroupDescription::of_classic(group, node, &origin))
        });
        Ok(described.collect())
    }
}

impl GroupDescription {
    fn of_classic(
        group: describe_groups::GroupAnswer,
        coordinator: i32,
        origin: &Origin,
    ) -> Result<Self> {
        let subject = || Subject::Name(group.group_id.clone());
        origin.check(group.error_code, group.error_message.clone(), subject())?;
        let state = GroupState::from_wire(group.group_state.clone());
        if state == GroupState::Dead {
            // So it was said before there was an error for it.
            return Err(origin.error(ErrorCode::GROUP_ID_NOT_FOUND, subject()));
        }
        let consumers = group.protocol_type == CONSUMER;
        let member = |member| GroupMember::of_classic(member, consumers);
        Ok(Self {
            id: group.group_id,
            state,
            protocol: group.protocol_data,
            epoch: None,
            coordinator,
            members: group.members.into_iter().map(member).collect(),
            protocol_type: group.protocol_type,
        })
    }
}

impl GroupMember {
    fn of_classic(member: describe_groups::Member, is_consumer: bool) -> Self {
        let assignment = is_consumer.then(|| {
            // A member that has nothing yet has no bytes, either.
            let assignment = Assignment::decode(member.member_assignment).unwrap_or_default();
            in_order(assignment.assigned_partitions.into_iter().map(|it| (it.topic, it.partitions)))
        });
        Self {
            id: member.member_id,
            instance_id: member.group_instance_id,
            client_id: member.client_id,
            host: member.client_host,
            rack: None,
            epoch: None,
            assignment,
            target: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use klamm_protocol::consumer_protocol::TopicPartitions;

    use super::*;

    fn described(state: &str, protocol_type: &str) -> Result<GroupDescription> {
        let assigned = Assignment {
            assigned_partitions: vec![
                TopicPartitions { topic: "b".into(), partitions: vec![0] },
                TopicPartitions { topic: "a".into(), partitions: vec![1, 0] },
            ],
            user_data: None,
        };
        let member = |member_assignment| describe_groups::Member {
            member_assignment,
            ..describe_groups::Member::default()
        };
        let group = describe_groups::GroupAnswer {
            group_id: "g".into(),
            group_state: state.into(),
            protocol_type: protocol_type.into(),
            members: vec![member(assigned.encode(0).unwrap()), member(Default::default())],
            ..describe_groups::GroupAnswer::default()
        };
        GroupDescription::of_classic(group, 1, &Origin::of::<DescribeGroups>(&"a:1".into()))
    }

    #[test]
    fn assignments_of_consumers_are_read() {
        let group = described("Stable", "consumer").unwrap();
        let assignment: Vec<_> = [("a", 0), ("a", 1), ("b", 0)].map(|(t, p)| (t.into(), p)).into();
        assert_eq!(group.members[0].assignment, Some(assignment));
        assert_eq!(group.members[1].assignment, Some(Vec::new()));
        assert_eq!(described("Stable", "connect").unwrap().members[0].assignment, None);
    }

    #[test]
    fn a_dead_group_is_not_found() {
        let error = described("Dead", "").unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::GROUP_ID_NOT_FOUND));
    }
}
