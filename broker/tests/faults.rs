//! What tests of other programs do to a broker: pause it, kill it, have its requests fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod support;

use std::time::Duration;

use klamm_broker::faults::{ApiKey, ErrorCode, Fault, FaultError};
use klamm_broker::{Broker, StartError};
use klamm_protocol::api::{
    AddPartitionsToTxn, ApiVersions, Fetch, FindCoordinator, Heartbeat, ListOffsets, Metadata,
    Produce, add_partitions_to_txn, api_versions, find_coordinator, heartbeat, list_offsets,
    metadata, produce,
};
use klamm_protocol::wire::{Records, Uuid};
use support::{Client, batch, ephemeral, fetch_request, produce_request, values};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long anything may take.
const SOON: Duration = Duration::from_secs(60);

/// A broker with the topic `orders` of two partitions.
async fn start() -> (Broker, Client) {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 2, &[]).await;
    (broker, client)
}

/// One batch for each partition of `orders`.
fn to_both(acks: i16) -> produce::Request {
    let mut request = produce_request("orders", 0, acks, batch(&["a"]));
    let records = Some(Records::from(batch(&["b"])));
    request.topics[0].partitions.push(produce::Partition { index: 1, records });
    request
}

fn codes(answer: &produce::Response) -> Vec<(i32, ErrorCode)> {
    let mut codes: Vec<_> =
        answer.topics[0].partitions.iter().map(|it| (it.index, it.error_code)).collect();
    codes.sort_by_key(|(index, _)| *index);
    codes
}

