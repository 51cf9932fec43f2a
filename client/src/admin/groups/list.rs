//! Which groups there are.

use klamm_protocol::api::list_groups::{self, ListGroups};
use klamm_protocol::wire::Str;
use klamm_utils::clock;

use super::GroupState;
use crate::admin::{Admin, Outcomes};
use crate::answer::Answer;
use crate::error::{Result, Subject};

/// A group, as its coordinator lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its name.
    pub id: Str,
    /// What its members are: `consumer`, `connect` and so on; empty for a group that has only
    /// committed offsets.
    pub protocol_type: Str,
    /// What it is doing, where the broker says it.
    pub state: GroupState,
    /// The protocol that its members speak, `Classic` or `Consumer`; empty where the broker does
    /// not say it.
    pub kind: Str,
    /// The node id of the broker that coordinates it.
    pub coordinator: i32,
}

impl Admin {
    /// The groups of all brokers, or those in one of these states and of one of these kinds where
    /// any is named. What each broker lists is told beside it, in the order of their node ids.
    ///
    /// # Errors
    /// No broker answers. A broker that cannot choose says so beside its node id: by state before
    /// Kafka 2.6, by kind before 3.8.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn list_groups(
        &self,
        states: &[Str],
        kinds: &[Str],
    ) -> Result<Outcomes<i32, Vec<ListedGroup>>> {
        let began = clock::now();
        let cluster = self.describe_cluster().await?;
        let request =
            list_groups::Request { states_filter: states.to_vec(), types_filter: kinds.to_vec() };
        let list = async |node| {
            let Answer { body, origin } = self.kafka.call::<ListGroups>(node, &request).await?;
            origin.check(body.error_code, None, Subject::Broker(node))?;
            let listed = body.groups.into_iter();
            Ok(listed.map(|group| ListedGroup::from_wire(group, node)).collect())
        };
        let nodes = cluster.brokers.iter().map(|broker| broker.id);
        Ok(self.since(began).of_each(nodes, list).await)
    }
}

impl ListedGroup {
    fn from_wire(group: list_groups::Group, coordinator: i32) -> Self {
        Self {
            id: group.group_id,
            protocol_type: group.protocol_type,
            state: GroupState::from_wire(group.group_state),
            kind: group.group_type,
            coordinator,
        }
    }
}
