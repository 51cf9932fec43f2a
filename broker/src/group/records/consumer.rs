//! A group of the consumer protocol, as it is stored: several records, so that a change of one
//! member is small.

use std::collections::BTreeSet;

use klamm_protocol::wire::{Reader, WireError};

use super::{EncodedRecord, Form, GroupKey, GroupRecord, RecordError};
use super::{decode_key, decode_value, encode, millis, of_millis};
use crate::group::classic::Protocol;
use crate::group::consumer::{
    Change, ClassicMember, Current, GroupEpoch, Held, Matches, MemberState, Partitions,
    Subscription, TargetEpoch, TopicPartition, by_topic,
};

klamm_protocol::structs! {
    /// Names a member.
    struct ConsumerMemberKey {
        group: Str,
        member_id: Str,
    }

    /// Names a pattern that members subscribe to.
    struct PatternKey {
        group: Str,
        pattern: Str,
    }

    /// How often the group has changed.
    struct EpochValue {
        epoch: i32;
        tagged {
            /// Over the topics that the group reads.
            0 => metadata_hash: i64,
        }
    }

    /// The topics that a group reads, as releases before 4.1 wrote them.
    struct TopicsValue {
        topics: Vec<TopicValue>,
    }

    /// A topic that a group reads.
    struct TopicValue {
        topic_id: Uuid,
        topic_name: Str,
        partition_count: i32,
        partitions: Vec<RackedPartition>,
    }

    /// Where a partition is.
    struct RackedPartition {
        partition: i32,
        racks: Vec<Str>,
    }

    /// What a member says of itself.
    struct SubscriptionValue {
        instance_id: Option<Str>,
        rack_id: Option<Str>,
        client_id: Str,
        client_host: Str,
        topic_names: Vec<Str>,
        pattern: Option<Str>,
        rebalance_timeout: i32 = -1,
        assignor: Option<Str>;
        tagged {
            /// Set where the member speaks the classic protocol.
            0 => classic: Option<ClassicMemberValue>,
        }
    }

    /// What a member of the classic protocol says of itself.
    struct ClassicMemberValue {
        session_timeout: i32,
        protocols: Vec<ProtocolValue>,
    }

    /// A way of assigning that a member of the classic protocol knows.
    struct ProtocolValue {
        name: Str,
        metadata: Bytes,
    }

    /// For which epoch of the group there is a target.
    struct TargetEpochValue {
        epoch: i32;
        tagged {
            /// When it was made.
            0 => timestamp: i64,
        }
    }

    /// What a member shall hold.
    struct TargetValue {
        topics: Vec<TargetTopic>,
    }

    /// What a member shall hold of a topic.
    struct TargetTopic {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }

    /// What a member holds.
    struct CurrentValue {
        epoch: i32,
        previous_epoch: i32,
        state: i8,
        assigned: Vec<CurrentTopic>,
        /// What it is to give up.
        revoking: Vec<CurrentTopic>,
    }

    /// What a member holds of a topic.
    struct CurrentTopic {
        topic_id: Uuid,
        partitions: Vec<i32>;
        tagged {
            /// The epochs in which it got them, in their order.
            0 => epochs: Option<Vec<i32>>,
        }
    }

    /// The topics whose names a pattern matches.
    struct PatternValue {
        topics: Vec<Str>,
        /// Of the metadata that was looked at.
        version: i64,
        timestamp: i64,
    }
}

/// One record about a group of the consumer protocol. Without a value, what its key names is no
/// more.
#[derive(Clone, Debug, PartialEq)]
pub enum ConsumerRecord {
    /// The group has changed.
    Epoch(GroupKey, Option<EpochValue>),
    /// What older releases wrote of topics. Nothing follows from it.
    Topics(GroupKey, Option<TopicsValue>),
    /// A member says something of itself.
    Member(ConsumerMemberKey, Option<SubscriptionValue>),
    /// There is a new target.
    TargetEpoch(GroupKey, Option<TargetEpochValue>),
    /// What a member shall hold.
    Target(ConsumerMemberKey, Option<TargetValue>),
    /// What a member holds.
    Current(ConsumerMemberKey, Option<CurrentValue>),
    /// What a pattern stands for.
    Pattern(PatternKey, Option<PatternValue>),
}

