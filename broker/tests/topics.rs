//! Topics made, changed, deleted, and there again after a stop and after a crash.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::io::ErrorKind;
use std::sync::Arc;

use klamm_broker::{Broker, StartError};
use klamm_protocol::api::{
    CreatePartitions, CreateTopics, DeleteTopics, DescribeConfigs, Fetch, IncrementalAlterConfigs,
    Metadata, Produce, create_partitions, create_topics, delete_topics, describe_configs,
    incremental_alter_configs, metadata,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{BatchBuilder, BatchOptions, Compression};
use klamm_protocol::wire::{Str, Uuid};
use klamm_storage::disk::{Fault, FaultyDisk, MemoryDisk};
use support::{Client, batch, ephemeral, fetch_request, produce_request, values};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn describe(client: &mut Client, name: Option<&str>, id: Uuid) -> metadata::TopicAnswer {
    let topic = metadata::Topic { topic_id: id, name: name.map(Str::from) };
    let request = metadata::Request {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    client.call::<Metadata>(12, &request).await.topics.remove(0)
}

async fn config(client: &mut Client, topic: &str, key: &str) -> describe_configs::ConfigAnswer {
    let resource = describe_configs::Resource {
        resource_type: 2,
        resource_name: topic.into(),
        configuration_keys: Some(vec![key.into()]),
    };
    let request = describe_configs::Request { resources: vec![resource], ..Default::default() };
    client.call::<DescribeConfigs>(4, &request).await.results.remove(0).configs.remove(0)
}

async fn set(client: &mut Client, topic: &str, key: &str, value: &str) -> ErrorCode {
    let config = incremental_alter_configs::Config {
        name: key.into(),
        config_operation: 0,
        value: Some(value.into()),
    };
    let resource = incremental_alter_configs::Resource {
        resource_type: 2,
        resource_name: topic.into(),
        configs: vec![config],
    };
    let request =
        incremental_alter_configs::Request { resources: vec![resource], ..Default::default() };
    client.call::<IncrementalAlterConfigs>(1, &request).await.responses[0].error_code
}

async fn grow(client: &mut Client, topic: &str, count: i32) -> ErrorCode {
    let topic = create_partitions::Topic { name: topic.into(), count, assignments: None };
    let request = create_partitions::Request { topics: vec![topic], ..Default::default() };
    client.call::<CreatePartitions>(3, &request).await.results[0].error_code
}

async fn delete(client: &mut Client, topic: &str) -> ErrorCode {
    let request = delete_topics::Request { topic_names: vec![topic.into()], ..Default::default() };
    client.call::<DeleteTopics>(5, &request).await.topics[0].error_code
}

async fn create(client: &mut Client, name: &str, partitions: i32) -> ErrorCode {
    let topic = create_topics::Topic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: 1,
        ..Default::default()
    };
    let request = create_topics::Request { topics: vec![topic], ..Default::default() };
    client.call::<CreateTopics>(7, &request).await.topics[0].error_code
}

/// What a topic answers to a record for each partition, up to the first that does not take it.
async fn produce_to_all(client: &mut Client, topic: &str, partitions: i32) -> ErrorCode {
    for partition in 0..partitions {
        let request = produce_request(topic, partition, -1, batch(&["a"]));
        let answer = client.call::<Produce>(9, &request).await;
        let code = answer.topics[0].partitions[0].error_code;
        if !code.is_none() {
            return code;
        }
    }
    ErrorCode::NONE
}

/// What had been opened before the call that failed was open for good, and no topic could be
/// changed any more.
#[tokio::test]
async fn a_topic_that_cannot_be_opened_is_there_once_it_can_be() {
    let mut mended = 0;
    for first in 1.. {
        let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
        let builder = Broker::builder().ephemeral().data_dir("/data");
        let broker = builder.disk(Arc::new(disk.clone())).start().await.unwrap();
        let mut client = Client::connect(&broker).await;
        assert_eq!(create(&mut client, "before", 2).await, ErrorCode::NONE);
        let calls = disk.calls();
        disk.fail(Some(Fault { first: calls + first, count: 1, kind: ErrorKind::Other }));
        let created = create(&mut client, "t", 4).await;
        let is_met = disk.calls() >= calls + first;
        disk.fail(None);
        if is_met
            && !created.is_none()
            && create(&mut client, "t", 4).await == ErrorCode::TOPIC_ALREADY_EXISTS
        {
            mended += 1;
            assert_eq!(produce_to_all(&mut client, "t", 4).await, ErrorCode::NONE, "call {first}");
            assert_eq!(create(&mut client, "after", 1).await, ErrorCode::NONE);
            assert_eq!(grow(&mut client, "before", 3).await, ErrorCode::NONE);
            assert_eq!(produce_to_all(&mut client, "before", 3).await, ErrorCode::NONE);
        }
        broker.kill().await;
        if !is_met {
            break;
        }
    }
    // The first partition has none before it.
    assert!(mended > 1, "{mended}");
}

/// Whoever changed anything was told that it had failed.
#[tokio::test]
async fn a_topic_that_cannot_be_opened_concerns_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::builder().ephemeral().data_dir(folder.path()).start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    let in_the_way = folder.path().join("bad-1");
    std::fs::write(&in_the_way, "").unwrap();
    assert_eq!(create(&mut client, "bad", 2).await, ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(create(&mut client, "good", 1).await, ErrorCode::NONE);
    assert_eq!(set(&mut client, "good", "retention.ms", "1").await, ErrorCode::NONE);
    assert_eq!(set(&mut client, "bad", "retention.ms", "1").await, ErrorCode::KAFKA_STORAGE_ERROR);
    std::fs::remove_file(&in_the_way).unwrap();
    assert_eq!(create(&mut client, "bad", 2).await, ErrorCode::TOPIC_ALREADY_EXISTS);
    assert_eq!(produce_to_all(&mut client, "bad", 2).await, ErrorCode::NONE);
    broker.stop().await;
}

/// Each was made with a sync of its own, as many as were named.
#[tokio::test]
async fn a_look_at_topics_makes_no_more_than_a_change_may() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let mut look = async |count: usize| {
        let topic = |number| metadata::Topic {
            name: Some(format!("t{number}").into()),
            ..Default::default()
        };
        let request = metadata::Request {
            topics: Some((0..count).map(topic).collect()),
            allow_auto_topic_creation: true,
            ..Default::default()
        };
        let answer = client.call::<Metadata>(9, &request).await;
        answer.topics.iter().filter(|topic| topic.error_code.is_none()).count()
    };
    assert_eq!(look(10_001).await, 0);
    assert_eq!(look(100).await, 100);
    assert_eq!(look(10_100).await, 10_100);
    broker.stop().await;
}

