//! The bytes that others make of known messages.
//!
//! Bodies were written by the generated classes of kafka-clients 4.3.1: every field set as in
//! the message beside them, `ApiMessage.write`. Frames were captured on a socket from the programs
//! that are named with them.

use std::fmt::Debug;

use bytes::Bytes;
use klamm_protocol::api::{
    ApiVersions, CreateTopics, Fetch, InitProducerId, ListOffsets, Metadata, OffsetForLeaderEpoch,
    Produce, api_versions, create_topics, fetch, init_producer_id, list_offsets, metadata,
    offset_for_leader_epoch, produce,
};
use klamm_protocol::declare::Api;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::header::{RequestHeader, decode_request, encode_request};
use klamm_protocol::wire::{Reader, Records, Uuid, Wire, Writer};

/// Kafka prints it as `ASNFZ4mrze_-3LqYdlQyEA`.
const TOPIC_ID: Uuid = Uuid(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_be_bytes());

fn check<A: Api>(version: i16, message: impl Wire + PartialEq + Debug, hex: &str) {
    let mut w = Writer::new(version, A::is_flexible(version));
    message.write(&mut w);
    let written = w.finish().expect("the version can say it").into_bytes();
    assert_eq!(to_hex(&written), hex, "{} version {version}", A::NAME);
    let mut r = Reader::new(from_hex(hex), version, A::is_flexible(version));
    assert_eq!(Wire::read(&mut r), Ok(message), "{} version {version}", A::NAME);
    assert_eq!(r.finish(), Ok(()));
}

fn check_frame<A: Api>(version: i16, client_id: &str, message: A::Request, hex: &str)
where
    A::Request: PartialEq + Debug,
{
    let client_id = Some(client_id.into());
    let (header, body) = RequestHeader::split(from_hex(hex).slice(4..)).expect("a header");
    let correlation_id = header.correlation_id;
    let sent = encode_request::<A>(version, correlation_id, client_id.as_ref(), &message);
    assert_eq!(to_hex(&sent.expect("the version can say it").into_bytes()), hex);
    let expected =
        RequestHeader { api_key: A::KEY, api_version: version, correlation_id, client_id };
    assert_eq!(header, expected);
    assert_eq!(decode_request::<A>(body), Ok(message));
}

fn from_hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).expect("hex") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn records() -> Option<Records> {
    Some(Bytes::from_static(b"records").into())
}

#[test]
fn first_frames_of_real_clients() {
    let request = |name: &str, version: &str| api_versions::Request {
        client_software_name: name.into(),
        client_software_version: version.into(),
    };
    // `kafka-topics --list` of Kafka 4.3.1.
    check_frame::<ApiVersions>(
        4,
        "adminclient-1",
        request("apache-kafka-java", "4.3.1"),
        "000000310012000400000000000d61646d696e636c69656e742d31001261706163686\
         52d6b61666b612d6a61766106342e332e3100",
    );
    // `kcat -L`, kcat 1.7.1 with librdkafka 2.0.2.
    check_frame::<ApiVersions>(
        3,
        "rdkafka",
        request("librdkafka", "2.0.2"),
        "000000240012000300000001000772646b61666b61000b6c696272646b61666b6106322e302e3200",
    );
}

#[test]
fn api_versions_bodies() {
    let named = api_versions::Request {
        client_software_name: "klamm".into(),
        client_software_version: "0.1".into(),
    };
    check::<ApiVersions>(0, api_versions::Request::default(), "");
    check::<ApiVersions>(3, named, "066b6c616d6d04302e3100");

    let range = api_versions::ApiVersion { api_key: 18, min_version: 0, max_version: 4 };
    let mut answer = api_versions::Response { api_keys: vec![range], ..Default::default() };
    check::<ApiVersions>(0, answer.clone(), "000000000001001200000004");
    answer.throttle_time_ms = 5;
    check::<ApiVersions>(2, answer.clone(), "00000000000100120000000400000005");
    answer.finalized_features_epoch = 9;
    answer.finalized_features = vec![api_versions::FinalizedFeature {
        name: "metadata.version".into(),
        max_version_level: 25,
        min_version_level: 7,
    }];
    check::<ApiVersions>(
        4,
        answer,
        "\
         00000200120000000400000000050201080000000000000009021702116d657461646174612e766572\
         73696f6e0019000700",
    );
}

