//! Members of groups, and what administrators ask about them.

use bytes::Bytes;
use klamm_broker::Broker;
use klamm_protocol::api::{
    DescribeGroups, FindCoordinator, Heartbeat, JoinGroup, LeaveGroup, OffsetCommit, OffsetFetch,
    SyncGroup, describe_groups, find_coordinator, heartbeat, join_group, leave_group,
    offset_commit, offset_fetch, sync_group,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::Client;

pub const JOIN: i16 = 9;
pub const SYNC: i16 = 5;

/// A client that may be a member of a group.
pub struct Member {
    pub client: Client,
    pub group: Str,
    pub id: Str,
    pub instance: Option<Str>,
    pub generation: i32,
}

impl Member {
    /// Connects, and finds the coordinator; joins nothing yet.
    pub async fn connect(broker: &Broker, group: &str) -> Self {
        let mut client = Client::connect(broker).await;
        let request = find_coordinator::Request {
            coordinator_keys: vec![group.into()],
            ..Default::default()
        };
        let found = client.call::<FindCoordinator>(4, &request).await;
        assert_eq!(found.coordinators[0].error_code, ErrorCode::NONE);
        let (id, instance) = (Str::default(), None);
        Self { client, group: group.into(), id, instance, generation: -1 }
    }

    pub fn join_request(&self) -> join_group::Request {
        let protocol =
            join_group::Protocol { name: "range".into(), metadata: subscription(&["orders"]) };
        join_group::Request {
            group_id: self.group.clone(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 30_000,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![protocol],
            ..Default::default()
        }
    }

    /// Joins, with the id that it is given if it needs one; the answer is still to come.
    pub async fn start_join(&mut self) -> i32 {
        if self.id.is_empty() && self.instance.is_none() {
            let refused = self.client.call::<JoinGroup>(JOIN, &self.join_request()).await;
            assert_eq!(refused.error_code, ErrorCode::MEMBER_ID_REQUIRED);
            self.id = refused.member_id;
        }
        let request = self.join_request();
        self.client.send::<JoinGroup>(JOIN, &request).await
    }

    pub async fn joined(&mut self, asked: i32) -> join_group::Response {
        let joined = self.client.answer::<JoinGroup>(JOIN, asked).await;
        assert_eq!(joined.error_code, ErrorCode::NONE, "{joined:?}");
        (self.id, self.generation) = (joined.member_id.clone(), joined.generation_id);
        joined
    }

    pub async fn join(&mut self) -> join_group::Response {
        let asked = self.start_join().await;
        self.joined(asked).await
    }

    /// Asks for the assignment; the leader says who gets what.
    pub async fn start_sync(&mut self, assignments: &[(&Str, &'static str)]) -> i32 {
        let assignment = |(id, text): &(&Str, &'static str)| sync_group::Assignment {
            member_id: (*id).clone(),
            assignment: Bytes::from_static(text.as_bytes()),
        };
        let request = sync_group::Request {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: assignments.iter().map(assignment).collect(),
        };
        self.client.send::<SyncGroup>(SYNC, &request).await
    }

    pub async fn synced(&mut self, asked: i32) -> sync_group::Response {
        self.client.answer::<SyncGroup>(SYNC, asked).await
    }

    pub async fn sync(&mut self, assignments: &[(&Str, &'static str)]) -> sync_group::Response {
        let asked = self.start_sync(assignments).await;
        self.synced(asked).await
    }

    /// Becomes the only member of a group, and is given this.
    pub async fn settle_alone(&mut self, assignment: &'static str) {
        self.join().await;
        let id = self.id.clone();
        let synced = self.sync(&[(&id, assignment)]).await;
        assert_eq!(
            (synced.error_code, &*synced.assignment),
            (ErrorCode::NONE, assignment.as_bytes())
        );
    }

    pub async fn heartbeat(&mut self) -> ErrorCode {
        let request = heartbeat::Request {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
        };
        self.client.call::<Heartbeat>(4, &request).await.error_code
    }

    pub async fn leave(&mut self) -> ErrorCode {
        let member = leave_group::Member {
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            ..Default::default()
        };
        let group_id = self.group.clone();
        let request =
            leave_group::Request { group_id, members: vec![member], ..Default::default() };
        self.client.call::<LeaveGroup>(5, &request).await.members[0].error_code
    }

    /// Commits an offset of `orders`, as a member or from outside.
    pub async fn commit(&mut self, partition: i32, offset: i64) -> ErrorCode {
        let partition = offset_commit::Partition {
            partition_index: partition,
            committed_offset: offset,
            committed_leader_epoch: 0,
            committed_metadata: Some(format!("up to {offset}").into()),
        };
        let request = offset_commit::Request {
            group_id: self.group.clone(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            topics: vec![offset_commit::Topic {
                name: "orders".into(),
                partitions: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        let response = self.client.call::<OffsetCommit>(9, &request).await;
        response.topics[0].partitions[0].error_code
    }

    /// Everything that the group has committed: topic, partition, offset, metadata.
    pub async fn committed(&mut self) -> Vec<(String, i32, i64, String)> {
        let group = offset_fetch::Group {
            group_id: self.group.clone(),
            topics: None,
            ..Default::default()
        };
        let request = offset_fetch::Request { groups: vec![group], ..Default::default() };
        let response = self.client.call::<OffsetFetch>(9, &request).await;
        assert_eq!(response.groups[0].error_code, ErrorCode::NONE);
        let topics = response.groups[0].topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|it| {
                let metadata = it.metadata.clone().unwrap_or_default().to_string();
                (topic.name.to_string(), it.partition_index, it.committed_offset, metadata)
            })
        });
        topics.collect()
    }

    pub async fn describe(&mut self) -> describe_groups::GroupAnswer {
        let groups = vec![self.group.clone()];
        let request = describe_groups::Request { groups, ..Default::default() };
        self.client.call::<DescribeGroups>(6, &request).await.groups.remove(0)
    }
}

/// What a consumer says that it consumes, in version 0 of its protocol.
pub fn subscription(topics: &[&str]) -> Bytes {
    let count = i32::try_from(topics.len()).unwrap();
    let mut bytes = [&0i16.to_be_bytes()[..], &count.to_be_bytes()].concat();
    for topic in topics {
        bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1i32).to_be_bytes());
    bytes.into()
}
