//! What holds for every message at every version, and for bytes that are no message.

mod support;

use bytes::Bytes;
use klamm_protocol::api::{AnyRequest, AnyResponse, ApiKey, create_topics, fetch, metadata};
use klamm_protocol::wire::{Shape, WireError};
use proptest::prelude::*;
use support::dice::Dice;
use support::{Kind, Side};

#[test]
fn what_is_read_is_written_again() {
    for kind in Kind::all() {
        for message in kind.samples(8) {
            assert_eq!(kind.recode(message.clone()), Ok(message), "{kind:?}");
        }
    }
}

#[test]
fn a_message_of_defaults_round_trips() {
    for kind in Kind::all() {
        let Kind { side, key, version } = kind;
        let (read, sent) = match side {
            Side::Request => {
                let sent = AnyRequest::default_of(key);
                let body = sent.encode(version).unwrap().into_bytes();
                (AnyRequest::decode(key, version, body) == Ok(sent.clone()), format!("{sent:?}"))
            }
            Side::Response => {
                let sent = AnyResponse::default_of(key);
                let body = sent.encode(version).unwrap().into_bytes();
                (AnyResponse::decode(key, version, body) == Ok(sent.clone()), format!("{sent:?}"))
            }
        };
        assert!(read, "{kind:?}: {sent}");
    }
}

#[test]
fn a_message_cut_anywhere_is_an_error() {
    for kind in Kind::all() {
        for message in kind.samples(2) {
            for cut in 0..message.len() {
                let cut_off = kind.recode(message.slice(..cut));
                assert!(cut_off.is_err(), "{kind:?} cut at {cut} of {}", message.len());
            }
        }
    }
}

#[test]
fn bytes_behind_a_message_are_an_error() {
    for kind in Kind::all() {
        for message in kind.samples(2) {
            let longer = Bytes::from([&message, &[0][..]].concat());
            assert_eq!(kind.recode(longer), Err(WireError::Trailing(1)), "{kind:?}");
        }
    }
}

#[test]
fn tags_of_later_versions_are_skipped() {
    for kind in Kind::all().filter(|kind| kind.is_flexible()) {
        for seed in 0..2 {
            let with = Dice::new(seed).message_with_unknown_tags(kind.shape(), kind.version);
            let without = kind.sample(&mut Dice::new(seed));
            assert_eq!(kind.recode(with.into()), Ok(without), "{kind:?}");
        }
    }
}

#[test]
fn every_version_is_written_or_refused_with_a_reason() {
    for kind in Kind::all() {
        let message = kind.sample(&mut Dice::new(0));
        for version in kind.key.versions() {
            match kind.recode_as(version, message.clone()) {
                Ok(other) => {
                    let there = Kind { version, ..kind };
                    assert_eq!(there.recode(other.clone()), Ok(other), "{kind:?} as {version}");
                }
                Err(WireError::Unsayable { .. } | WireError::UnexpectedNull) => {}
                Err(error) => panic!("{kind:?} as {version}: {error}"),
            }
        }
    }
}

#[test]
fn undeclared_versions_are_refused() {
    for key in ApiKey::ALL {
        for version in [*key.versions().start() - 1, *key.versions().end() + 1] {
            let refused = WireError::Version { key: key.code(), version };
            let decoded = AnyRequest::decode(*key, version, Bytes::new());
            assert_eq!(decoded, Err(refused.clone()));
            assert_eq!(AnyRequest::default_of(*key).encode(version), Err(refused));
        }
    }
}

#[test]
fn every_field_that_matters_refuses_to_be_lost() {
    let mut refused = 0;
    for kind in Kind::all() {
        let message = Dice::new(0).full_message(kind.shape(), kind.version, kind.is_flexible());
        for version in kind.key.versions() {
            let written = kind.recode_as(version, message.clone().into());
            if loses_what_matters(kind.shape(), kind.version, version) {
                assert!(written.is_err(), "{kind:?} as {version}");
                refused += 1;
            } else {
                let unsayable = matches!(written, Err(WireError::Unsayable { .. }));
                assert!(!unsayable, "{kind:?} as {version}: {written:?}");
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

/// The flags that a full message leaves at their default.
const SET_BY_DEFAULT: [&str; 3] =
    ["allow_auto_topic_creation", "allow_replication_factor_change", "ack_when_committed"];

/// Whether a full message of one version has a `must` field that the other version lacks.
fn loses_what_matters(shape: Shape, from: i16, to: i16) -> bool {
    match shape {
        Shape::Array(inner) | Shape::Nullable(inner) => loses_what_matters(*inner, from, to),
        Shape::Struct(fields) => {
            let mut fields = fields.iter().filter(|field| (field.carried)(from));
            fields.any(|field| match (field.carried)(to) {
                true => loses_what_matters(field.shape, from, to),
                false => field.must && !SET_BY_DEFAULT.contains(&field.name),
            })
        }
        Shape::Bool | Shape::Fixed(_) | Shape::Text | Shape::Bytes => false,
    }
}

#[test]
fn a_field_that_matters_is_named_when_it_would_be_lost() {
    let check = |request: AnyRequest, lacking: i16, carrying: i16, field| {
        let refused = Err(WireError::Unsayable { field, version: lacking });
        assert_eq!(request.encode(lacking).map(|_| ()), refused);
        assert_eq!(request.encode(carrying).map(|_| ()), Ok(()));
    };
    let validate_only = create_topics::Request { validate_only: true, ..Default::default() };
    check(AnyRequest::CreateTopics(validate_only.into()), 0, 1, "Request.validate_only");
    let follower = fetch::Request { replica_id: 3, ..Default::default() };
    check(AnyRequest::Fetch(follower.into()), 15, 14, "Request.replica_id");
}

#[test]
fn a_field_that_does_not_matter_is_dropped_by_versions_that_lack_it() {
    let mut sent = metadata::Response { throttle_time_ms: 7, ..Default::default() };
    sent.cluster_id = Some("k".into());
    let read_back = |version| {
        let body = AnyResponse::Metadata(sent.clone().into()).encode(version).unwrap();
        match AnyResponse::decode(ApiKey::Metadata, version, body.into_bytes()).unwrap() {
            AnyResponse::Metadata(read) => (read.throttle_time_ms, read.cluster_id),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(read_back(1), (0, None));
    assert_eq!(read_back(2), (0, Some("k".into())));
    assert_eq!(read_back(3), (7, Some("k".into())));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        for kind in Kind::all() {
            if let Ok(message) = kind.recode(bytes.clone()) {
                prop_assert_eq!(kind.recode(message.clone()), Ok(message));
            }
        }
    }

    #[test]
    fn damaged_messages_never_panic(
        seed: u64, place: prop::sample::Index, damage: u8, kind: prop::sample::Index,
    ) {
        let kind = kind.get(&Kind::all().collect::<Vec<_>>()).to_owned();
        let mut bytes = kind.sample(&mut Dice::new(seed)).to_vec();
        if !bytes.is_empty() {
            *place.get_mut(&mut bytes) ^= damage;
        }
        if let Ok(message) = kind.recode(bytes.into()) {
            prop_assert_eq!(kind.recode(message.clone()), Ok(message));
        }
    }
}
