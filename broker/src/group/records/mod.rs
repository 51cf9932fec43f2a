//! The records of `__consumer_offsets`, in Kafka's own format.
//!
//! The bodies are those of `common/message/*.json` in Kafka's group coordinator. Before the key
//! stands the type of the record, before the value the version of its body, both as 16 bits. A
//! record without a value is a tombstone: what its key names is no more.

mod classic;
mod consumer;
mod offset;

use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::records::Record;
use klamm_protocol::wire::{Encoded, Reader, Wire, WireError, Writer};

pub use self::classic::{GroupKey, GroupValue, MemberValue};
pub use self::consumer::{
    ClassicMemberValue, ConsumerMemberKey, ConsumerRecord, CurrentTopic, CurrentValue, EpochValue,
    PatternKey, PatternValue, ProtocolValue, RackedPartition, SubscriptionValue, TargetEpochValue,
    TargetTopic, TargetValue, TopicValue, TopicsValue,
};
pub use self::offset::{OffsetKey, OffsetValue};
use crate::shard::EncodedRecord;

/// One record of the log of groups.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRecord {
    /// An offset is committed, or forgotten.
    Offset(OffsetKey, Option<OffsetValue>),
    /// A group of the classic protocol is in another generation, or no more.
    Group(GroupKey, Option<GroupValue>),
    /// A group of the consumer protocol is not what it was.
    Consumer(ConsumerRecord),
}

/// Why bytes are no record of the log of groups.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes are not of the form that their type has.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// There is no key.
    #[error("the record has no key")]
    NoKey,
    /// The type is not known: a later release wrote it, or one with other kinds of groups.
    #[error("record type {0} is not known")]
    UnknownType(i16),
    /// The value is in a version that is not known: a later release wrote it.
    #[error("version {version} of record type {kind} is not known")]
    UnknownVersion {
        /// The type.
        kind: i16,
        /// The version of the value.
        version: i16,
    },
}

/// The type of offsets as releases before 0.9 wrote it.
const OLD_OFFSET: i16 = 0;
const OFFSET: i16 = 1;
const GROUP: i16 = 2;
/// Written where the client says when the offset expires, which later versions cannot say.
const EXPIRING_OFFSET_VERSION: i16 = 1;
const OFFSET_VERSION: i16 = 4;
const GROUP_VERSION: i16 = 3;

/// The versions of the values of one type.
#[derive(Clone, Copy)]
struct Form {
    kind: i16,
    /// The last version that is read.
    version_max: i16,
    /// From this version on, values are in the flexible form.
    flexible_from: i16,
}

impl Form {
    /// The form of offsets and of classic groups.
    fn classic(kind: i16) -> Self {
        Self { kind, version_max: 4, flexible_from: 4 }
    }
}

impl GroupRecord {
    /// Reads a record of the log.
    ///
    /// # Errors
    /// It is of no known form.
    pub fn decode(record: &Record) -> Result<Self, RecordError> {
        let mut key = Reader::new(record.key.clone().ok_or(RecordError::NoKey)?, 0, false);
        let kind = i16::read(&mut key)?;
        let form = Form::classic(kind);
        let value = record.value.clone();
        Ok(match kind {
            OLD_OFFSET | OFFSET => Self::Offset(decode_key(&mut key)?, decode_value(form, value)?),
            GROUP => Self::Group(decode_key(&mut key)?, decode_value(form, value)?),
            _ => Self::Consumer(ConsumerRecord::decode(kind, &mut key, value)?),
        })
    }

    /// The record as it is stored.
    ///
    /// # Errors
    /// A text is longer than the format can say.
    pub(crate) fn encode(&self) -> Result<EncodedRecord, WireError> {
        match self {
            Self::Offset(key, value) => {
                let expires = value.as_ref().is_some_and(|value| value.expire_timestamp >= 0);
                let version = if expires { EXPIRING_OFFSET_VERSION } else { OFFSET_VERSION };
                encode(Form::classic(OFFSET), key, version, value.as_ref())
            }
            Self::Group(key, value) => {
                encode(Form::classic(GROUP), key, GROUP_VERSION, value.as_ref())
            }
            Self::Consumer(record) => record.encode(),
        }
    }
}

fn decode_key<T: Wire>(reader: &mut Reader) -> Result<T, WireError> {
    let body = T::read(reader)?;
    reader.finish()?;
    Ok(body)
}

fn decode_value<T: Wire>(form: Form, value: Option<Bytes>) -> Result<Option<T>, RecordError> {
    let Some(value) = value else { return Ok(None) };
    let mut head = Reader::new(value, 0, false);
    let version = i16::read(&mut head)?;
    if !(0..=form.version_max).contains(&version) {
        return Err(RecordError::UnknownVersion { kind: form.kind, version });
    }
    let rest = head.take(head.remaining())?;
    let mut reader = Reader::new(rest, version, version >= form.flexible_from);
    let body = T::read(&mut reader)?;
    reader.finish()?;
    Ok(Some(body))
}

