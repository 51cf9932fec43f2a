//! The records of `__consumer_offsets`, in Kafka's own format.
//!
//! The bodies are those of `common/message/*.json` in Kafka's group coordinator. Before the key
//! stands the type of the record, before the value the version of its body, both as 16 bits. A
//! record without a value is a tombstone: what its key names is no more.

use std::time::Duration;

use klamm_protocol::records::Record;
use klamm_protocol::wire::{Encoded, Reader, Wire, WireError, Writer};

use super::classic::{MemberSnapshot, Snapshot};
use super::offsets::Committed;
use crate::shard::EncodedRecord;

klamm_protocol::structs! {
    /// Names what a group has committed for a partition.
    struct OffsetKey {
        group: Str,
        topic: Str,
        partition: i32,
    }

    /// What a group has committed for a partition.
    struct OffsetValue {
        offset: i64,
        leader_epoch: i32 [3..] = -1,
        metadata: Str,
        commit_timestamp: i64,
        /// When the client wants it to be forgotten; -1 leaves it to the broker.
        expire_timestamp: i64 [1..=1] = -1;
        tagged {
            0 => topic_id: Uuid [4..],
        }
    }

    /// Names a group.
    struct GroupKey {
        group: Str,
    }

    /// A generation of a group of the classic protocol.
    struct GroupValue {
        /// Empty where no member ever joined.
        protocol_type: Str,
        generation: i32,
        protocol: Option<Str>,
        leader: Option<Str>,
        /// When the group came to the state it is in; -1 where unknown.
        current_state_timestamp: i64 [2..] = -1,
        members: Vec<MemberValue>,
    }

    /// A member of a generation.
    struct MemberValue {
        member_id: Str,
        group_instance_id: Option<Str> [3..],
        client_id: Str,
        client_host: Str,
        /// -1 stands for the session timeout.
        rebalance_timeout: i32 [1..] = -1,
        session_timeout: i32,
        subscription: Bytes,
        assignment: Bytes,
    }
}

/// One record of the log of groups.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRecord {
    /// An offset is committed, or forgotten.
    Offset(OffsetKey, Option<OffsetValue>),
    /// A group is in another generation, or no more.
    Group(GroupKey, Option<GroupValue>),
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
/// The versions of values that are read, for both types.
const VALUE_VERSION_MAX: i16 = 4;
/// From this version on, values are in the flexible form.
const VALUE_FLEXIBLE_FROM: i16 = 4;
/// Written where the client says when the offset expires, which later versions cannot say.
const EXPIRING_OFFSET_VERSION: i16 = 1;
const OFFSET_VERSION: i16 = 4;
const GROUP_VERSION: i16 = 3;

impl GroupRecord {
    /// A group is in this generation.
    pub(crate) fn group(name: &Str, snapshot: Snapshot) -> Self {
        let key = GroupKey { group: name.clone() };
        Self::Group(key, Some(snapshot.into()))
    }

    /// A group is no more.
    pub(crate) fn group_gone(name: &Str) -> Self {
        Self::Group(GroupKey { group: name.clone() }, None)
    }

    /// A group has read a partition so far.
    pub(crate) fn offset(group: &Str, topic: &Str, partition: i32, it: &Committed) -> Self {
        let value = OffsetValue {
            offset: it.offset,
            leader_epoch: it.leader_epoch,
            metadata: it.metadata.clone(),
            commit_timestamp: it.committed_ms,
            expire_timestamp: it.expires_ms.unwrap_or(-1),
            topic_id: it.topic_id,
        };
        Self::Offset(
            OffsetKey { group: group.clone(), topic: topic.clone(), partition },
            Some(value),
        )
    }

    /// What a group has read of a partition is forgotten.
    pub(crate) fn offset_gone(group: &Str, topic: &Str, partition: i32) -> Self {
        Self::Offset(OffsetKey { group: group.clone(), topic: topic.clone(), partition }, None)
    }
}

impl From<OffsetValue> for Committed {
    fn from(value: OffsetValue) -> Self {
        Self {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.detached(),
            committed_ms: value.commit_timestamp,
            expires_ms: Some(value.expire_timestamp).filter(|ms| *ms >= 0),
            topic_id: value.topic_id,
        }
    }
}

impl From<Snapshot> for GroupValue {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            protocol_type: snapshot.protocol_type.unwrap_or_default(),
            generation: snapshot.generation,
            protocol: snapshot.protocol,
            leader: snapshot.leader,
            current_state_timestamp: snapshot.state_since_ms.unwrap_or(-1),
            members: snapshot.members.into_iter().map(MemberValue::from).collect(),
        }
    }
}