const EPOCH: i16 = 3;
const TOPICS: i16 = 4;
const MEMBER: i16 = 5;
const TARGET_EPOCH: i16 = 6;
const TARGET: i16 = 7;
const CURRENT: i16 = 8;
const PATTERN: i16 = 16;
/// The version of all values.
const VERSION: i16 = 0;

fn form(kind: i16) -> Form {
    Form { kind, version_max: VERSION, flexible_from: VERSION }
}

impl ConsumerRecord {
    pub(super) fn decode(
        kind: i16,
        key: &mut Reader,
        value: Option<Bytes>,
    ) -> Result<Self, RecordError> {
        let form = form(kind);
        Ok(match kind {
            EPOCH => Self::Epoch(decode_key(key)?, decode_value(form, value)?),
            TOPICS => Self::Topics(decode_key(key)?, decode_value(form, value)?),
            MEMBER => Self::Member(decode_key(key)?, decode_value(form, value)?),
            TARGET_EPOCH => Self::TargetEpoch(decode_key(key)?, decode_value(form, value)?),
            TARGET => Self::Target(decode_key(key)?, decode_value(form, value)?),
            CURRENT => Self::Current(decode_key(key)?, decode_value(form, value)?),
            PATTERN => Self::Pattern(decode_key(key)?, decode_value(form, value)?),
            _ => return Err(RecordError::UnknownType(kind)),
        })
    }

    pub(super) fn encode(&self) -> Result<EncodedRecord, WireError> {
        match self {
            Self::Epoch(key, value) => encode(form(EPOCH), key, VERSION, value.as_ref()),
            Self::Topics(key, value) => encode(form(TOPICS), key, VERSION, value.as_ref()),
            Self::Member(key, value) => encode(form(MEMBER), key, VERSION, value.as_ref()),
            Self::TargetEpoch(key, value) => {
                encode(form(TARGET_EPOCH), key, VERSION, value.as_ref())
            }
            Self::Target(key, value) => encode(form(TARGET), key, VERSION, value.as_ref()),
            Self::Current(key, value) => encode(form(CURRENT), key, VERSION, value.as_ref()),
            Self::Pattern(key, value) => encode(form(PATTERN), key, VERSION, value.as_ref()),
        }
    }

    /// The group that it is about, and what it says of it; `None` where nothing follows from it.
    pub(crate) fn into_change(self) -> (Str, Option<Change>) {
        let (group, change) = match self {
            Self::Epoch(key, value) => (key.group, Change::Epoch(value.map(GroupEpoch::from))),
            Self::Topics(key, _) => return (key.group.detached(), None),
            Self::Member(key, value) => {
                let change = Change::Member(key.member_id.detached(), value.map(Into::into));
                (key.group, change)
            }
            Self::TargetEpoch(key, value) => {
                (key.group, Change::TargetEpoch(value.map(Into::into)))
            }
            Self::Target(key, value) => {
                (key.group, Change::Target(key.member_id.detached(), value.map(Into::into)))
            }
            Self::Current(key, value) => {
                (key.group, Change::Current(key.member_id.detached(), value.map(Into::into)))
            }
            Self::Pattern(key, value) => {
                (key.group, Change::Pattern(key.pattern.detached(), value.map(Into::into)))
            }
        };
        (group.detached(), Some(change))
    }
}

impl GroupRecord {
    /// A group of the consumer protocol has changed.
    pub(crate) fn consumer(group: &Str, change: Change) -> Self {
        let group = group.clone();
        let of_member = |member_id| ConsumerMemberKey { group: group.clone(), member_id };
        Self::Consumer(match change {
            Change::Epoch(it) => ConsumerRecord::Epoch(GroupKey { group }, it.map(Into::into)),
            Change::Member(id, it) => ConsumerRecord::Member(of_member(id), it.map(Into::into)),
            Change::TargetEpoch(it) => {
                ConsumerRecord::TargetEpoch(GroupKey { group }, it.map(Into::into))
            }
            Change::Target(id, it) => ConsumerRecord::Target(of_member(id), it.map(Into::into)),
            Change::Current(id, it) => ConsumerRecord::Current(of_member(id), it.map(Into::into)),
            Change::Pattern(pattern, it) => {
                ConsumerRecord::Pattern(PatternKey { group, pattern }, it.map(Into::into))
            }
        })
    }
}