#[test]
fn metadata_requests() {
    let by_name = metadata::Topic { name: Some("orders".into()), ..Default::default() };
    let request = metadata::Request { topics: Some(vec![by_name]), ..Default::default() };
    check::<Metadata>(1, request.clone(), "0000000100066f7264657273");
    check::<Metadata>(4, request, "0000000100066f726465727301");
    let by_id = metadata::Topic { topic_id: TOPIC_ID, name: None };
    let request = metadata::Request {
        topics: Some(vec![by_id]),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    check::<Metadata>(12, request, "020123456789abcdeffedcba98765432100000000000");
}

#[test]
fn metadata_responses() {
    let host = "localhost".into();
    let broker = metadata::Broker { node_id: 1, host, port: 9092, rack: None };
    let partition = metadata::PartitionAnswer {
        leader_id: 1,
        replica_nodes: vec![1],
        isr_nodes: vec![1],
        ..Default::default()
    };
    let topic = metadata::TopicAnswer {
        name: Some("orders".into()),
        partitions: vec![partition],
        ..Default::default()
    };
    let mut answer = metadata::Response {
        brokers: vec![broker],
        controller_id: 1,
        topics: vec![topic],
        ..Default::default()
    };
    check::<Metadata>(
        1,
        answer.clone(),
        "\
         000000010000000100096c6f63616c686f737400002384ffff0000000100000001000000066f726465\
         727300000000010000000000000000000100000001000000010000000100000001",
    );
    answer.throttle_time_ms = 5;
    answer.cluster_id = Some("klamm".into());
    answer.topics[0].topic_id = TOPIC_ID;
    answer.topics[0].partitions[0].leader_epoch = 4;
    check::<Metadata>(
        12,
        answer,
        "\
         0000000502000000010a6c6f63616c686f7374000023840000066b6c616d6d00000001020000076f72\
         646572730123456789abcdeffedcba9876543210000200000000000000000001000000040200000001\
         02000000010100800000000000",
    );
}

#[test]
fn produce_requests() {
    let partitions = vec![produce::Partition { index: 2, records: records() }];
    let topic = produce::Topic { name: "orders".into(), partitions, ..Default::default() };
    let mut request = produce::Request {
        acks: -1,
        timeout_ms: 30_000,
        topics: vec![topic],
        ..Default::default()
    };
    check::<Produce>(
        3,
        request.clone(),
        "ffffffff000075300000000100066f72646572730000000100000002000000077265636f726473",
    );
    check::<Produce>(
        9,
        request.clone(),
        "00ffff0000753002076f72646572730200000002087265636f726473000000",
    );
    request.transactional_id = Some("t".into());
    request.topics[0].name = "".into();
    request.topics[0].topic_id = TOPIC_ID;
    check::<Produce>(
        13,
        request,
        "\
         0274ffff00007530020123456789abcdeffedcba98765432100200000002087265636f726473000000",
    );
}

#[test]
fn produce_responses() {
    let appended = produce::PartitionAnswer { index: 2, base_offset: 40, ..Default::default() };
    let answer = |partition, throttle_time_ms| produce::Response {
        topics: vec![produce::TopicAnswer {
            name: "orders".into(),
            partitions: vec![partition],
            ..Default::default()
        }],
        throttle_time_ms,
        ..Default::default()
    };
    check::<Produce>(
        3,
        answer(appended, 5),
        "\
         0000000100066f7264657273000000010000000200000000000000000028ffffffffffffffff000000\
         05",
    );
    let moved = produce::PartitionAnswer {
        index: 2,
        error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
        base_offset: -1,
        record_errors: vec![produce::RecordError { batch_index: 1, error_message: None }],
        error_message: Some("moved".into()),
        current_leader: produce::Leader { leader_id: 3, leader_epoch: 4 },
        ..Default::default()
    };
    let mut answer = answer(moved, 5);
    let host = "there".into();
    answer.node_endpoints =
        vec![produce::NodeEndpoint { node_id: 3, host, port: 9092, rack: None }];
    check::<Produce>(
        10,
        answer,
        "\
         02076f726465727302000000020006ffffffffffffffffffffffffffffffffffffffffffffffff0200\
         0000010000066d6f766564010009000000030000000400000000000501001102000000030674686572\
         65000023840000",
    );
}

#[test]
fn fetch_requests() {
    let partition = fetch::Partition {
        partition: 2,
        fetch_offset: 40,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let topic =
        fetch::Topic { topic: "orders".into(), partitions: vec![partition], ..Default::default() };
    let mut request = fetch::Request {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 50 << 20,
        isolation_level: 1,
        topics: vec![topic],
        ..Default::default()
    };
    check::<Fetch>(
        4,
        request.clone(),
        "\
         ffffffff000001f40000000103200000010000000100066f7264657273000000010000000200000000\
         0000002800100000",
    );
    request.session_epoch = 0;
    request.rack_id = "r1".into();
    request.topics[0].partitions[0].current_leader_epoch = 4;
    check::<Fetch>(
        11,
        request.clone(),
        "\
         ffffffff000001f400000001032000000100000000000000000000000100066f726465727300000001\
         00000002000000040000000000000028ffffffffffffffff001000000000000000027231",
    );
    request.topics[0].topic = "".into();
    request.topics[0].topic_id = TOPIC_ID;
    request.topics[0].partitions[0].last_fetched_epoch = 3;
    request.forgotten_topics = vec![fetch::ForgottenTopic {
        topic_id: TOPIC_ID,
        partitions: vec![7],
        ..Default::default()
    }];
    check::<Fetch>(
        17,
        request,
        "\
         000001f40000000103200000010000000000000000020123456789abcdeffedcba9876543210020000\
         000200000004000000000000002800000003ffffffffffffffff001000000000020123456789abcdef\
         fedcba987654321002000000070003723100",
    );
}

#[test]
fn fetch_responses() {
    let partition = fetch::PartitionAnswer {
        partition_index: 2,
        high_watermark: 42,
        last_stable_offset: 41,
        records: records(),
        ..Default::default()
    };
    let topic = fetch::TopicAnswer {
        topic: "orders".into(),
        partitions: vec![partition],
        ..Default::default()
    };
    let mut answer =
        fetch::Response { throttle_time_ms: 5, topics: vec![topic], ..Default::default() };
    check::<Fetch>(
        4,
        answer.clone(),
        "\
         000000050000000100066f726465727300000001000000020000000000000000002a00000000000000\
         29ffffffff000000077265636f726473",
    );

    answer.session_id = 77;
    let partition = &mut answer.topics[0].partitions[0];
    partition.log_start_offset = 1;
    partition.aborted_transactions =
        Some(vec![fetch::AbortedTransaction { producer_id: 4001, first_offset: 40 }]);
    check::<Fetch>(
        11,
        answer.clone(),
        "\
         0000000500000000004d0000000100066f726465727300000001000000020000000000000000002a00\
         000000000000290000000000000001000000010000000000000fa10000000000000028ffffffff0000\
         00077265636f726473",
    );

    let partition = &mut answer.topics[0].partitions[0];
    partition.error_code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    partition.records = Some(Bytes::new().into());
    partition.current_leader = fetch::Leader { leader_id: 3, leader_epoch: 4 };
    partition.diverging_epoch = fetch::EpochEnd { epoch: 2, end_offset: 30 };
    answer.topics[0].topic = "".into();
    answer.topics[0].topic_id = TOPIC_ID;
    answer.node_endpoints = vec![fetch::NodeEndpoint {
        node_id: 3,
        host: "there".into(),
        port: 9092,
        rack: Some("r1".into()),
    }];
    check::<Fetch>(
        17,
        answer,
        "\
         0000000500000000004d020123456789abcdeffedcba98765432100200000002000600000000000000\
         2a00000000000000290000000000000001020000000000000fa1000000000000002800ffffffff0102\
         000d00000002000000000000001e000109000000030000000400000100130200000003067468657265\
         0000238403723100",
    );
}

#[test]
fn list_offsets_bodies() {
    let latest =
        list_offsets::Partition { partition_index: 2, timestamp: -1, ..Default::default() };
    let topic = list_offsets::Topic { name: "orders".into(), partitions: vec![latest] };
    let mut request =
        list_offsets::Request { replica_id: -1, topics: vec![topic], ..Default::default() };
    check::<ListOffsets>(
        1,
        request.clone(),
        "ffffffff0000000100066f72646572730000000100000002ffffffffffffffff",
    );
    request.isolation_level = 1;
    request.topics[0].partitions[0].current_leader_epoch = 4;
    check::<ListOffsets>(
        6,
        request,
        "ffffffff0102076f7264657273020000000200000004ffffffffffffffff000000",
    );

    let partition = list_offsets::PartitionAnswer {
        partition_index: 2,
        timestamp: 1_700_000_000_000,
        offset: 40,
        ..Default::default()
    };
    let topic = list_offsets::TopicAnswer { name: "orders".into(), partitions: vec![partition] };
    let mut answer = list_offsets::Response { topics: vec![topic], ..Default::default() };
    check::<ListOffsets>(
        1,
        answer.clone(),
        "0000000100066f7264657273000000010000000200000000018bcfe568000000000000000028",
    );
    answer.throttle_time_ms = 5;
    answer.topics[0].partitions[0].leader_epoch = 4;
    check::<ListOffsets>(
        7,
        answer,
        "\
         0000000502076f7264657273020000000200000000018bcfe568000000000000000028000000040000\
         00",
    );
}

#[test]
fn create_topics_bodies() {
    let config = create_topics::Config { name: "retention.ms".into(), value: Some("1000".into()) };
    let topic = create_topics::Topic {
        name: "orders".into(),
        num_partitions: 3,
        replication_factor: -1,
        configs: vec![config],
        ..Default::default()
    };
    let request =
        create_topics::Request { topics: vec![topic], timeout_ms: 30_000, validate_only: true };
    check::<CreateTopics>(
        2,
        request.clone(),
        "\
         0000000100066f726465727300000003ffff0000000000000001000c726574656e74696f6e2e6d7300\
         04313030300000753001",
    );
    check::<CreateTopics>(
        7,
        request,
        "\
         02076f726465727300000003ffff01020d726574656e74696f6e2e6d73053130303000000000753001\
         00",
    );

    let answer = |topic| create_topics::Response { topics: vec![topic], ..Default::default() };
    let refused = create_topics::TopicAnswer {
        name: "orders".into(),
        error_code: ErrorCode::TOPIC_ALREADY_EXISTS,
        error_message: Some("there".into()),
        ..Default::default()
    };
    check::<CreateTopics>(2, answer(refused), "000000000000000100066f7264657273002400057468657265");
    let created = create_topics::TopicAnswer {
        name: "orders".into(),
        topic_id: TOPIC_ID,
        num_partitions: 3,
        replication_factor: 1,
        topic_config_error_code: ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ..Default::default()
    };
    check::<CreateTopics>(
        7,
        answer(created),
        "\
         0000000002076f72646572730123456789abcdeffedcba987654321000000000000003000100010002\
         001d00",
    );
}

#[test]
fn init_producer_id_bodies() {
    let mut request =
        init_producer_id::Request { transaction_timeout_ms: 60_000, ..Default::default() };
    check::<InitProducerId>(0, request.clone(), "ffff0000ea60");
    request.transactional_id = Some("t".into());
    request.producer_id = 4001;
    request.producer_epoch = 3;
    check::<InitProducerId>(4, request, "02740000ea600000000000000fa1000300");

    let answer =
        init_producer_id::Response { producer_id: 4001, producer_epoch: 3, ..Default::default() };
    check::<InitProducerId>(0, answer.clone(), "0000000000000000000000000fa10003");
    check::<InitProducerId>(4, answer, "0000000000000000000000000fa1000300");
}

#[test]
fn offset_for_leader_epoch_requests() {
    let partition = offset_for_leader_epoch::Partition {
        partition: 2,
        current_leader_epoch: 4,
        leader_epoch: 3,
    };
    let topic =
        offset_for_leader_epoch::Topic { topic: "orders".into(), partitions: vec![partition] };
    let request = offset_for_leader_epoch::Request { replica_id: -1, topics: vec![topic] };
    check::<OffsetForLeaderEpoch>(
        3,
        request.clone(),
        "ffffffff0000000100066f726465727300000001000000020000000400000003",
    );
    check::<OffsetForLeaderEpoch>(
        4,
        request,
        "ffffffff02076f726465727302000000020000000400000003000000",
    );
}
