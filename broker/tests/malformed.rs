//! Bytes that no client should send: they end their own connection, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use klamm_broker::Broker;
use klamm_protocol::api::{AnyRequest, ApiKey, ApiVersions, Fetch, Metadata, Produce};
use klamm_protocol::api::{api_versions, metadata};
use klamm_protocol::declare::Api;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::header::encode_request;
use klamm_utils::random::Random;
use support::{Client, batch, ephemeral, fetch_request, produce_request};
use tokio::time::timeout;

/// A frame of these bytes.
fn frame(body: &[u8]) -> Vec<u8> {
    [&i32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

/// A request header of version 1 with this key and version.
fn header(key: i16, version: i16) -> Vec<u8> {
    [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 7], &[0xff, 0xff]].concat()
}

/// The broker closes the connection, and serves the next one.
async fn check_closed(broker: &Broker, bytes: &[u8]) {
    let mut client = Client::connect(broker).await;
    client.send_bytes(bytes).await;
    assert!(client.is_closed().await, "{bytes:02x?}");
    let mut neighbour = Client::connect(broker).await;
    neighbour.call::<Metadata>(9, &metadata::Request::default()).await;
}

#[tokio::test]
async fn impossible_lengths_end_the_connection() {
    let broker = ephemeral().await;
    for length in [-1, i32::MIN, i32::MAX, 200 << 20] {
        check_closed(&broker, &i32::to_be_bytes(length)).await;
    }
    check_closed(&broker, &frame(&[])).await;
}

#[tokio::test]
async fn unknown_apis_and_versions_end_the_connection() {
    let broker = ephemeral().await;
    for (key, version) in [(4, 0), (999, 0), (-1, 0), (3, 99), (3, -1), (0, 0), (0, 2)] {
        check_closed(&broker, &frame(&header(key, version))).await;
    }
}

#[tokio::test]
async fn a_version_of_api_versions_that_is_not_known_is_told_ours() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.send_bytes(&frame(&[header(18, 99), vec![1, 2, 3]].concat())).await;
    let response = client.answer::<ApiVersions>(0, 7).await;
    assert_eq!(response.error_code, ErrorCode::UNSUPPORTED_VERSION);
    let told: Vec<_> = response.api_keys.iter().map(|row| row.api_key).collect();
    assert_eq!(told, [18]);
    // The connection goes on.
    client.call::<ApiVersions>(0, &api_versions::Request::default()).await;
}

#[tokio::test]
async fn what_was_asked_before_is_answered() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[("durability", "synced")]).await;
    let request = support::produce_request("orders", 0, -1, support::batch(&["kept"]));
    let id = client.send::<klamm_protocol::api::Produce>(9, &request).await;
    client.send_bytes(&frame(&header(999, 0))).await;
    let response = client.answer::<klamm_protocol::api::Produce>(9, id).await;
    assert_eq!(response.topics[0].partitions[0].base_offset, 0);
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn every_request_cut_short_ends_the_connection() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let served = client.call::<ApiVersions>(0, &api_versions::Request::default()).await;
    for row in served.api_keys {
        let Some(key) = ApiKey::from_code(row.api_key) else { continue };
        let version = row.max_version;
        let body = AnyRequest::default_of(key).encode(version).unwrap().into_bytes();
        let tags: &[u8] = if key.is_flexible(version) { &[0] } else { &[] };
        let request = [&header(row.api_key, version)[..], tags, &body].concat();
        check_closed(&broker, &frame(&request[..request.len() - 1])).await;
    }
}

/// librdkafka asks for all topics so.
#[tokio::test]
async fn bytes_behind_a_request_count_for_nothing() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let all = [&header(3, 9)[..], &[0, 0, 1, 0, 0, 0], &[0, 0, 0]].concat();
    client.send_bytes(&frame(&all)).await;
    let response = client.answer::<Metadata>(9, 7).await;
    assert_eq!(response.brokers.len(), 1);
}

#[tokio::test]
async fn absurd_counts_end_the_connection() {
    let broker = ephemeral().await;
    for count in [i32::MAX, -2, i32::MIN] {
        let request = [&header(3, 1)[..], &count.to_be_bytes()].concat();
        check_closed(&broker, &frame(&request)).await;
    }
    // Flexible: a varint of more than 32 bits, and one that claims 2^32 - 2 topics.
    for count in [[0xff, 0xff, 0xff, 0xff, 0x7f], [0xff, 0xff, 0xff, 0xff, 0x0f]] {
        let request = [&header(3, 9)[..], &[0], &count].concat();
        check_closed(&broker, &frame(&request)).await;
    }
}