impl From<EpochValue> for GroupEpoch {
    fn from(value: EpochValue) -> Self {
        Self { epoch: value.epoch, metadata_hash: value.metadata_hash }
    }
}

impl From<GroupEpoch> for EpochValue {
    fn from(it: GroupEpoch) -> Self {
        Self { epoch: it.epoch, metadata_hash: it.metadata_hash }
    }
}

impl From<TargetEpochValue> for TargetEpoch {
    fn from(value: TargetEpochValue) -> Self {
        Self { epoch: value.epoch, assigned_ms: value.timestamp }
    }
}

impl From<TargetEpoch> for TargetEpochValue {
    fn from(it: TargetEpoch) -> Self {
        Self { epoch: it.epoch, timestamp: it.assigned_ms }
    }
}

fn detached(text: Option<Str>) -> Option<Str> {
    text.map(|text| text.detached())
}

impl From<SubscriptionValue> for Subscription {
    fn from(value: SubscriptionValue) -> Self {
        Self {
            instance_id: detached(value.instance_id),
            rack_id: detached(value.rack_id),
            client_id: value.client_id.detached(),
            client_host: value.client_host.detached(),
            topic_names: value.topic_names.iter().map(Str::detached).collect(),
            pattern: value.pattern.map(|pattern| pattern.detached()).unwrap_or_default(),
            rebalance_timeout: of_millis(value.rebalance_timeout),
            assignor: detached(value.assignor),
            classic: value.classic.map(ClassicMember::from),
        }
    }
}

impl From<Subscription> for SubscriptionValue {
    fn from(it: Subscription) -> Self {
        Self {
            instance_id: it.instance_id,
            rack_id: it.rack_id,
            client_id: it.client_id,
            client_host: it.client_host,
            topic_names: it.topic_names.into_iter().collect(),
            pattern: Some(it.pattern),
            rebalance_timeout: millis(it.rebalance_timeout),
            assignor: it.assignor,
            classic: it.classic.map(ClassicMemberValue::from),
        }
    }
}

impl From<ClassicMemberValue> for ClassicMember {
    fn from(value: ClassicMemberValue) -> Self {
        let protocols = value.protocols.into_iter().map(|protocol| Protocol {
            name: protocol.name.detached(),
            metadata: Bytes::copy_from_slice(&protocol.metadata),
        });
        Self { session_timeout: of_millis(value.session_timeout), protocols: protocols.collect() }
    }
}

impl From<ClassicMember> for ClassicMemberValue {
    fn from(it: ClassicMember) -> Self {
        let protocols = it
            .protocols
            .into_iter()
            .map(|protocol| ProtocolValue { name: protocol.name, metadata: protocol.metadata });
        Self { session_timeout: millis(it.session_timeout), protocols: protocols.collect() }
    }
}

impl From<TargetValue> for Partitions {
    fn from(value: TargetValue) -> Self {
        let of_topic = |topic: TargetTopic| {
            topic.partitions.into_iter().map(move |index| (topic.topic_id, index))
        };
        value.topics.into_iter().flat_map(of_topic).collect()
    }
}

impl From<Partitions> for TargetValue {
    fn from(partitions: Partitions) -> Self {
        let topic = |(topic_id, partitions)| TargetTopic { topic_id, partitions };
        Self { topics: by_topic(partitions).into_iter().map(topic).collect() }
    }
}

impl From<CurrentValue> for Current {
    fn from(value: CurrentValue) -> Self {
        Self {
            epoch: value.epoch,
            previous_epoch: value.previous_epoch,
            state: MemberState::from_code(value.state),
            assigned: held(value.assigned, value.epoch),
            revoking: held(value.revoking, value.epoch),
        }
    }
}

