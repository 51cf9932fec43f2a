//! Groups of Kafka Streams (KIP-1071): what they compute, and who does it.

use klamm_protocol::api::streams_group_describe::{self, StreamsGroupDescribe};
use klamm_protocol::wire::Str;

use super::{GroupState, in_order};
use crate::admin::{Admin, Effect, Outcomes};
use crate::answer::{Answer, Origin};
use crate::error::{Result, Subject};

/// A group of Kafka Streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsGroupDescription {
    /// Its name.
    pub id: Str,
    /// What it is doing.
    pub state: GroupState,
    /// Rises whenever members or what they compute changes.
    pub epoch: i32,
    /// What it computes, in parts; empty while topics are missing.
    pub subtopologies: Vec<Subtopology>,
    /// The node id of the broker that coordinates it.
    pub coordinator: i32,
    /// Its members.
    pub members: Vec<StreamsGroupMember>,
}

/// A part of what a group computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subtopology {
    /// Its name.
    pub id: Str,
    /// The topics that it reads, those that the group writes itself left out.
    pub sources: Vec<Str>,
    /// The topics by which it repartitions.
    pub repartitions: Vec<Str>,
    /// The topics that hold its state.
    pub changelogs: Vec<Str>,
}

/// A member of a group of Kafka Streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsGroupMember {
    /// The id that it has given itself.
    pub id: Str,
    /// Its own name, where it is a static member.
    pub instance_id: Option<Str>,
    /// The group's epoch that it has reached.
    pub epoch: i32,
    /// Its client id.
    pub client_id: Str,
    /// The address it joined from.
    pub host: Str,
    /// Shared by the members of one process.
    pub process_id: Str,
    /// What it runs now.
    pub tasks: StreamsTasks,
    /// What it shall run in the end.
    pub target: StreamsTasks,
}

/// Tasks, each by its subtopology and its partition, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamsTasks {
    /// Those that compute.
    pub active: Vec<(Str, i32)>,
    /// Those that keep a copy of the state.
    pub standby: Vec<(Str, i32)>,
    /// Those that gather the state before they move here.
    pub warmup: Vec<(Str, i32)>,
}

impl Admin {
    /// Groups of Kafka Streams: what they compute, and who does it.
    ///
    /// # Errors
    /// No broker answers. One that knows no such groups says so beside each.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn describe_streams_groups(
        &self,
        groups: &[Str],
    ) -> Result<Outcomes<Str, StreamsGroupDescription>> {
        self.by_coordinator(groups, Effect::Reads, async |node, groups| {
            let request = streams_group_describe::Request {
                group_ids: groups.to_vec(),
                include_authorized_operations: false,
            };
            let Answer { body, origin } =
                self.kafka.call::<StreamsGroupDescribe>(node, &request).await?;
            let described = body.groups.into_iter().map(|group| {
                let id = group.group_id.clone();
                (id, StreamsGroupDescription::from_wire(group, node, &origin))
            });
            Ok(described.collect())
        })
        .await
    }
}

impl StreamsGroupDescription {
    fn from_wire(
        group: streams_group_describe::GroupAnswer,
        coordinator: i32,
        origin: &Origin,
    ) -> Result<Self> {
        let subject = Subject::Name(group.group_id.clone());
        origin.check(group.error_code, group.error_message, subject)?;
        let parts = group.topology.and_then(|topology| topology.subtopologies).unwrap_or_default();
        Ok(Self {
            id: group.group_id,
            state: GroupState::from_wire(group.group_state),
            epoch: group.group_epoch,
            subtopologies: parts.into_iter().map(Subtopology::from_wire).collect(),
            coordinator,
            members: group.members.into_iter().map(StreamsGroupMember::from_wire).collect(),
        })
    }
}

impl Subtopology {
    fn from_wire(part: streams_group_describe::Subtopology) -> Self {
        let names = |topics: Vec<streams_group_describe::TopicInfo>| {
            topics.into_iter().map(|topic| topic.name).collect()
        };
        Self {
            id: part.subtopology_id,
            sources: part.source_topics,
            repartitions: names(part.repartition_source_topics),
            changelogs: names(part.state_changelog_topics),
        }
    }
}

impl StreamsGroupMember {
    fn from_wire(member: streams_group_describe::Member) -> Self {
        Self {
            id: member.member_id,
            instance_id: member.instance_id,
            epoch: member.member_epoch,
            client_id: member.client_id,
            host: member.client_host,
            process_id: member.process_id,
            tasks: StreamsTasks::from_wire(member.assignment),
            target: StreamsTasks::from_wire(member.target_assignment),
        }
    }
}

impl StreamsTasks {
    fn from_wire(assignment: streams_group_describe::Assignment) -> Self {
        let tasks = |ids: Vec<streams_group_describe::TaskIds>| {
            in_order(ids.into_iter().map(|ids| (ids.subtopology_id, ids.partitions)))
        };
        Self {
            active: tasks(assignment.active_tasks),
            standby: tasks(assignment.standby_tasks),
            warmup: tasks(assignment.warmup_tasks),
        }
    }
}

#[cfg(test)]
mod tests {
    use klamm_protocol::error_code::ErrorCode;

    use super::*;

    #[test]
    fn tasks_are_told_apart() {
        let ids = |partitions: &[i32]| {
            let partitions = partitions.to_vec();
            let subtopology_id = "0".into();
            let ids = streams_group_describe::TaskIds { subtopology_id, partitions };
            vec![ids]
        };
        let assignment = streams_group_describe::Assignment {
            active_tasks: ids(&[2, 0]),
            standby_tasks: ids(&[1]),
            ..Default::default()
        };
        let member = streams_group_describe::Member { assignment, ..Default::default() };
        let group = streams_group_describe::GroupAnswer {
            group_id: "g".into(),
            group_state: "NotReady".into(),
            members: vec![member],
            ..Default::default()
        };
        let origin = Origin::of::<StreamsGroupDescribe>(&"a:1".into());
        let described = StreamsGroupDescription::from_wire(group.clone(), 1, &origin).unwrap();
        assert_eq!(described.state, GroupState::Other("NotReady".into()));
        assert!(described.subtopologies.is_empty());
        let StreamsGroupMember { tasks, target, .. } = &described.members[0];
        assert_eq!(tasks.active, [("0".into(), 0), ("0".into(), 2)]);
        assert_eq!(tasks.standby, [("0".into(), 1)]);
        assert_eq!(*target, StreamsTasks::default());
        let error_code = ErrorCode::GROUP_ID_NOT_FOUND;
        let gone = streams_group_describe::GroupAnswer { error_code, ..group };
        let error = StreamsGroupDescription::from_wire(gone, 1, &origin).unwrap_err();
        assert!(error.to_string().starts_with("g: GROUP_ID_NOT_FOUND"), "{error}");
    }
}