/// A deletion is written down before it makes room.
#[tokio::test]
async fn topics_are_deleted_on_a_disk_that_is_full() {
    let disk = MemoryDisk::new();
    let builder = Broker::builder().ephemeral().data_dir("/data").disk(Arc::new(disk.clone()));
    let broker = builder.start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    for count in 0..300 {
        let name = format!("t{count}");
        client.create_topic(&name, 1, &[]).await;
        disk.set_capacity(0);
        assert_eq!(set(&mut client, &name, "retention.ms", "1").await, ErrorCode::NONE, "{name}");
        assert_eq!(delete(&mut client, &name).await, ErrorCode::NONE, "{name}");
        disk.set_capacity(u64::MAX);
    }
    broker.stop().await;
}

#[tokio::test]
async fn topics_settings_and_records_outlive_a_stop_and_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let broker = Broker::builder().ephemeral().data_dir(folder.path());
        broker.set("durability", "synced").start()
    };
    let broker = start().await.unwrap();
    let cluster = broker.cluster_id();
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 2, &[("retention.ms", "-1")]).await;
    assert_eq!(grow(&mut client, "orders", 3).await, ErrorCode::NONE);
    assert_eq!(set(&mut client, "orders", "max.message.bytes", "5000").await, ErrorCode::NONE);
    client.produce("orders", batch(&["kept"])).await;
    let made = describe(&mut client, Some("orders"), Uuid::ZERO).await;
    drop(client);
    broker.stop().await;
    for crashes in [true, false] {
        let broker = start().await.unwrap();
        assert_eq!(broker.cluster_id(), cluster);
        let mut client = Client::connect(&broker).await;
        assert_eq!(describe(&mut client, Some("orders"), Uuid::ZERO).await, made);
        let size = config(&mut client, "orders", "max.message.bytes").await;
        assert_eq!((size.value.as_deref(), size.config_source), (Some("5000"), 1));
        assert_eq!(values(&client.fetch("orders", 0).await), [(0, "kept".to_owned())]);
        drop(client);
        if crashes {
            broker.kill().await
        } else {
            broker.stop().await
        };
    }
}