fn for_topics(names: &[&str]) -> metadata::Request {
    let topic = |name: &&str| metadata::Topic { name: Some((*name).into()), ..Default::default() };
    metadata::Request {
        topics: Some(names.iter().map(topic).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    }
}

/// Asks for more than has room on the way.
async fn fill_the_way(client: &mut Client) {
    let large = "x".repeat(900_000);
    for _ in 0..16 {
        client.produce("orders", batch(&[&large])).await;
    }
    for _ in 0..16 {
        client.send::<Fetch>(12, &fetch_request("orders", 0, 0)).await;
    }
    // Some of it has come.
    client.readable().await;
}

#[tokio::test]
async fn a_paused_broker_takes_requests_and_answers_none() {
    let (broker, mut client) = start().await;
    broker.pause();
    let first = client.send::<Produce>(9, &produce_request("orders", 0, -1, batch(&["a"]))).await;
    // The kernel lets clients in.
    let mut late = Client::connect(&broker).await;
    let second = late.send::<ApiVersions>(3, &api_versions::Request::default()).await;
    assert!(!late.has_answer_within(Duration::from_millis(50)).await);
    assert!(!client.has_answer_within(Duration::from_millis(1)).await);
    broker.resume();
    let answer = client.answer::<Produce>(9, first).await;
    assert_eq!(answer.topics[0].partitions[0].base_offset, 0);
    late.answer::<ApiVersions>(3, second).await;
}

#[tokio::test]
async fn an_answer_that_waits_does_not_leave_a_paused_broker() {
    let (broker, mut client) = start().await;
    let asked = client.send::<Fetch>(12, &fetch_request("orders", 0, 20)).await;
    broker.pause();
    assert!(!client.has_answer_within(Duration::from_millis(100)).await);
    broker.resume();
    client.answer::<Fetch>(12, asked).await;
}

#[tokio::test]
async fn a_paused_broker_can_be_stopped_and_killed() {
    let (broker, mut client) = start().await;
    broker.pause();
    client.send::<ApiVersions>(3, &api_versions::Request::default()).await;
    let broker = broker.stop().await.restart().await.unwrap();
    broker.pause();
    broker.kill().await;
}

#[tokio::test]
async fn a_broker_comes_back_where_it_was() {
    let (mut broker, mut client) = start().await;
    let address = broker.bootstrap();
    let cluster = broker.cluster_id();
    for (offset, ends_well) in (0..).zip([false, true, false, false]) {
        let answer = client.produce("orders", batch(&["a"])).await;
        assert_eq!((answer.error_code, answer.base_offset), (ErrorCode::NONE, offset));
        let down = if ends_well { broker.stop().await } else { broker.kill().await };
        assert!(client.is_closed().await);
        let refused = tokio::net::TcpStream::connect(&address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        broker = down.restart().await.unwrap();
        assert_eq!((broker.bootstrap(), broker.cluster_id()), (address.clone(), cluster.clone()));
        client = Client::connect(&broker).await;
    }
    assert_eq!(values(&client.fetch("orders", 0).await).len(), 4);
    let folder = broker.data_dir().to_owned();
    drop(broker.stop().await);
    assert!(!folder.exists());
}

#[tokio::test]
async fn nobody_gets_the_port_of_an_ephemeral_broker_that_is_down() {
    let broker = ephemeral().await;
    let address = broker.bootstrap();
    let down = broker.kill().await;
    let stranger = tokio::net::TcpSocket::new_v4().unwrap();
    let refused = stranger.bind(address.replace("localhost", "127.0.0.1").parse().unwrap());
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(down.restart().await.unwrap().bootstrap(), address);
}

#[tokio::test]
async fn a_killed_broker_answers_nothing_more() {
    let (broker, mut client) = start().await;
    client.send::<Fetch>(12, &fetch_request("orders", 0, 15_000)).await;
    Client::connect(&broker).await.create_topic("other", 1, &[]).await;
    broker.kill().await;
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_no_kill_up() {
    let (broker, mut client) = start().await;
    fill_the_way(&mut client).await;
    let killed = tokio::time::timeout(Duration::from_secs(15), broker.kill());
    killed.await.unwrap();
}

#[tokio::test]
async fn an_error_strikes_as_often_as_it_is_told_and_nothing_is_done() {
    let (broker, mut client) = start().await;
    let fault = Fault::error(ApiKey::Produce, ErrorCode::NOT_ENOUGH_REPLICAS).times(2);
    let fault = broker.faults().add(fault).unwrap();
    for _ in 0..2 {
        let answer = client.produce("orders", batch(&["a"])).await;
        assert_eq!(answer.error_code, ErrorCode::NOT_ENOUGH_REPLICAS);
        assert_eq!(answer.base_offset, -1);
    }
    assert_eq!(client.produce("orders", batch(&["a"])).await.base_offset, 0);
    assert_eq!(fault.strikes(), 2);
}

#[tokio::test]
async fn the_rest_of_a_request_is_handled() {
    let (broker, mut client) = start().await;
    let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    let fault = Fault::error(ApiKey::Produce, code).partition("orders", 1);
    let fault = broker.faults().add(fault).unwrap();
    let answer = client.call::<Produce>(9, &to_both(-1)).await;
    assert_eq!(codes(&answer), [(0, ErrorCode::NONE), (1, code)]);
    client.produce("orders", batch(&["a"])).await;
    assert_eq!(fault.strikes(), 1);
    fault.remove();
    let answer = client.call::<Produce>(9, &to_both(-1)).await;
    let ends: Vec<_> = answer.topics[0].partitions.iter().map(|it| it.base_offset).collect();
    assert_eq!(ends, [2, 0]);
}

#[tokio::test]
async fn faults_know_topics_by_their_ids() {
    let (broker, mut client) = start().await;
    let found = client.call::<Metadata>(12, &for_topics(&["orders"])).await;
    let id = found.topics[0].topic_id;
    assert_ne!(id, Uuid::default());
    let code = ErrorCode::KAFKA_STORAGE_ERROR;
    broker.faults().add(Fault::error(ApiKey::Produce, code).partition("orders", 0)).unwrap();
    let mut request = to_both(-1);
    (request.topics[0].name, request.topics[0].topic_id) = (Default::default(), id);
    let answer = client.call::<Produce>(13, &request).await;
    assert_eq!(answer.topics.len(), 1);
    assert_eq!(answer.topics[0].topic_id, id);
    assert_eq!(codes(&answer), [(0, code), (1, ErrorCode::NONE)]);
}

#[tokio::test]
async fn a_refused_request_without_an_answer_ends_the_connection() {
    let (broker, mut client) = start().await;
    let fault = Fault::error(ApiKey::Produce, ErrorCode::NOT_ENOUGH_REPLICAS);
    let fault = broker.faults().add(fault.partition("orders", 1).times(1)).unwrap();
    client.send::<Produce>(9, &to_both(0)).await;
    assert!(client.is_closed().await);
    assert_eq!(fault.strikes(), 1);
    let mut client = Client::connect(&broker).await;
    assert_eq!(client.produce("orders", batch(&["b"])).await.base_offset, 1);
}

#[tokio::test]
async fn a_fetch_is_spoilt_where_it_finds_something() {
    let (broker, mut client) = start().await;
    client.produce("orders", batch(&["a"])).await;
    let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    broker.faults().add(Fault::error(ApiKey::Fetch, code).topic("orders").times(1)).unwrap();
    let answer = client.fetch("orders", 0).await;
    assert_eq!((answer.error_code, values(&answer).len()), (code, 0));
    assert_eq!(values(&client.fetch("orders", 0).await).len(), 1);

    let code = ErrorCode::FETCH_SESSION_ID_NOT_FOUND;
    broker.faults().add(Fault::error(ApiKey::Fetch, code).times(1)).unwrap();
    let answer = client.call::<Fetch>(12, &fetch_request("orders", 0, 0)).await;
    assert_eq!((answer.error_code, answer.topics.len()), (code, 0));
}

#[tokio::test]
async fn metadata_keeps_its_brokers() {
    let (broker, mut client) = start().await;
    let code = ErrorCode::LEADER_NOT_AVAILABLE;
    broker.faults().add(Fault::error(ApiKey::Metadata, code).partition("orders", 1)).unwrap();
    let answer = client.call::<Metadata>(12, &for_topics(&["orders"])).await;
    assert_eq!(answer.brokers.len(), 1);
    let partitions = answer.topics[0].partitions.iter().map(|it| (it.error_code, it.leader_id));
    assert_eq!(partitions.collect::<Vec<_>>(), [(ErrorCode::NONE, 1), (code, -1)]);
}

#[tokio::test]
async fn a_code_stands_wherever_an_answer_has_codes() {
    let (broker, mut client) = start().await;
    let code = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
    for api in [
        ApiKey::FindCoordinator,
        ApiKey::Heartbeat,
        ApiKey::ListOffsets,
        ApiKey::AddPartitionsToTxn,
    ] {
        broker.faults().add(Fault::error(api, code)).unwrap();
    }
    let old = find_coordinator::Request { key: "group".into(), ..Default::default() };
    assert_eq!(client.call::<FindCoordinator>(3, &old).await.error_code, code);
    let coordinator_keys = vec!["one".into(), "two".into()];
    let new = find_coordinator::Request { coordinator_keys, ..Default::default() };
    let found = client.call::<FindCoordinator>(4, &new).await.coordinators;
    assert!(found.iter().all(|it| it.error_code == code && it.node_id == -1), "{found:?}");
    assert_eq!(found.len(), 2);

    let beat = heartbeat::Request::default();
    assert_eq!(client.call::<Heartbeat>(0, &beat).await.error_code, code);

    let partitions = vec![list_offsets::Partition { timestamp: -1, ..Default::default() }];
    let topics = vec![list_offsets::Topic { name: "orders".into(), partitions }];
    let listed = list_offsets::Request { replica_id: -1, topics, ..Default::default() };
    let listed = client.call::<ListOffsets>(6, &listed).await;
    let partition = &listed.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.offset), (code, -1));
}

#[tokio::test]
async fn a_transaction_takes_all_partitions_or_none() {
    let (broker, mut client) = start().await;
    let code = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
    let fault = Fault::error(ApiKey::AddPartitionsToTxn, code).partition("orders", 1);
    broker.faults().add(fault).unwrap();
    let topic = add_partitions_to_txn::Topic { name: "orders".into(), partitions: vec![0, 1] };
    let request = add_partitions_to_txn::Request {
        v3_and_below_transactional_id: "tx".into(),
        v3_and_below_topics: vec![topic],
        ..Default::default()
    };
    let answer = client.call::<AddPartitionsToTxn>(3, &request).await;
    let results = &answer.results_by_topic_v3_and_below[0].results_by_partition;
    let results: Vec<_> = results.iter().map(|it| it.partition_error_code).collect();
    assert_eq!(results, [ErrorCode::OPERATION_NOT_ATTEMPTED, code]);
}

#[tokio::test]
async fn a_hang_up_comes_before_the_request_and_a_lost_answer_after_it() {
    let (broker, mut client) = start().await;
    let hung_up = broker.faults().add(Fault::hang_up(ApiKey::Produce).times(1)).unwrap();
    client.send::<Produce>(9, &to_both(-1)).await;
    assert!(client.is_closed().await);
    assert_eq!(hung_up.strikes(), 1);

    let mut client = Client::connect(&broker).await;
    broker.faults().add(Fault::lose_answer(ApiKey::Produce).topic("orders").times(1)).unwrap();
    client.send::<Produce>(9, &to_both(-1)).await;
    assert!(client.is_closed().await);

    let mut client = Client::connect(&broker).await;
    assert_eq!(client.produce("orders", batch(&["second"])).await.base_offset, 1);
}

#[tokio::test]
async fn what_would_have_no_answer_is_lost_with_its_connection() {
    let (broker, mut client) = start().await;
    broker.faults().add(Fault::lose_answer(ApiKey::Produce).times(1)).unwrap();
    client.send::<Produce>(9, &to_both(0)).await;
    assert!(client.is_closed().await);
    let mut client = Client::connect(&broker).await;
    assert_eq!(values(&client.fetch("orders", 0).await).len(), 1);
}

#[tokio::test]
async fn delays_of_requests_that_follow_each_other_pass_together() {
    let (broker, mut many) = start().await;
    let mut one = Client::connect(&broker).await;
    broker.faults().add(Fault::delay(ApiKey::Metadata, Duration::from_millis(200))).unwrap();
    let mut asked = Vec::new();
    for _ in 0..20 {
        asked.push(many.send::<Metadata>(12, &for_topics(&["orders"])).await);
    }
    let together = async {
        for id in asked {
            many.answer::<Metadata>(12, id).await;
        }
    };
    let one_by_one = async {
        for _ in 0..20 {
            one.call::<Metadata>(12, &for_topics(&["orders"])).await;
        }
    };
    tokio::select! {
        () = together => {}
        () = one_by_one => panic!("twenty delays together took as long as one by one"),
    }
}

#[tokio::test]
async fn a_fetch_that_waits_holds_no_stop_up() {
    let broker = Broker::builder().ephemeral().set("shutdown.timeout.ms", "3600000");
    let broker = broker.start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[]).await;
    let seen = broker.faults().add(Fault::delay(ApiKey::Fetch, Duration::ZERO)).unwrap();
    let asked = client.send::<Fetch>(12, &fetch_request("orders", 0, 3_600_000)).await;
    seen.struck(1).await;
    broker.stop().await;
    client.answer::<Fetch>(12, asked).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_no_stop_up() {
    let broker = Broker::builder().ephemeral().set("shutdown.timeout.ms", "100");
    let broker = broker.start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[]).await;
    fill_the_way(&mut client).await;
    let stopped = tokio::time::timeout(Duration::from_secs(15), broker.stop()).await.unwrap();
    stopped.restart().await.unwrap();
}