#[tokio::test]
async fn random_bytes_disturb_nobody() {
    let broker = ephemeral().await;
    let seed = Random::new().bits();
    println!("seed {seed}");
    let mut random = Random::seeded(seed);
    let mut neighbour = Client::connect(&broker).await;
    for _ in 0..200 {
        let length = usize::try_from(random.below(400)).unwrap();
        let mut bytes: Vec<u8> = (0..length).map(|_| random.bits() as u8).collect();
        if random.below(2) == 0 && length >= 4 {
            // A valid length and a served API, so that the garbage reaches the decoders.
            let body = u32::try_from(length - 4).unwrap();
            bytes[..4].copy_from_slice(&body.to_be_bytes());
            if length >= 8 {
                bytes[4] = 0;
                bytes[5] %= 80;
                bytes[6] = 0;
                bytes[7] %= 14;
            }
        }
        let mut client = Client::connect(&broker).await;
        client.send_bytes(&bytes).await;
        drop(client);
        neighbour.call::<Metadata>(9, &metadata::Request::default()).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_a_request_disturbs_nobody() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.send_bytes(&[0, 0, 1, 0, 0, 3]).await;
    client.shut_down().await;
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_request_that_never_ends_is_ended() {
    let broker = Broker::builder().ephemeral().set("request.receive.timeout.ms", "50");
    let broker = broker.start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    client.send_bytes(&[0, 0, 1, 0, 0, 3]).await;
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_request_that_never_ends_is_ended_behind_one_that_came_with_it() {
    let broker = Broker::builder().ephemeral().set("request.receive.timeout.ms", "50");
    let broker = broker.start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    client.send_bytes(&[frame(&header(18, 0)), vec![0, 0, 1, 0, 0, 3]].concat()).await;
    client.answer::<ApiVersions>(0, 7).await;
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_silent_connection_is_ended() {
    let broker = Broker::builder().ephemeral().set("connections.max.idle.ms", "50");
    let broker = broker.start().await.unwrap();
    assert!(Client::connect(&broker).await.is_closed().await);
}

/// Kept its place as long as the answer to a Fetch had time, which a client chooses.
#[tokio::test]
async fn who_has_left_gives_its_place_back_though_its_request_waits() {
    let broker = Broker::builder().ephemeral().set("max.connections", "1");
    let broker = broker.set("connections.max.idle.ms", "300").start().await.unwrap();
    Client::connect(&broker).await.create_topic("t", 1, &[]).await;
    // With those that are kept for this machine.
    for _ in 0..1 + 8 {
        let mut client = Client::connect(&broker).await;
        client.send::<Fetch>(12, &fetch_request("t", 0, i32::MAX)).await;
        // More than may be carried out meanwhile, so that it is not read.
        client.send_bytes(&frame(&vec![0; 1 << 20])[..8_000]).await;
    }
    let served = async {
        loop {
            let mut another = Client::connect(&broker).await;
            another.send::<Metadata>(9, &metadata::Request::default()).await;
            if another.frame().await.is_some() {
                return;
            }
        }
    };
    timeout(Duration::from_secs(60), served).await.unwrap();
}

#[tokio::test]
async fn nobody_waits_for_others_to_be_told_that_a_request_is_bad() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 1, &[]).await;
    client.send::<Fetch>(12, &fetch_request("t", 0, i32::MAX)).await;
    client.send_bytes(&frame(&header(999, 0))).await;
    assert!(client.is_closed().await);
}

/// The answers went with the connection, though all was stored.
#[tokio::test]
async fn who_sends_nothing_more_is_told_what_was_stored() {
    let broker = Broker::builder().ephemeral().set("durability", "synced").start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 1, &[]).await;
    let asked = client.send::<Produce>(9, &produce_request("t", 0, -1, batch(&["a"]))).await;
    client.send::<Fetch>(12, &fetch_request("t", 1, i32::MAX)).await;
    client.shut_down().await;
    assert_eq!(client.answer::<Produce>(9, asked).await.topics[0].partitions[0].base_offset, 0);
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_places_come_back() {
    let broker = Broker::builder().ephemeral().set("max.connections", "2").start().await.unwrap();
    // With those that are kept for this machine.
    let mut clients = Vec::new();
    for _ in 0..2 + 8 {
        let mut client = Client::connect(&broker).await;
        client.call::<Metadata>(9, &metadata::Request::default()).await;
        clients.push(client);
    }
    assert!(Client::connect(&broker).await.is_closed().await);
    clients.pop();
    // The place comes back when the broker has noticed.
    loop {
        let mut again = Client::connect(&broker).await;
        again.send::<Metadata>(9, &metadata::Request::default()).await;
        if again.frame().await.is_some() {
            break;
        }
    }
}

#[tokio::test]
async fn requests_beyond_the_memory_wait_for_each_other() {
    let broker = Broker::builder().ephemeral().set("queued.max.request.bytes", "1024");
    let broker = broker.start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[]).await;
    let large = "x".repeat(5_000);
    let request = support::produce_request("orders", 0, -1, support::batch(&[&large]));
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(client.send::<klamm_protocol::api::Produce>(9, &request).await);
    }
    for (at, id) in (0..).zip(ids) {
        let response = client.answer::<klamm_protocol::api::Produce>(9, id).await;
        assert_eq!(response.topics[0].partitions[0].base_offset, at);
    }
}