fn encode(
    form: Form,
    key: &impl Wire,
    version: i16,
    value: Option<&impl Wire>,
) -> Result<EncodedRecord, WireError> {
    let with_head = |head: i16, mut writer: Writer, body: &dyn Fn(&mut Writer)| {
        writer.put(&head.to_be_bytes());
        body(&mut writer);
        writer.finish().map(Encoded::into_bytes)
    };
    let key = with_head(form.kind, Writer::new(0, false), &|writer| key.write(writer))?;
    let value = value.map(|value| {
        let writer = Writer::new(version, version >= form.flexible_from);
        with_head(version, writer, &|writer| value.write(writer))
    });
    Ok(EncodedRecord { key, value: value.transpose()? })
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

fn of_millis(millis: i32) -> Duration {
    Duration::from_millis(millis.max(0).unsigned_abs().into())
}

#[cfg(test)]
mod tests {
    use klamm_protocol::wire::Uuid;

    use super::*;

    fn check(record: GroupRecord, key: &[u8], value: Option<&[u8]>) {
        let encoded = record.encode().unwrap();
        assert_eq!((&*encoded.key, encoded.value.as_deref()), (key, value));
        let decode = |key: &[u8], value: Option<&[u8]>| {
            let key = Some(Bytes::copy_from_slice(key));
            let value = value.map(Bytes::copy_from_slice);
            GroupRecord::decode(&Record { key, value, ..Record::default() })
        };
        assert_eq!(decode(key, value), Ok(record));
        for cut in 0..key.len() {
            assert!(decode(&key[..cut], value).is_err(), "the key cut at {cut}");
        }
        for cut in 0..value.map_or(0, <[u8]>::len) {
            let value = value.map(|value| &value[..cut]);
            assert!(decode(key, value).is_err(), "the value cut at {cut}");
        }
    }

    fn offset_key() -> OffsetKey {
        OffsetKey { group: "g".into(), topic: "t".into(), partition: 7 }
    }

    #[test]
    fn offsets_are_written_as_by_kafka() {
        let value = OffsetValue {
            offset: 5,
            leader_epoch: 2,
            metadata: "m".into(),
            commit_timestamp: 9,
            expire_timestamp: -1,
            topic_id: Uuid([3; 16]),
        };
        let key = b"\0\x01\0\x01g\0\x01t\0\0\0\x07";
        let bytes = b"\0\x04\0\0\0\0\0\0\0\x05\0\0\0\x02\x02m\0\0\0\0\0\0\0\x09\x01\0\x10\
            \x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03";
        check(GroupRecord::Offset(offset_key(), Some(value)), key, Some(bytes));
        let expiring = OffsetValue {
            offset: 5,
            metadata: "m".into(),
            commit_timestamp: 9,
            expire_timestamp: 10,
            ..OffsetValue::default()
        };
        let bytes = b"\0\x01\0\0\0\0\0\0\0\x05\0\x01m\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x0a";
        check(GroupRecord::Offset(offset_key(), Some(expiring)), key, Some(bytes));
        check(GroupRecord::Offset(offset_key(), None), key, None);
    }

    #[test]
    fn groups_are_written_as_by_kafka() {
        let member = MemberValue {
            member_id: "m".into(),
            group_instance_id: Some("i".into()),
            client_id: "c".into(),
            client_host: "/h".into(),
            rebalance_timeout: 1,
            session_timeout: 2,
            subscription: Bytes::from_static(b"s"),
            assignment: Bytes::from_static(b"a"),
        };
        let value = GroupValue {
            protocol_type: "p".into(),
            generation: 3,
            protocol: Some("r".into()),
            leader: Some("m".into()),
            current_state_timestamp: 4,
            members: vec![member],
        };
        let key = GroupKey { group: "g".into() };
        let bytes = b"\0\x03\0\x01p\0\0\0\x03\0\x01r\0\x01m\0\0\0\0\0\0\0\x04\0\0\0\x01\
            \0\x01m\0\x01i\0\x01c\0\x02/h\0\0\0\x01\0\0\0\x02\0\0\0\x01s\0\0\0\x01a";
        check(GroupRecord::Group(key.clone(), Some(value)), b"\0\x02\0\x01g", Some(bytes));
        check(GroupRecord::Group(key, None), b"\0\x02\0\x01g", None);
    }

    #[test]
    fn what_a_later_release_wrote_is_refused() {
        let decode = |key: &'static [u8], value: &'static [u8]| {
            let (key, value) = (Some(Bytes::from_static(key)), Some(Bytes::from_static(value)));
            GroupRecord::decode(&Record { key, value, ..Record::default() })
        };
        assert_eq!(decode(b"\0\x09\0\x01g", b""), Err(RecordError::UnknownType(9)));
        let unknown = RecordError::UnknownVersion { kind: 2, version: 5 };
        assert_eq!(decode(b"\0\x02\0\x01g", b"\0\x05"), Err(unknown));
        assert_eq!(GroupRecord::decode(&Record::default()), Err(RecordError::NoKey));
    }
}
