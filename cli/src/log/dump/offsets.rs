//! Records of `__consumer_offsets` in readable form, as `kafka-dump-log --offsets-decoder` has
//! them. A field that the version of a value lacks is left out.

use bytes::Bytes;
use klamm_broker::group::records::{
    GroupRecord, GroupValue, MemberValue, OffsetValue, RecordError,
};
use klamm_protocol::consumer_protocol::{Assignment, Subscription, TopicPartitions};
use klamm_protocol::records::Record;
use serde::{Serialize, Serializer};

use super::consumer_groups;
use crate::output::Base64;

/// The protocol type of members that are consumers.
const CONSUMER: &str = "consumer";

/// What a record is about.
#[derive(Debug, Serialize)]
pub(super) struct Key {
    r#type: String,
    data: KeyData,
}

/// What it says of that.
#[derive(Debug, Serialize)]
pub(super) struct Value {
    version: String,
    data: ValueData,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum KeyData {
    Offset { group: String, topic: String, partition: i32 },
    Group { group: String },
    Consumer(consumer_groups::KeyData),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ValueData {
    Offset(OffsetData),
    Group(GroupData),
    Consumer(consumer_groups::ValueData),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OffsetData {
    offset: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader_epoch: Option<i32>,
    metadata: String,
    commit_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_id: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupData {
    protocol_type: String,
    generation: i32,
    protocol: Option<String>,
    leader: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_state_timestamp: Option<i64>,
    members: Vec<MemberData>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberData {
    member_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_instance_id: Option<Option<String>>,
    client_id: String,
    client_host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rebalance_timeout: Option<i32>,
    session_timeout: i32,
    subscription: Said<SubscriptionData>,
    assignment: Said<AssignmentData>,
}

/// What a member and its leader say to each other: in readable form if they are consumers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Said<T> {
    Read(T),
    Raw(UserData),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionData {
    topics: Vec<String>,
    user_data: Option<UserData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owned_partitions: Option<Vec<TopicData>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation_id: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rack_id: Option<Option<String>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AssignmentData {
    assigned_partitions: Vec<TopicData>,
    user_data: Option<UserData>,
}

#[derive(Debug, Serialize)]
struct TopicData {
    topic: String,
    partitions: Vec<i32>,
}

/// Bytes, printed in base 64.
#[derive(Debug)]
pub(super) struct UserData(pub(super) Bytes);

impl Serialize for UserData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Base64(&self.0).serialize(serializer)
    }
}

/// Reads a record; one without a value says that its key is no more.
///
/// # Errors
/// It is of no known form.
pub(super) fn decode(record: &Record) -> Result<(Key, Option<Value>), RecordError> {
    let version = head(record.value.as_ref());
    let (key, data) = match GroupRecord::decode(record)? {
        GroupRecord::Offset(key, value) => {
            let about = KeyData::Offset {
                group: key.group.to_string(),
                topic: key.topic.to_string(),
                partition: key.partition,
            };
            (about, value.map(|value| ValueData::Offset(OffsetData::new(&value, version))))
        }
        GroupRecord::Group(key, value) => {
            let about = KeyData::Group { group: key.group.to_string() };
            (about, value.map(|value| ValueData::Group(GroupData::new(value, version))))
        }
        GroupRecord::Consumer(record) => {
            let (about, said) = consumer_groups::tell(record);
            (KeyData::Consumer(about), said.map(ValueData::Consumer))
        }
    };
    let key = Key { r#type: head(record.key.as_ref()).to_string(), data: key };
    Ok((key, data.map(|data| Value { version: version.to_string(), data })))
}

/// The version or the type that stands before everything else; 0 where there is nothing.
fn head(bytes: Option<&Bytes>) -> i16 {
    bytes.and_then(|bytes| bytes.first_chunk()).map_or(0, |head| i16::from_be_bytes(*head))
}

impl OffsetData {
    fn new(value: &OffsetValue, version: i16) -> Self {
        Self {
            offset: value.offset,
            leader_epoch: (version >= 3).then_some(value.leader_epoch),
            metadata: value.metadata.to_string(),
            commit_timestamp: value.commit_timestamp,
            expire_timestamp: (version == 1).then_some(value.expire_timestamp),
            topic_id: (version >= 4).then(|| value.topic_id.to_string()),
        }
    }
}

impl GroupData {
    fn new(value: GroupValue, version: i16) -> Self {
        let are_consumers = value.protocol_type == CONSUMER;
        let member = |member| MemberData::new(member, version, are_consumers);
        Self {
            protocol_type: value.protocol_type.to_string(),
            generation: value.generation,
            protocol: value.protocol.map(|protocol| protocol.to_string()),
            leader: value.leader.map(|leader| leader.to_string()),
            current_state_timestamp: (version >= 2).then_some(value.current_state_timestamp),
            members: value.members.into_iter().map(member).collect(),
        }
    }
}

impl MemberData {
    fn new(member: MemberValue, version: i16, is_consumer: bool) -> Self {
        let instance_id = member.group_instance_id.map(|id| id.to_string());
        Self {
            member_id: member.member_id.to_string(),
            group_instance_id: (version >= 3).then_some(instance_id),
            client_id: member.client_id.to_string(),
            client_host: member.client_host.to_string(),
            rebalance_timeout: (version >= 1).then_some(member.rebalance_timeout),
            session_timeout: member.session_timeout,
            subscription: Said::new(member.subscription, is_consumer, SubscriptionData::read),
            assignment: Said::new(member.assignment, is_consumer, AssignmentData::read),
        }
    }
}

impl<T> Said<T> {
    fn new(bytes: Bytes, is_consumer: bool, read: impl FnOnce(Bytes) -> Option<T>) -> Self {
        let said = if is_consumer { read(bytes.clone()) } else { None };
        said.map_or(Self::Raw(UserData(bytes)), Self::Read)
    }
}

impl SubscriptionData {
    fn read(bytes: Bytes) -> Option<Self> {
        let version = head(Some(&bytes));
        let said = Subscription::decode(bytes).ok()?;
        let rack_id = said.rack_id.map(|id| id.to_string());
        let owned = said.owned_partitions.into_iter().map(TopicData::new);
        Some(Self {
            topics: said.topics.iter().map(ToString::to_string).collect(),
            user_data: said.user_data.map(UserData),
            owned_partitions: (version >= 1).then(|| owned.collect()),
            generation_id: (version >= 2).then_some(said.generation_id),
            rack_id: (version >= 3).then_some(rack_id),
        })
    }
}

impl AssignmentData {
    fn read(bytes: Bytes) -> Option<Self> {
        let said = Assignment::decode(bytes).ok()?;
        Some(Self {
            assigned_partitions: said.assigned_partitions.into_iter().map(TopicData::new).collect(),
            user_data: said.user_data.map(UserData),
        })
    }
}

impl TopicData {
    fn new(said: TopicPartitions) -> Self {
        Self { topic: said.topic.to_string(), partitions: said.partitions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &'static [u8], value: Option<Bytes>, expected: (&str, &str)) {
        let key = Some(Bytes::from_static(key));
        let (key, value) = decode(&Record { key, value, ..Record::default() }).unwrap();
        let texts = [serde_json::to_string(&key).unwrap(), serde_json::to_string(&value).unwrap()];
        assert_eq!((&*texts[0], &*texts[1]), expected);
    }

    #[test]
    fn offsets_are_printed_as_by_kafka() {
        let key = b"\0\x01\0\x01g\0\x01t\0\0\0\x07";
        let about = r#"{"type":"1","data":{"group":"g","topic":"t","partition":7}}"#;
        let value = b"\0\x03\0\0\0\0\0\0\0\x05\0\0\0\x02\0\x01m\0\0\0\0\0\0\0\x09";
        let said = concat!(
            r#"{"version":"3","data":{"offset":5,"leaderEpoch":2,"metadata":"m","#,
            r#""commitTimestamp":9}}"#
        );
        check(key, Some(Bytes::from_static(value)), (about, said));
        let value = b"\0\x01\0\0\0\0\0\0\0\x05\0\x01m\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x0a";
        let said = concat!(
            r#"{"version":"1","data":{"offset":5,"metadata":"m","commitTimestamp":9,"#,
            r#""expireTimestamp":10}}"#
        );
        check(key, Some(Bytes::from_static(value)), (about, said));
        check(key, None, (about, "null"));
    }

    #[test]
    fn groups_of_the_consumer_protocol_are_printed_as_by_kafka() {
        let said = r#"{"version":"0","data":{"epoch":7,"metadataHash":9}}"#;
        let value = Bytes::from_static(b"\0\0\0\0\0\x07\x01\0\x08\0\0\0\0\0\0\0\x09");
        let about = r#"{"type":"3","data":{"groupId":"g"}}"#;
        check(b"\0\x03\0\x01g", Some(value), (about, said));
        let value = b"\0\0\0\0\0\x07\0\0\0\x06\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
            \x02\0\0\0\x01\x01\0\x05\x02\0\0\0\x04\x01\0";
        let said = concat!(
            r#"{"version":"0","data":{"memberEpoch":7,"previousMemberEpoch":6,"state":0,"#,
            r#""assignedPartitions":[{"topicId":"AAAAAAAAAAAAAAAAAAAAAA","partitions":[1],"#,
            r#""assignmentEpochs":[4]}],"partitionsPendingRevocation":[]}}"#
        );
        let about = r#"{"type":"8","data":{"groupId":"g","memberId":"m"}}"#;
        check(b"\0\x08\0\x01g\0\x01m", Some(Bytes::from_static(value)), (about, said));
    }

    #[test]
    fn groups_are_printed_as_by_kafka() {
        let subscription = Subscription { topics: vec!["t".into()], ..Subscription::default() };
        let mut value = b"\0\x03\0\x08consumer\0\0\0\x03\0\x01r\0\x01m\0\0\0\0\0\0\0\x04\0\0\0\x01\
            \0\x01m\xff\xff\0\x01c\0\x02/h\0\0\0\x01\0\0\0\x02"
            .to_vec();
        for said in [subscription.encode(1).unwrap(), Bytes::from_static(b"?")] {
            value.extend(u32::try_from(said.len()).unwrap().to_be_bytes());
            value.extend(said);
        }
        let said = "{\"version\":\"3\",\"data\":{\"protocolType\":\"consumer\",\"generation\":3,\
            \"protocol\":\"r\",\"leader\":\"m\",\"currentStateTimestamp\":4,\"members\":[{\
            \"memberId\":\"m\",\"groupInstanceId\":null,\"clientId\":\"c\",\"clientHost\":\"/h\",\
            \"rebalanceTimeout\":1,\"sessionTimeout\":2,\"subscription\":{\"topics\":[\"t\"],\
            \"userData\":null,\"ownedPartitions\":[]},\"assignment\":\"Pw==\"}]}}";
        let about = r#"{"type":"2","data":{"group":"g"}}"#;
        check(b"\0\x02\0\x01g", Some(value.into()), (about, said));
    }
}