impl From<GroupValue> for Snapshot {
    fn from(value: GroupValue) -> Self {
        Self {
            protocol_type: Some(value.protocol_type.detached()),
            generation: value.generation,
            protocol: value.protocol.map(|protocol| protocol.detached()),
            leader: value.leader.map(|leader| leader.detached()),
            state_since_ms: Some(value.current_state_timestamp).filter(|ms| *ms >= 0),
            members: value.members.into_iter().map(MemberSnapshot::from).collect(),
        }
    }
}

impl From<MemberSnapshot> for MemberValue {
    fn from(member: MemberSnapshot) -> Self {
        Self {
            member_id: member.member_id,
            group_instance_id: member.instance_id,
            client_id: member.client_id,
            client_host: member.client_host,
            rebalance_timeout: millis(member.rebalance_timeout),
            session_timeout: millis(member.session_timeout),
            subscription: member.metadata,
            assignment: member.assignment,
        }
    }
}

impl From<MemberValue> for MemberSnapshot {
    fn from(value: MemberValue) -> Self {
        let of_millis = |millis: i32| Duration::from_millis(millis.max(0).unsigned_abs().into());
        let rebalance_timeout = if value.rebalance_timeout < 0 {
            value.session_timeout
        } else {
            value.rebalance_timeout
        };
        Self {
            member_id: value.member_id.detached(),
            instance_id: value.group_instance_id.map(|id| id.detached()),
            client_id: value.client_id.detached(),
            client_host: value.client_host.detached(),
            rebalance_timeout: of_millis(rebalance_timeout),
            session_timeout: of_millis(value.session_timeout),
            metadata: Bytes::copy_from_slice(&value.subscription),
            assignment: Bytes::copy_from_slice(&value.assignment),
        }
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

impl GroupRecord {
    /// Reads a record of the log.
    ///
    /// # Errors
    /// It is of no known form.
    pub fn decode(record: &Record) -> Result<Self, RecordError> {
        let mut key = Reader::new(record.key.clone().ok_or(RecordError::NoKey)?, 0, false);
        let kind = i16::read(&mut key)?;
        let value = record.value.clone();
        Ok(match kind {
            OLD_OFFSET | OFFSET => Self::Offset(body(&mut key)?, decode_value(kind, value)?),
            GROUP => Self::Group(body(&mut key)?, decode_value(kind, value)?),
            _ => return Err(RecordError::UnknownType(kind)),
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
                encode(OFFSET, key, version, value.as_ref())
            }
            Self::Group(key, value) => encode(GROUP, key, GROUP_VERSION, value.as_ref()),
        }
    }
}

fn body<T: Wire>(reader: &mut Reader) -> Result<T, WireError> {
    let body = T::read(reader)?;
    reader.finish()?;
    Ok(body)
}

fn decode_value<T: Wire>(kind: i16, value: Option<Bytes>) -> Result<Option<T>, RecordError> {
    let Some(value) = value else { return Ok(None) };
    let mut head = Reader::new(value, 0, false);
    let version = i16::read(&mut head)?;
    if !(0..=VALUE_VERSION_MAX).contains(&version) {
        return Err(RecordError::UnknownVersion { kind, version });
    }
    let rest = head.take(head.remaining())?;
    Ok(Some(body(&mut Reader::new(rest, version, version >= VALUE_FLEXIBLE_FROM))?))
}

fn encode(
    kind: i16,
    key: &impl Wire,
    version: i16,
    value: Option<&impl Wire>,
) -> Result<EncodedRecord, WireError> {
    let with_head = |head: i16, mut writer: Writer, body: &dyn Fn(&mut Writer)| {
        writer.put(&head.to_be_bytes());
        body(&mut writer);
        writer.finish().map(Encoded::into_bytes)
    };
    let key = with_head(kind, Writer::new(0, false), &|writer| key.write(writer))?;
    let value = value.map(|value| {
        let writer = Writer::new(version, version >= VALUE_FLEXIBLE_FROM);
        with_head(version, writer, &|writer| value.write(writer))
    });
    Ok(EncodedRecord { key, value: value.transpose()? })
}

#[cfg(test)]
mod tests {
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
        assert_eq!(decode(b"\0\x03\0\x01g", b""), Err(RecordError::UnknownType(3)));
        let unknown = RecordError::UnknownVersion { kind: 2, version: 5 };
        assert_eq!(decode(b"\0\x02\0\x01g", b"\0\x05"), Err(unknown));
        assert_eq!(GroupRecord::decode(&Record::default()), Err(RecordError::NoKey));
    }
}
