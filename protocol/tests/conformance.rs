//! Our codec beside that of the `kafka-protocol` crate, which is generated from Kafka's own
//! definitions: the same bytes in, the same bytes out, for every message that both know.

mod support;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use klamm_protocol::api::ApiKey as OurKey;
use support::{Kind, Side};

const SAMPLES: u64 = 12;

/// What version 0.18 of the crate names as valid and then refuses to read.
const THEIR_FAULTS: [(Side, OurKey, i16); 2] =
    [(Side::Request, OurKey::OffsetCommit, 10), (Side::Request, OurKey::OffsetFetch, 10)];

/// The versions that the crate does not know: those that Kafka 4 dropped, and the newest.
const NOT_KNOWN_THERE: [(OurKey, i16); 13] = [
    (OurKey::ListOffsets, 11),
    (OurKey::CreateTopics, 0),
    (OurKey::CreateTopics, 1),
    (OurKey::DeleteTopics, 0),
    (OurKey::WriteTxnMarkers, 2),
    (OurKey::DescribeConfigs, 0),
    (OurKey::DescribeLogDirs, 5),
    (OurKey::ShareFetch, 2),
    (OurKey::ShareAcknowledge, 2),
    (OurKey::AddRaftVoter, 1),
    (OurKey::StreamsGroupHeartbeat, 0),
    (OurKey::StreamsGroupDescribe, 0),
    (OurKey::DescribeShareGroupOffsets, 1),
];

#[test]
fn every_message_reads_and_writes_as_in_kafka_protocol() {
    for kind in Kind::all() {
        let Some(key) = their_key(kind) else { continue };
        for message in kind.samples(SAMPLES) {
            assert_eq!(kind.recode(message.clone()).as_ref(), Ok(&message), "{kind:?}, ours");
            let theirs = recode(kind.side, key, kind.version, message.clone());
            assert_eq!(theirs.as_ref(), Ok(&message), "{kind:?}, theirs");
        }
    }
}

#[test]
fn what_cannot_be_compared_is_listed() {
    let unknown = |kind: &Kind| kind.side == Side::Response && their_key(*kind).is_none();
    let unknown = Kind::all().filter(unknown).map(|kind| (kind.key, kind.version));
    assert_eq!(unknown.collect::<Vec<_>>(), NOT_KNOWN_THERE);
}

/// The API as they know it, if they can read this version.
fn their_key(kind: Kind) -> Option<ApiKey> {
    let key = ApiKey::try_from(kind.key.code()).ok()?;
    let versions = key.valid_versions();
    let known = (versions.min..=versions.max).contains(&kind.version);
    (known && !THEIR_FAULTS.contains(&(kind.side, kind.key, kind.version))).then_some(key)
}

/// Reads the message with their codec, to its end, and writes it again.
fn recode(side: Side, key: ApiKey, version: i16, mut body: Bytes) -> Result<Bytes, String> {
    let mut out = BytesMut::new();
    let written = match side {
        Side::Request => RequestKind::decode(key, &mut body, version)
            .and_then(|message| message.encode(&mut out, version)),
        Side::Response => ResponseKind::decode(key, &mut body, version)
            .and_then(|message| message.encode(&mut out, version)),
    };
    written.map_err(|error| format!("{error:#}"))?;
    if body.is_empty() { Ok(out.freeze()) } else { Err(format!("{} bytes are left", body.len())) }
}
