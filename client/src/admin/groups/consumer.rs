//! Groups of the consumer protocol (KIP-848), as ConsumerGroupDescribe tells of them.

use klamm_protocol::api::consumer_group_describe as api;
use klamm_protocol::wire::Str;

use super::describe::CONSUMER;
use super::{GroupDescription, GroupMember, GroupState, in_order};
use crate::answer::Origin;
use crate::error::{Result, Subject};

impl GroupDescription {
    pub(super) fn of_consumers(
        group: api::GroupAnswer,
        coordinator: i32,
        origin: &Origin,
    ) -> Result<Self> {
        let subject = Subject::Name(group.group_id.clone());
        origin.check(group.error_code, group.error_message, subject)?;
        Ok(Self {
            id: group.group_id,
            state: GroupState::from_wire(group.group_state),
            protocol_type: Str::from_static(CONSUMER),
            protocol: group.assignor_name,
            epoch: Some(group.group_epoch),
            coordinator,
            members: group.members.into_iter().map(GroupMember::of_consumers).collect(),
        })
    }
}

impl GroupMember {
    fn of_consumers(member: api::Member) -> Self {
        Self {
            id: member.member_id,
            instance_id: member.instance_id,
            client_id: member.client_id,
            host: member.client_host,
            rack: member.rack_id,
            epoch: Some(member.member_epoch),
            assignment: Some(partitions(member.assignment)),
            target: Some(partitions(member.target_assignment)),
        }
    }
}

fn partitions(assigned: api::Assignment) -> Vec<(Str, i32)> {
    in_order(assigned.topic_partitions.into_iter().map(|it| (it.topic_name, it.partitions)))
}

#[cfg(test)]
mod tests {
    use klamm_protocol::error_code::ErrorCode;

    use super::*;

    fn described(group: api::GroupAnswer) -> Result<GroupDescription> {
        let origin = Origin::of::<api::ConsumerGroupDescribe>(&"a:1".into());
        GroupDescription::of_consumers(group, 1, &origin)
    }

    #[test]
    fn what_a_member_has_and_what_it_is_to_have_are_told_apart() {
        let assigned = |topic_name: &str, partitions: &[i32]| api::Assignment {
            topic_partitions: vec![api::TopicPartitions {
                topic_name: topic_name.into(),
                partitions: partitions.to_vec(),
                ..api::TopicPartitions::default()
            }],
        };
        let member = api::Member {
            member_epoch: 6,
            assignment: assigned("a", &[2, 1]),
            target_assignment: assigned("b", &[0]),
            ..api::Member::default()
        };
        let group = described(api::GroupAnswer {
            group_state: "Reconciling".into(),
            group_epoch: 7,
            members: vec![member],
            ..api::GroupAnswer::default()
        });
        let group = group.unwrap();
        assert_eq!((group.state, group.epoch), (GroupState::Reconciling, Some(7)));
        assert_eq!(group.protocol_type, "consumer");
        let member = &group.members[0];
        assert_eq!(member.epoch, Some(6));
        assert_eq!(member.assignment, Some(vec![("a".into(), 1), ("a".into(), 2)]));
        assert_eq!(member.target, Some(vec![("b".into(), 0)]));
    }

    #[test]
    fn a_group_of_another_kind_is_not_found() {
        let error_code = ErrorCode::GROUP_ID_NOT_FOUND;
        let error = described(api::GroupAnswer { error_code, ..api::GroupAnswer::default() });
        assert_eq!(error.unwrap_err().code(), Some(error_code));
    }
}