#[tokio::test]
async fn a_delayed_answer_comes_after_the_request_was_handled() {
    let (broker, mut client) = start().await;
    let delay = Duration::from_secs(3600);
    let fault = broker.faults().add(Fault::delay(ApiKey::Produce, delay)).unwrap();
    let asked = client.send::<Produce>(9, &to_both(-1)).await;
    fault.struck(1).await;
    fault.remove();
    let mut other = Client::connect(&broker).await;
    let there = async { while values(&other.fetch("orders", 0).await).is_empty() {} };
    tokio::time::timeout(Duration::from_secs(60), there).await.unwrap();
    assert!(!client.has_answer_within(Duration::from_millis(1)).await);
    // A broker that stops does not wait.
    broker.stop().await;
    client.answer::<Produce>(9, asked).await;
}

#[tokio::test]
async fn faults_outlast_a_restart_and_can_be_taken_away() {
    let (broker, mut client) = start().await;
    broker.faults().add(Fault::hang_up(ApiKey::ApiVersions)).unwrap();
    client.send::<ApiVersions>(3, &api_versions::Request::default()).await;
    assert!(client.is_closed().await);
    let broker = broker.stop().await.restart().await.unwrap();
    let mut client = Client::connect(&broker).await;
    client.send::<ApiVersions>(3, &api_versions::Request::default()).await;
    assert!(client.is_closed().await);
    broker.faults().clear();
    let mut client = Client::connect(&broker).await;
    client.call::<ApiVersions>(3, &api_versions::Request::default()).await;
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let broker = ephemeral().await;
    let code = ErrorCode::UNKNOWN_SERVER_ERROR;
    let add = |fault| broker.faults().add(fault).map(drop);
    let api = ApiKey::DescribeConfigs;
    assert_eq!(add(Fault::error(api, code)), Err(FaultError::NoCode { api }));
    assert_eq!(add(Fault::hang_up(api)), Ok(()));
    let api = ApiKey::ShareFetch;
    assert_eq!(add(Fault::hang_up(api)), Err(FaultError::NotServed { api }));
    let api = ApiKey::Heartbeat;
    let refused = add(Fault::error(api, code).topic("orders"));
    assert_eq!(refused, Err(FaultError::NotSoFine { api, what: "topic" }));
    let api = ApiKey::CreateTopics;
    let refused = add(Fault::hang_up(api).partition("orders", 0)).unwrap_err();
    let said = "a request of CreateTopics cannot be struck for one partition alone";
    assert_eq!(refused.to_string(), said);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let first = ephemeral().await;
    let address = first.bootstrap();
    let refused = Broker::builder().ephemeral().listen(&address).start().await.unwrap_err();
    assert!(matches!(refused, StartError::Listen(_)));
    let said = refused.to_string();
    let port = address.rsplit(':').next().unwrap();
    assert!(said.starts_with("cannot listen on ") && said.contains(port), "{said}");
}

/// It was waited for until whoever was behind it went away.
#[tokio::test]
async fn an_http_request_that_does_not_end_keeps_no_broker_from_ending() {
    for kills in [false, true] {
        let builder = Broker::builder().ephemeral().set("http.listen", "127.0.0.1:0");
        let broker = builder.set("shutdown.timeout.ms", "100").start().await.unwrap();
        let address = broker.http_address().unwrap();
        let mut idle = TcpStream::connect(address).await.unwrap();
        let mut half = TcpStream::connect(address).await.unwrap();
        half.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        let mut whole = TcpStream::connect(address).await.unwrap();
        whole.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        // Each connection has one answer, and so this one has ended, and the others have begun.
        let mut answer = String::new();
        whole.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let end = async {
            if kills {
                broker.kill().await
            } else {
                broker.stop().await
            };
        };
        tokio::time::timeout(SOON, end).await.unwrap();
        for open in [&mut idle, &mut half] {
            assert!(matches!(open.read(&mut [0; 1]).await, Ok(0) | Err(_)));
        }
    }
}