impl From<Current> for CurrentValue {
    fn from(it: Current) -> Self {
        Self {
            epoch: it.epoch,
            previous_epoch: it.previous_epoch,
            state: it.state.code(),
            assigned: current_topics(it.assigned),
            revoking: current_topics(it.revoking),
        }
    }
}

/// What a member holds, and since which epochs; releases before 4.3 did not write them.
fn held(topics: Vec<CurrentTopic>, member_epoch: i32) -> Held {
    let of_topic = |topic: CurrentTopic| {
        let epochs = topic.epochs.unwrap_or_default().into_iter();
        let epochs = epochs.chain(std::iter::repeat(member_epoch.max(0)));
        let places = topic.partitions.into_iter().map(move |index| (topic.topic_id, index));
        places.zip(epochs).collect::<Vec<(TopicPartition, i32)>>()
    };
    topics.into_iter().flat_map(of_topic).collect()
}

fn current_topics(held: Held) -> Vec<CurrentTopic> {
    let topic = |(topic_id, held): (Uuid, Vec<(i32, i32)>)| {
        let (partitions, epochs) = held.into_iter().unzip();
        CurrentTopic { topic_id, partitions, epochs: Some(epochs) }
    };
    let of_topics = held.into_iter().map(|((topic_id, index), epoch)| (topic_id, (index, epoch)));
    by_topic(of_topics).into_iter().map(topic).collect()
}

impl From<PatternValue> for Matches {
    fn from(value: PatternValue) -> Self {
        Self {
            topics: value.topics.iter().map(Str::detached).collect::<BTreeSet<Str>>(),
            version: value.version,
            matched_ms: value.timestamp,
        }
    }
}

