//! The records of the metadata log, in Kafka's own format.
//!
//! The bodies are those of `common/metadata/*.json` in Kafka. Before each stand three varints: the
//! version of this frame, which is 1, the type of the record, and the version of the body.

use klamm_protocol::wire::{Reader, Wire, WireError, Writer};

klamm_protocol::structs! {
    /// A topic that begins to be.
    struct TopicRecord {
        name: Str,
        topic_id: Uuid,
    }

    /// A partition that begins to be, or that is led in another way.
    struct PartitionRecord {
        partition_id: i32 = -1,
        topic_id: Uuid,
        replicas: Vec<i32>,
        isr: Vec<i32>,
        removing_replicas: Vec<i32>,
        adding_replicas: Vec<i32>,
        leader: i32 = -1,
        leader_epoch: i32 = -1,
        partition_epoch: i32 = -1,
        /// The data folder of each replica.
        directories: Vec<Uuid> [1..];
        tagged {
            0 => leader_recovery_state: i8,
            1 => eligible_leader_replicas: Option<Vec<i32>> [2..],
            2 => last_known_elr: Option<Vec<i32>> [2..],
        }
    }

    /// A topic that ends, with its partitions and its settings.
    struct RemoveTopicRecord {
        topic_id: Uuid,
    }

    /// A setting of a topic or a broker.
    struct ConfigRecord {
        resource_type: i8,
        /// The topic, or the broker's number; empty for all brokers.
        resource_name: Str,
        name: Str,
        /// Null takes the setting away.
        value: Option<Str>,
    }

    /// A block of producer ids that is given out.
    struct ProducerIdsRecord {
        broker_id: i32,
        broker_epoch: i64 = -1,
        /// The first id behind the block.
        next_producer_id: i64,
    }

    /// The version of a feature that is in use.
    struct FeatureLevelRecord {
        name: Str,
        feature_level: i16,
    }
}

/// One record of the metadata log.
#[derive(Clone, Debug, PartialEq)]
pub enum MetadataRecord {
    /// See [`TopicRecord`].
    Topic(TopicRecord),
    /// See [`PartitionRecord`].
    Partition(PartitionRecord),
    /// See [`RemoveTopicRecord`].
    RemoveTopic(RemoveTopicRecord),
    /// See [`ConfigRecord`].
    Config(ConfigRecord),
    /// See [`ProducerIdsRecord`].
    ProducerIds(ProducerIdsRecord),
    /// See [`FeatureLevelRecord`].
    FeatureLevel(FeatureLevelRecord),
}

/// Why bytes are no record of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes are not of the form that their type has.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The frame is of another version.
    #[error("frame version {0} is not known")]
    Frame(u32),
    /// The type is not known, or not in this version: a later release wrote it.
    #[error("record type {kind} version {version} is not known")]
    Unknown {
        /// The type.
        kind: u32,
        /// The version of the body.
        version: u32,
    },
}

const FRAME_VERSION: u32 = 1;

/// One line for each type: its number, the versions that are read, the version that is written.
macro_rules! types {
    ($($kind:literal $variant:ident $body:ident $versions:expr, $written:literal;)*) => {
        impl MetadataRecord {
            /// Reads the value of a record of the log.
            ///
            /// # Errors
            /// The bytes are no record, or none that is known here.
            pub fn decode(bytes: Bytes) -> Result<Self, RecordError> {
                let mut head = Reader::new(bytes, 0, true);
                let frame = head.varint()?;
                if frame != FRAME_VERSION {
                    return Err(RecordError::Frame(frame));
                }
                let (kind, version) = (head.varint()?, head.varint()?);
                let unknown = RecordError::Unknown { kind, version };
                let body_version = i16::try_from(version).map_err(|_| unknown.clone())?;
                let rest = head.take(head.remaining())?;
                let mut body = Reader::new(rest, body_version, true);
                let record = match kind {
                    $($kind if ($versions).contains(&body_version) => {
                        Self::$variant($body::read(&mut body)?)
                    })*
                    _ => return Err(unknown),
                };
                body.finish()?;
                Ok(record)
            }

            /// The value of a record of the log.
            ///
            /// # Errors
            /// A text is longer than the format can say.
            pub fn encode(&self) -> Result<Bytes, WireError> {
                match self {
                    $(Self::$variant(body) => encode($kind, $written, body),)*
                }
            }
        }
    };
}

types! {
    2 Topic TopicRecord 0..=0, 0;
    3 Partition PartitionRecord 0..=2, 2;
    4 Config ConfigRecord 0..=0, 0;
    9 RemoveTopic RemoveTopicRecord 0..=0, 0;
    12 FeatureLevel FeatureLevelRecord 0..=0, 0;
    15 ProducerIds ProducerIdsRecord 0..=0, 0;
}

fn encode(kind: u32, version: u16, body: &impl Wire) -> Result<Bytes, WireError> {
    let mut w = Writer::new(version.cast_signed(), true);
    w.varint(FRAME_VERSION);
    w.varint(kind);
    w.varint(version.into());
    body.write(&mut w);
    w.finish().map(klamm_protocol::wire::Encoded::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: MetadataRecord, bytes: &[u8]) {
        assert_eq!(record.encode().unwrap(), bytes);
        assert_eq!(MetadataRecord::decode(Bytes::copy_from_slice(bytes)), Ok(record));
        for cut in 0..bytes.len() {
            assert!(MetadataRecord::decode(Bytes::copy_from_slice(&bytes[..cut])).is_err());
        }
    }

    #[test]
    fn records_are_framed_as_by_kafka() {
        check(
            MetadataRecord::FeatureLevel(FeatureLevelRecord {
                name: "metadata.version".into(),
                feature_level: 30,
            }),
            b"\x01\x0c\x00\x11metadata.version\x00\x1e\x00",
        );
        check(
            MetadataRecord::Config(ConfigRecord {
                resource_type: 4,
                resource_name: "".into(),
                name: "min.insync.replicas".into(),
                value: Some("1".into()),
            }),
            b"\x01\x04\x00\x04\x01\x14min.insync.replicas\x021\x00",
        );
    }

    #[test]
    fn what_a_later_release_wrote_is_refused() {
        let decode = |bytes: &'static [u8]| MetadataRecord::decode(Bytes::from_static(bytes));
        assert_eq!(decode(b"\x02\x0c\x00"), Err(RecordError::Frame(2)));
        let unknown = |kind, version| Err(RecordError::Unknown { kind, version });
        assert_eq!(decode(b"\x01\x63\x00"), unknown(99, 0));
        assert_eq!(decode(b"\x01\x02\x01\x01"), unknown(2, 1));
        assert_eq!(decode(b"\x01\x02\xff\xff\x03"), unknown(2, 65_535));
    }
}