#[tokio::test]
async fn a_change_of_settings_holds_at_once() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[]).await;
    assert_eq!(set(&mut client, "orders", "max.message.bytes", "80").await, ErrorCode::NONE);
    let refused = client.produce("orders", batch(&["too large for that"])).await;
    assert_eq!(refused.error_code, ErrorCode::MESSAGE_TOO_LARGE);
    assert_eq!(set(&mut client, "orders", "no.such", "1").await, ErrorCode::INVALID_CONFIG);
    assert_eq!(grow(&mut client, "orders", 1).await, ErrorCode::INVALID_PARTITIONS);
}

#[tokio::test]
async fn a_batch_is_no_larger_than_it_may_be_once_it_is_decompressed_to_be_stored() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let configs = [("compression.type", "uncompressed"), ("max.message.bytes", "1000")];
    client.create_topic("orders", 1, &configs).await;
    let zipped = |value: &str| {
        let compression = Compression::Zstd;
        let mut batch = BatchBuilder::new(BatchOptions { compression, ..BatchOptions::default() });
        batch.push(0, None, Some(value.as_bytes()), &[]).unwrap();
        batch.build(0).unwrap().bytes().clone()
    };
    let (small, large) = (zipped(&"x".repeat(900)), zipped(&"x".repeat(1000)));
    assert!(large.len() < 1000);
    assert_eq!(client.produce("orders", small).await.error_code, ErrorCode::NONE);
    let refused = client.produce("orders", large).await;
    assert_eq!(refused.error_code, ErrorCode::MESSAGE_TOO_LARGE);
}

#[tokio::test]
async fn a_topic_that_is_asked_for_twice_is_told_once() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[]).await;
    let orders = describe(&mut client, Some("orders"), Uuid::ZERO).await;
    let by_id = metadata::Topic { topic_id: orders.topic_id, name: None };
    let by_name = metadata::Topic { topic_id: Uuid::ZERO, name: Some("orders".into()) };
    for topic in [by_id, by_name] {
        let request =
            metadata::Request { topics: Some(vec![topic; 3]), ..metadata::Request::default() };
        let told = client.call::<Metadata>(12, &request).await.topics;
        assert_eq!(told, std::slice::from_ref(&orders));
    }
}

/// As in Kafka: whichever of them came first would be made, and the others refused.
#[tokio::test]
async fn topics_with_too_many_partitions_together_are_all_refused() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let topic = |name: &str| create_topics::Topic {
        name: name.into(),
        num_partitions: 6_000,
        replication_factor: -1,
        ..Default::default()
    };
    let topics = vec![topic("one"), topic("other")];
    let request = create_topics::Request { topics, timeout_ms: 60_000, validate_only: false };
    let answer = client.call::<CreateTopics>(7, &request).await;
    let codes: Vec<_> = answer.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(codes, [ErrorCode::POLICY_VIOLATION; 2]);
    for name in ["one", "other"] {
        let told = describe(&mut client, Some(name), Uuid::ZERO).await;
        assert_eq!(told.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "{name}");
    }
}

#[tokio::test]
async fn clients_know_the_code_by_which_a_deletion_is_refused() {
    let builder = Broker::builder().ephemeral().set("delete.topic.enable", "false");
    let broker = builder.start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[]).await;
    let topic_names = vec!["orders".into()];
    let request = delete_topics::Request { topic_names, ..delete_topics::Request::default() };
    for (version, code) in
        [(2, ErrorCode::INVALID_REQUEST), (3, ErrorCode::TOPIC_DELETION_DISABLED)]
    {
        let answer = client.call::<DeleteTopics>(version, &request).await;
        assert_eq!(answer.topics[0].error_code, code, "version {version}");
    }
}

#[tokio::test]
async fn the_folder_of_a_kafka_broker_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let partition = folder.path().join("orders-0");
    std::fs::create_dir(&partition).unwrap();
    std::fs::write(partition.join("00000000000000000000.log"), batch(&["kept"])).unwrap();
    std::fs::write(folder.path().join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
    let refused = start_in(&folder).await.unwrap_err();
    assert!(matches!(refused, StartError::KafkasFolder(_)), "{refused}");
    let left = std::fs::read_dir(folder.path()).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["orders-0", "recovery-point-offset-checkpoint"]);
}