impl From<Matches> for PatternValue {
    fn from(it: Matches) -> Self {
        Self {
            topics: it.topics.into_iter().collect(),
            version: it.version,
            timestamp: it.matched_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use klamm_protocol::records::Record;

    use super::*;

    const TOPIC: TopicPartition = (Uuid([3; 16]), 0);

    fn at(index: i32) -> TopicPartition {
        (TOPIC.0, index)
    }

    /// The bytes are those that Kafka's classes write.
    #[track_caller]
    fn check(change: Change, key: &[u8], value: &[u8]) {
        let record = GroupRecord::consumer(&"g".into(), change.clone());
        let encoded = record.encode().unwrap();
        let bytes = [b"\0\0", value].concat();
        assert_eq!((&*encoded.key, encoded.value.as_deref()), (key, Some(&*bytes)));
        let decode = |key: &[u8], value: Option<&[u8]>| {
            let key = Some(Bytes::copy_from_slice(key));
            let value = value.map(Bytes::copy_from_slice);
            GroupRecord::decode(&Record { key, value, ..Record::default() })
        };
        for cut in 0..bytes.len() {
            assert!(decode(key, Some(&bytes[..cut])).is_err(), "the value cut at {cut}");
        }
        let Ok(GroupRecord::Consumer(read)) = decode(key, Some(&bytes)) else {
            panic!("it can be read");
        };
        assert_eq!(read.into_change(), ("g".into(), Some(change)));
        assert!(decode(key, None).is_ok(), "a tombstone can be read");
    }

    fn subscription() -> Subscription {
        Subscription {
            client_id: "c".into(),
            client_host: "/h".into(),
            rebalance_timeout: of_millis(5),
            ..Subscription::default()
        }
    }

    #[test]
    fn epochs_are_written_as_by_kafka() {
        let of_hash = |metadata_hash| Change::Epoch(Some(GroupEpoch { epoch: 7, metadata_hash }));
        check(of_hash(0), b"\0\x03\0\x01g", b"\0\0\0\x07\0");
        check(of_hash(9), b"\0\x03\0\x01g", b"\0\0\0\x07\x01\0\x08\0\0\0\0\0\0\0\x09");
        let at = |assigned_ms| Change::TargetEpoch(Some(TargetEpoch { epoch: 7, assigned_ms }));
        check(at(0), b"\0\x06\0\x01g", b"\0\0\0\x07\0");
        check(at(9), b"\0\x06\0\x01g", b"\0\0\0\x07\x01\0\x08\0\0\0\0\0\0\0\x09");
    }

    #[test]
    fn members_are_written_as_by_kafka() {
        let key = b"\0\x05\0\x01g\0\x01m";
        let named = Subscription {
            instance_id: Some("i".into()),
            topic_names: ["t", "u"].map(Str::from).into(),
            assignor: Some("range".into()),
            ..subscription()
        };
        let bytes = b"\x02i\0\x02c\x03/h\x03\x02t\x02u\x01\0\0\0\x05\x06range\0";
        check(Change::Member("m".into(), Some(named)), key, bytes);
        let protocol = Protocol { name: "range".into(), metadata: Bytes::from_static(b"\x01\x02") };
        let classic = ClassicMember { session_timeout: of_millis(6), protocols: vec![protocol] };
        let matched = Subscription {
            rack_id: Some("r".into()),
            pattern: "t.*".into(),
            classic: Some(classic),
            ..subscription()
        };
        let bytes = b"\0\x02r\x02c\x03/h\x01\x04t.*\0\0\0\x05\0\x01\0\x11\x01\0\0\0\x06\x02\
            \x06range\x03\x01\x02\0\0";
        check(Change::Member("m".into(), Some(matched)), key, bytes);
    }

    #[test]
    fn assignments_are_written_as_by_kafka() {
        let target = Change::Target("m".into(), Some([at(0), at(1)].into()));
        let topic = b"\x02\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03";
        let bytes = [&topic[..], b"\x03\0\0\0\0\0\0\0\x01\0\0"].concat();
        check(target, b"\0\x07\0\x01g\0\x01m", &bytes);
        let current = Current {
            epoch: 7,
            previous_epoch: 6,
            state: MemberState::Unrevoked,
            assigned: [(at(0), 4), (at(1), 7)].into(),
            revoking: [(at(2), 3)].into(),
        };
        let bytes = [
            b"\0\0\0\x07\0\0\0\x06\x01",
            &topic[..],
            b"\x03\0\0\0\0\0\0\0\x01\x01\0\x09\x03\0\0\0\x04\0\0\0\x07",
            topic,
            b"\x02\0\0\0\x02\x01\0\x05\x02\0\0\0\x03\0",
        ];
        check(Change::Current("m".into(), Some(current)), b"\0\x08\0\x01g\0\x01m", &bytes.concat());
    }

    #[test]
    fn patterns_are_written_as_by_kafka() {
        let topics = ["t", "t2"].map(Str::from).into();
        let matches = Matches { topics, version: 4, matched_ms: 5 };
        let bytes = b"\x03\x02t\x03t2\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x05\0";
        check(Change::Pattern("t.*".into(), Some(matches)), b"\0\x10\0\x01g\0\x03t.*", bytes);
    }

    #[test]
    fn older_releases_wrote_less() {
        let read = |key: &'static [u8], value: &[u8]| {
            let (key, value) = (Some(Bytes::from_static(key)), Some(Bytes::copy_from_slice(value)));
            match GroupRecord::decode(&Record { key, value, ..Record::default() }) {
                Ok(GroupRecord::Consumer(record)) => record.into_change().1,
                other => panic!("{other:?}"),
            }
        };
        let topic = b"\x02\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x02";
        let topics = [b"\0\0", &topic[..17], b"\x02t\0\0\0\x02\x02\0\0\0\x01\x02\x02r\0\0\0"];
        assert_eq!(read(b"\0\x04\0\x01g", &topics.concat()), None);
        let current = [b"\0\0\0\0\0\x07\0\0\0\x06\0", &topic[..], b"\0\0\0\x01\0\x01\0"].concat();
        let assigned = [(at(1), 7)].into();
        let expected = Current { epoch: 7, previous_epoch: 6, assigned, ..Current::default() };
        let expected = Change::Current("m".into(), Some(expected));
        assert_eq!(read(b"\0\x08\0\x01g\0\x01m", &current), Some(expected));
    }
}
