//! A refusal can be said in every version, and means the code.

use klamm_protocol::api::{
    AddOffsetsToTxn, AddPartitionsToTxn, ApiVersions, ConsumerGroupHeartbeat, CreateTopics,
    DescribeCluster, EndTxn, Fetch, FindCoordinator, GetTelemetrySubscriptions, Heartbeat,
    InitProducerId, JoinGroup, LeaveGroup, ListGroups, ListOffsets, ListTransactions, Metadata,
    OffsetCommit, OffsetFetch, Produce, PushTelemetry, SyncGroup, TxnOffsetCommit,
    add_partitions_to_txn, create_topics, find_coordinator, list_offsets, offset_commit,
    offset_fetch, produce, txn_offset_commit,
};
use klamm_protocol::header::{decode_response, encode_response};

use super::*;

const CODE: ErrorCode = ErrorCode::NOT_COORDINATOR;

/// The answer has the code, as bytes that are found in it whatever the version.
fn check<A: Refuse>(request: impl Fn() -> A::Request) {
    let key = ApiKey::from_code(A::KEY).unwrap();
    let fault = Fault::error(key, CODE);
    let target = Target::with_id(&fault, None);
    let served = SERVED.iter().find(|served| served.key == key).unwrap();
    assert_eq!(fault.check(served.names, served.errors), Ok(()), "{}", A::NAME);
    for version in A::VERSIONS {
        let mut request = request();
        let answer = A::refuse(&mut request, version, target, CODE).unwrap();
        assert!(!A::is_left(&request), "{} {version}", A::NAME);
        let bytes = encode_response::<A>(version, 7, &answer).unwrap().into_bytes();
        let code = CODE.0.to_be_bytes();
        let has_code = bytes.windows(code.len()).any(|window| window == code);
        let frame = bytes.slice(4..);
        let (id, _) = decode_response::<A>(version, frame).unwrap();
        assert_eq!((id, has_code), (7, true), "{} {version}: {bytes:?}", A::NAME);
    }
}

#[test]
fn one_code() {
    check::<Heartbeat>(Default::default);
    check::<LeaveGroup>(Default::default);
    check::<JoinGroup>(Default::default);
    check::<SyncGroup>(Default::default);
    check::<ListGroups>(Default::default);
    check::<ApiVersions>(Default::default);
    check::<InitProducerId>(Default::default);
    check::<AddOffsetsToTxn>(Default::default);
    check::<EndTxn>(Default::default);
    check::<DescribeCluster>(Default::default);
    check::<ListTransactions>(Default::default);
    check::<ConsumerGroupHeartbeat>(Default::default);
    check::<GetTelemetrySubscriptions>(Default::default);
    check::<PushTelemetry>(Default::default);
}

#[test]
fn a_code_for_each_topic_or_partition() {
    check::<Produce>(|| {
        let partitions = vec![produce::Partition::default()];
        let topics = vec![produce::Topic { partitions, ..Default::default() }];
        produce::Request { topics, ..Default::default() }
    });
    check::<ListOffsets>(|| {
        let partitions = vec![list_offsets::Partition::default()];
        let topics = vec![list_offsets::Topic { partitions, ..Default::default() }];
        list_offsets::Request { topics, ..Default::default() }
    });
    check::<OffsetCommit>(|| {
        let partitions = vec![offset_commit::Partition::default()];
        let topics = vec![offset_commit::Topic { partitions, ..Default::default() }];
        offset_commit::Request { topics, ..Default::default() }
    });
    check::<TxnOffsetCommit>(|| {
        let partitions = vec![txn_offset_commit::Partition::default()];
        let topics = vec![txn_offset_commit::Topic { partitions, ..Default::default() }];
        txn_offset_commit::Request { topics, ..Default::default() }
    });
    check::<CreateTopics>(|| {
        let topics = vec![create_topics::Topic::default()];
        create_topics::Request { topics, ..Default::default() }
    });
    check::<AddPartitionsToTxn>(|| {
        let topics =
            vec![add_partitions_to_txn::Topic { partitions: vec![0], ..Default::default() }];
        let transaction =
            add_partitions_to_txn::Transaction { topics: topics.clone(), ..Default::default() };
        add_partitions_to_txn::Request {
            transactions: vec![transaction],
            v3_and_below_topics: topics,
            ..Default::default()
        }
    });
}

#[test]
fn a_code_for_each_group_or_key() {
    check::<FindCoordinator>(|| find_coordinator::Request {
        coordinator_keys: vec!["key".into()],
        ..Default::default()
    });
    check::<OffsetFetch>(|| {
        let topic = offset_fetch::Topic { partition_indexes: vec![0], ..Default::default() };
        offset_fetch::Request {
            topics: Some(vec![topic]),
            groups: vec![offset_fetch::Group::default()],
            ..Default::default()
        }
    });
}

#[test]
fn what_is_found_is_spoilt_unless_a_code_is_for_the_whole() {
    let fault = Fault::error(ApiKey::Fetch, CODE);
    let whole = Target::with_id(&fault, None);
    assert!(Fetch::spoils(12, whole, CODE));
    assert!(!Fetch::spoils(12, whole, ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
    assert!(Fetch::spoils(6, whole, ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
    assert!(Metadata::spoils(13, whole, CODE));
    assert!(!Metadata::spoils(13, whole, ErrorCode::REBOOTSTRAP_REQUIRED));
}
