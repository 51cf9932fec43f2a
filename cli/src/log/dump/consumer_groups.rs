//! Records of groups of the consumer protocol in readable form.

use klamm_broker::group::records::{
    ConsumerMemberKey, ConsumerRecord, CurrentTopic, CurrentValue, EpochValue, GroupKey,
    PatternKey, PatternValue, SubscriptionValue, TargetEpochValue, TargetValue, TopicValue,
    TopicsValue,
};
use serde::Serialize;

use super::offsets::UserData;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeyData {
    group_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    member_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    regular_expression: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub(super) enum ValueData {
    Epoch {
        epoch: i32,
        #[serde(skip_serializing_if = "is_zero")]
        metadata_hash: i64,
    },
    Topics {
        topics: Vec<TopicData>,
    },
    Member(Box<MemberData>),
    TargetEpoch {
        assignment_epoch: i32,
        #[serde(skip_serializing_if = "is_zero")]
        assignment_timestamp: i64,
    },
    Target {
        topic_partitions: Vec<PartitionsData>,
    },
    Current {
        member_epoch: i32,
        previous_member_epoch: i32,
        state: i8,
        assigned_partitions: Vec<PartitionsData>,
        partitions_pending_revocation: Vec<PartitionsData>,
    },
    Pattern {
        topics: Vec<String>,
        version: i64,
        timestamp: i64,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TopicData {
    topic_id: String,
    topic_name: String,
    num_partitions: i32,
    partition_metadata: Vec<RackData>,
}

#[derive(Debug, Serialize)]
struct RackData {
    partition: i32,
    racks: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MemberData {
    instance_id: Option<String>,
    rack_id: Option<String>,
    client_id: String,
    client_host: String,
    subscribed_topic_names: Vec<String>,
    subscribed_topic_regex: Option<String>,
    rebalance_timeout_ms: i32,
    server_assignor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classic_member_metadata: Option<ClassicData>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ClassicData {
    session_timeout_ms: i32,
    supported_protocols: Vec<ProtocolData>,
}

#[derive(Debug, Serialize)]
struct ProtocolData {
    name: String,
    metadata: UserData,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartitionsData {
    topic_id: String,
    partitions: Vec<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assignment_epochs: Option<Vec<i32>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a (impl ToString + 'a)>) -> Vec<String> {
    texts.into_iter().map(ToString::to_string).collect()
}

/// What a record is about, and what it says.
pub(super) fn tell(record: ConsumerRecord) -> (KeyData, Option<ValueData>) {
    match record {
        ConsumerRecord::Epoch(key, value) => (key.into(), value.map(Into::into)),
        ConsumerRecord::Topics(key, value) => (key.into(), value.map(Into::into)),
        ConsumerRecord::Member(key, value) => (key.into(), value.map(Into::into)),
        ConsumerRecord::TargetEpoch(key, value) => (key.into(), value.map(Into::into)),
        ConsumerRecord::Target(key, value) => (key.into(), value.map(Into::into)),
        ConsumerRecord::Current(key, value) => (key.into(), value.map(Into::into)),
        ConsumerRecord::Pattern(key, value) => (key.into(), value.map(Into::into)),
    }
}

impl From<GroupKey> for KeyData {
    fn from(key: GroupKey) -> Self {
        Self { group_id: key.group.to_string(), member_id: None, regular_expression: None }
    }
}

impl From<ConsumerMemberKey> for KeyData {
    fn from(key: ConsumerMemberKey) -> Self {
        let member_id = Some(key.member_id.to_string());
        Self { group_id: key.group.to_string(), member_id, regular_expression: None }
    }
}

impl From<PatternKey> for KeyData {
    fn from(key: PatternKey) -> Self {
        let regular_expression = Some(key.pattern.to_string());
        Self { group_id: key.group.to_string(), member_id: None, regular_expression }
    }
}

impl From<EpochValue> for ValueData {
    fn from(value: EpochValue) -> Self {
        Self::Epoch { epoch: value.epoch, metadata_hash: value.metadata_hash }
    }
}

impl From<TopicsValue> for ValueData {
    fn from(value: TopicsValue) -> Self {
        let topic = |topic: TopicValue| TopicData {
            topic_id: topic.topic_id.to_string(),
            topic_name: topic.topic_name.to_string(),
            num_partitions: topic.partition_count,
            partition_metadata: topic
                .partitions
                .iter()
                .map(|it| RackData { partition: it.partition, racks: texts(&it.racks) })
                .collect(),
        };
        Self::Topics { topics: value.topics.into_iter().map(topic).collect() }
    }
}

impl From<SubscriptionValue> for ValueData {
    fn from(value: SubscriptionValue) -> Self {
        let classic = value.classic.map(|classic| ClassicData {
            session_timeout_ms: classic.session_timeout,
            supported_protocols: classic
                .protocols
                .iter()
                .map(|it| ProtocolData {
                    name: it.name.to_string(),
                    metadata: UserData(it.metadata.clone()),
                })
                .collect(),
        });
        Self::Member(Box::new(MemberData {
            instance_id: value.instance_id.map(|id| id.to_string()),
            rack_id: value.rack_id.map(|id| id.to_string()),
            client_id: value.client_id.to_string(),
            client_host: value.client_host.to_string(),
            subscribed_topic_names: texts(&value.topic_names),
            subscribed_topic_regex: value.pattern.map(|pattern| pattern.to_string()),
            rebalance_timeout_ms: value.rebalance_timeout,
            server_assignor: value.assignor.map(|name| name.to_string()),
            classic_member_metadata: classic,
        }))
    }
}

impl From<TargetEpochValue> for ValueData {
    fn from(value: TargetEpochValue) -> Self {
        Self::TargetEpoch { assignment_epoch: value.epoch, assignment_timestamp: value.timestamp }
    }
}

impl From<TargetValue> for ValueData {
    fn from(value: TargetValue) -> Self {
        let topics = value.topics.into_iter().map(|topic| PartitionsData {
            topic_id: topic.topic_id.to_string(),
            partitions: topic.partitions,
            assignment_epochs: None,
        });
        Self::Target { topic_partitions: topics.collect() }
    }
}

impl From<CurrentValue> for ValueData {
    fn from(value: CurrentValue) -> Self {
        Self::Current {
            member_epoch: value.epoch,
            previous_member_epoch: value.previous_epoch,
            state: value.state,
            assigned_partitions: value.assigned.into_iter().map(Into::into).collect(),
            partitions_pending_revocation: value.revoking.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<CurrentTopic> for PartitionsData {
    fn from(topic: CurrentTopic) -> Self {
        Self {
            topic_id: topic.topic_id.to_string(),
            partitions: topic.partitions,
            assignment_epochs: topic.epochs,
        }
    }
}

impl From<PatternValue> for ValueData {
    fn from(value: PatternValue) -> Self {
        Self::Pattern {
            topics: texts(&value.topics),
            version: value.version,
            timestamp: value.timestamp,
        }
    }
}