/// A broker whose requests have a memory of 1 MiB.
async fn with_little_memory() -> Broker {
    let broker = Broker::builder().ephemeral().set("queued.max.request.bytes", "1048576");
    broker.start().await.unwrap()
}

/// A request, with as many bytes behind it as make its frame so large.
fn padded<A: Api>(version: i16, request: &A::Request, frame_bytes: usize) -> Vec<u8> {
    let message = encode_request::<A>(version, 7, Some(&"rude".into()), request).unwrap();
    let mut body = message.into_bytes()[4..].to_vec();
    body.resize(frame_bytes, 0);
    frame(&body)
}

/// Metadata for all topics, in a request of this size.
async fn check_answered(client: &mut Client, frame_bytes: usize) {
    client.send_bytes(&padded::<Metadata>(9, &metadata::Request::default(), frame_bytes)).await;
    assert_eq!(client.answer::<Metadata>(9, 7).await.brokers.len(), 1);
}

#[tokio::test]
async fn requests_that_wait_for_others_hold_no_memory() {
    let broker = with_little_memory().await;
    let mut neighbour = Client::connect(&broker).await;
    neighbour.create_topic("orders", 1, &[]).await;
    let fetch = support::fetch_request("orders", 0, i32::MAX);
    let mut rude = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(&broker).await;
        client.send_bytes(&padded::<Fetch>(4, &fetch, 1 << 20)).await;
        rude.push(client);
    }
    check_answered(&mut neighbour, 1 << 20).await;
    neighbour.produce("orders", support::batch(&["come"])).await;
    for mut client in rude {
        let response = client.answer::<Fetch>(4, 7).await;
        assert_eq!(support::values(&response.topics[0].partitions[0]), [(0, "come".into())]);
    }
}

#[tokio::test]
async fn a_large_request_waits_in_the_socket_for_one_that_waits_for_others() {
    let broker = with_little_memory().await;
    let mut neighbour = Client::connect(&broker).await;
    neighbour.create_topic("orders", 1, &[]).await;
    let fetch = support::fetch_request("orders", 0, i32::MAX);
    let mut rude = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(&broker).await;
        let fetch = padded::<Fetch>(4, &fetch, 100);
        let behind = padded::<Metadata>(9, &metadata::Request::default(), 1 << 20);
        client.send_bytes(&[&fetch[..], &behind[..behind.len() / 2]].concat()).await;
        rude.push((client, behind));
    }
    check_answered(&mut neighbour, 1 << 20).await;
    neighbour.produce("orders", support::batch(&["come"])).await;
    let finish = rude.iter_mut().map(async |(client, behind)| {
        client.answer::<Fetch>(4, 7).await;
        client.send_bytes(&behind[behind.len() / 2..]).await;
        client.answer::<Metadata>(9, 7).await;
    });
    join_all(finish).await;
}

#[tokio::test]
async fn a_claim_takes_no_memory() {
    let broker = with_little_memory().await;
    let mut rude = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(&broker).await;
        client.send_bytes(&(100i32 << 20).to_be_bytes()).await;
        rude.push(client);
    }
    let mut neighbour = Client::connect(&broker).await;
    check_answered(&mut neighbour, 1 << 20).await;
}

#[tokio::test]
async fn small_requests_get_through_when_all_memory_is_held() {
    let broker = with_little_memory().await;
    let request = padded::<Metadata>(9, &metadata::Request::default(), 1 << 20);
    let mut rude = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(&broker).await;
        client.send_bytes(&request[..700_000]).await;
        rude.push(client);
    }
    let mut neighbour = Client::connect(&broker).await;
    check_answered(&mut neighbour, 4_096).await;
}

#[tokio::test]
async fn requests_that_are_half_there_do_not_keep_each_other_from_arriving() {
    let broker = with_little_memory().await;
    let request = padded::<Metadata>(9, &metadata::Request::default(), 1 << 20);
    let (begin, end) = request.split_at(300_000);
    let mut clients = Vec::new();
    for _ in 0..6 {
        let mut client = Client::connect(&broker).await;
        client.send_bytes(begin).await;
        clients.push(client);
    }
    let finish = clients.iter_mut().map(async |client| {
        client.send_bytes(end).await;
        client.answer::<Metadata>(9, 7).await;
    });
    join_all(finish).await;
}