#[tokio::test]
async fn a_deleted_topic_is_gone_and_its_name_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(&folder).await.unwrap();
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[]).await;
    client.produce("orders", batch(&["old"])).await;
    let old = describe(&mut client, Some("orders"), Uuid::ZERO).await;
    assert_eq!(delete(&mut client, "orders").await, ErrorCode::NONE);
    let gone = describe(&mut client, None, old.topic_id).await;
    assert_eq!(gone.error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    assert_eq!(delete(&mut client, "orders").await, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    client.create_topic("orders", 1, &[]).await;
    let new = describe(&mut client, Some("orders"), Uuid::ZERO).await;
    assert_ne!(new.topic_id, old.topic_id);
    assert_eq!(values(&client.fetch("orders", 0).await), []);
    broker.stop().await;
}

/// What DeleteTopics answers, in an order of its own: names, ids and texts of refusals.
async fn delete_all(
    client: &mut Client,
    topics: &[(Option<&str>, Uuid)],
) -> Vec<(Option<Str>, Uuid, String)> {
    let topic = |(name, topic_id): &(Option<&str>, Uuid)| delete_topics::Topic {
        name: name.map(Str::from),
        topic_id: *topic_id,
    };
    let topics = topics.iter().map(topic).collect();
    let request = delete_topics::Request { topics, ..delete_topics::Request::default() };
    let answers = client.call::<DeleteTopics>(6, &request).await.topics;
    let told = answers.into_iter().map(|answer| {
        let message = answer.error_message.unwrap_or_default().to_string();
        let code = if message.is_empty() { ErrorCode::NONE } else { ErrorCode::INVALID_REQUEST };
        assert_eq!(answer.error_code, code, "{message}");
        (answer.name, answer.topic_id, message)
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    told
}

#[tokio::test]
async fn a_topic_that_is_named_in_two_ways_is_not_deleted() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[]).await;
    let id = describe(&mut client, Some("orders"), Uuid::ZERO).await.topic_id;
    let (name, by_name, by_id) = (Str::from("orders"), (Some("orders"), Uuid::ZERO), (None, id));
    let both = "The provided topic name maps to an ID that was already supplied.".to_owned();
    let names = "Duplicate topic name.".to_owned();
    let ids = "Duplicate topic id.".to_owned();
    let neither = "Neither topic name nor id were specified.".to_owned();
    let (by_both, twice_by_id) = ((Some(name.clone()), id, both), (None, id, ids));
    for (topics, answers) in [
        (vec![by_name, by_id], vec![by_both.clone()]),
        (vec![by_id, by_name], vec![by_both.clone()]),
        (vec![by_name; 3], vec![(Some(name.clone()), Uuid::ZERO, names.clone())]),
        (vec![by_id; 3], vec![twice_by_id.clone()]),
        (vec![by_id, by_name, by_id], vec![twice_by_id, by_both]),
        (vec![(None, Uuid::ZERO); 2], vec![(None, Uuid::ZERO, neither); 2]),
    ] {
        assert_eq!(delete_all(&mut client, &topics).await, answers, "{topics:?}");
        let told = describe(&mut client, None, id).await;
        assert_eq!(told.error_code, ErrorCode::NONE, "{topics:?}");
    }
    // Names of which none counts are in nobody's way.
    let answers = vec![(Some(name.clone()), Uuid::ZERO, names), (Some(name), id, String::new())];
    assert_eq!(delete_all(&mut client, &[by_name, by_id, by_name]).await, answers);
    broker.stop().await;
}

#[tokio::test]
async fn who_waits_for_a_topic_is_told_that_it_is_deleted() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[]).await;
    let mut reader = Client::connect(&broker).await;
    let id = reader.send::<Fetch>(12, &fetch_request("orders", 0, 15_000)).await;
    assert_eq!(delete(&mut client, "orders").await, ErrorCode::NONE);
    let response = reader.answer::<Fetch>(12, id).await;
    let answer = &response.topics[0].partitions[0];
    assert_eq!(answer.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[tokio::test]
async fn topics_are_made_by_asking_only_where_that_is_allowed() {
    let ask = |broker: Broker| async move {
        let mut client = Client::connect(&broker).await;
        let topic = metadata::Topic { name: Some("new".into()), ..Default::default() };
        let request = metadata::Request { topics: Some(vec![topic]), ..Default::default() };
        client.call::<Metadata>(9, &request).await.topics[0].error_code
    };
    assert_eq!(ask(ephemeral().await).await, ErrorCode::NONE);
    let strict = Broker::builder().ephemeral().set("auto.create.topics.enable", "false");
    let strict = strict.start().await.unwrap();
    assert_eq!(ask(strict).await, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[tokio::test]
async fn both_address_families_are_served_and_told_what_they_reached() {
    let broker = ephemeral().await;
    let port = broker.advertised()[0].port;
    for host in ["127.0.0.1", "::1"] {
        let address = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        // A machine may lack one of the families.
        if TcpStream::connect(format!("{address}:{port}")).await.is_err() {
            continue;
        }
        let mut client = Client::connect_to(&format!("{address}:{port}")).await;
        let response = client.call::<Metadata>(9, &metadata::Request::default()).await;
        let told = &response.brokers[0];
        assert_eq!((told.host.as_str(), told.port), (host, i32::from(port)));
    }
}

async fn start_in(folder: &TempDir) -> Result<Broker, StartError> {
    Broker::builder().ephemeral().data_dir(folder.path()).start().await
}

#[tokio::test]
async fn one_folder_serves_one_broker() {
    let folder = tempfile::tempdir().unwrap();
    let first = start_in(&folder).await.unwrap();
    let refused = start_in(&folder).await.unwrap_err().to_string();
    assert!(refused.contains("another process uses this folder"), "{refused}");
    first.stop().await;
    start_in(&folder).await.unwrap().stop().await;
}

/// One of these could not be opened, nothing that came after it either, and the next start failed.
#[tokio::test]
async fn topics_may_have_every_name_that_kafka_takes() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(&folder).await.unwrap();
    let mut client = Client::connect(&broker).await;
    let long = "x".repeat(249);
    let names = [".hidden", "...", "a-delete", "-", &long, "plain"];
    for name in names {
        client.create_topic(name, 1, &[]).await;
        client.produce(name, batch(&["a"])).await;
    }
    broker.stop().await;
    let broker = start_in(&folder).await.unwrap();
    let mut client = Client::connect(&broker).await;
    for name in names {
        client.produce(name, batch(&["b"])).await;
        assert_eq!(delete(&mut client, name).await, ErrorCode::NONE, "{name}");
    }
    broker.stop().await;
    start_in(&folder).await.unwrap().stop().await;
}

/// Nothing named them any more, and nothing removed them.
#[tokio::test]
async fn files_that_outlive_their_topic_are_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(&folder).await.unwrap();
    let mut client = Client::connect(&broker).await;
    for topic in ["orders", "bills"] {
        client.create_topic(topic, 1, &[]).await;
        client.produce(topic, batch(&["a"])).await;
    }
    broker.kill().await;
    // As a crash leaves it that comes behind the topic's end and before that of its files.
    std::fs::rename(folder.path().join("orders-0"), folder.path().join("orders-1")).unwrap();
    let broker = start_in(&folder).await.unwrap();
    let names = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let count = |is: &dyn Fn(&str) -> bool| names().iter().filter(|name| is(name)).count();
    assert_eq!(count(&|name| name == "orders-1"), 0);
    assert_eq!(count(&|name| name.starts_with("orders-1.") && name.ends_with("-stray")), 1);
    assert_eq!(count(&|name| name == "bills-0"), 1);
    broker.stop().await;
}

#[tokio::test]
async fn health_and_metrics_are_served() {
    let broker = Broker::builder().ephemeral().set("http.listen", "127.0.0.1:0");
    let broker = broker.start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 1, &[]).await;
    client.produce("orders", batch(&["a", "b"])).await;
    let address = broker.http_address().unwrap();
    let get = |path: &'static str| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    assert!(get("/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get("/readyz").await.ends_with("ready\n"));
    let metrics = get("/metrics").await;
    for line in [
        "kafka_server_brokertopicmetrics_messagesin_total{topic=\"orders\"} 2",
        "kafka_topic_partition_current_offset{topic=\"orders\",partition=\"0\"} 2",
        "le=\"+Inf\"",
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    broker.stop().await;
}
