//! Settings changed while the broker runs: what a client sees of them at once, and after a stop
//! and a crash.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

mod support;

use klamm_broker::Broker;
use klamm_protocol::api::{
    AlterConfigs, CreateTopics, DescribeConfigs, GetTelemetrySubscriptions,
    IncrementalAlterConfigs, ListConfigResources, PushTelemetry,
};
use klamm_protocol::api::{
    alter_configs, create_topics, describe_configs, get_telemetry_subscriptions,
    incremental_alter_configs, list_config_resources, push_telemetry,
};
use klamm_protocol::error_code::ErrorCode;

use support::{Client, batch, ephemeral};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

const SET: i8 = 0;
const DELETE: i8 = 1;

/// Changes one setting; gives the error and its text.
async fn alter(
    client: &mut Client,
    (kind, name): (i8, &str),
    key: &str,
    (config_operation, value): (i8, Option<&str>),
) -> (ErrorCode, String) {
    let config = incremental_alter_configs::Config {
        name: key.into(),
        config_operation,
        value: value.map(Into::into),
    };
    let resource = incremental_alter_configs::Resource {
        resource_type: kind,
        resource_name: name.into(),
        configs: vec![config],
    };
    let request =
        incremental_alter_configs::Request { resources: vec![resource], ..Default::default() };
    let response = client.call::<IncrementalAlterConfigs>(1, &request).await;
    let answer = &response.responses[0];
    (answer.error_code, answer.error_message.clone().unwrap_or_default().to_string())
}

async fn set(client: &mut Client, resource: (i8, &str), key: &str, value: &str) {
    let outcome = alter(client, resource, key, (SET, Some(value))).await;
    assert_eq!(outcome, (ErrorCode::NONE, String::new()), "{key}={value}");
}

/// The value of a setting, and the number of its source.
async fn told(client: &mut Client, (kind, name): (i8, &str), key: &str) -> (String, i8) {
    let request = describe_configs::Request {
        resources: vec![describe_configs::Resource {
            resource_type: kind,
            resource_name: name.into(),
            configuration_keys: Some(vec![key.into()]),
        }],
        ..Default::default()
    };
    let response = client.call::<DescribeConfigs>(4, &request).await;
    let config = &response.results[0].configs[0];
    (config.value.clone().unwrap_or_default().to_string(), config.config_source)
}

#[tokio::test]
async fn what_brokers_set_holds_for_topics_at_once() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("free", 1, &[]).await;
    client.create_topic("own", 1, &[("max.message.bytes", "100000")]).await;
    let large = batch(&["x".repeat(2000).as_str()]);

    set(&mut client, (BROKER, ""), "message.max.bytes", "1000").await;
    let refused = client.produce("free", large.clone()).await;
    assert_eq!(refused.error_code, ErrorCode::MESSAGE_TOO_LARGE);
    assert_eq!(client.produce("own", large.clone()).await.error_code, ErrorCode::NONE);
    assert_eq!(told(&mut client, (TOPIC, "free"), "max.message.bytes").await, ("1000".into(), 3));

    // What is set on this broker is stronger than what is set on all.
    set(&mut client, (BROKER, "1"), "message.max.bytes", "50000").await;
    assert_eq!(client.produce("free", large.clone()).await.error_code, ErrorCode::NONE);
    assert_eq!(told(&mut client, (TOPIC, "free"), "max.message.bytes").await, ("50000".into(), 2));

    let unset = (DELETE, None);
    alter(&mut client, (BROKER, "1"), "message.max.bytes", unset).await;
    let refused = client.produce("free", large.clone()).await;
    assert_eq!(refused.error_code, ErrorCode::MESSAGE_TOO_LARGE);
    alter(&mut client, (BROKER, ""), "message.max.bytes", unset).await;
    assert_eq!(client.produce("free", large).await.error_code, ErrorCode::NONE);
    broker.stop().await;
}

#[tokio::test]
async fn a_limit_on_connections_holds_for_the_next() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    set(&mut client, (BROKER, "1"), "max.connections", "0").await;
    // Places that are kept for this machine.
    let mut others = Vec::new();
    for _ in 1..8 {
        others.push(Client::connect(&broker).await);
        set(others.last_mut().unwrap(), (BROKER, "1"), "max.connections", "0").await;
    }
    assert!(Client::connect(&broker).await.is_closed().await);
    // Whoever is on this machine can undo it.
    set(&mut client, (BROKER, "1"), "max.connections", "1").await;
    let mut second = Client::connect(&broker).await;
    assert_eq!(told(&mut second, (BROKER, "1"), "max.connections").await, ("1".into(), 2));
    broker.stop().await;
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_and_changes_nothing() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let before = broker.config();
    let invalid = ErrorCode::INVALID_REQUEST;
    let outcome = alter(&mut client, (BROKER, "1"), "num.partitions", (SET, Some("4"))).await;
    let message = "Cannot update these configs dynamically: [num.partitions]";
    assert_eq!(outcome, (invalid, message.to_owned()));
    let outcome =
        alter(&mut client, (BROKER, ""), "max.connections.per.ip.overrides", (SET, Some("x")))
            .await;
    assert_eq!(outcome.0, invalid);
    let outcome = alter(&mut client, (BROKER, ""), "log.retention.ms", (7, Some("1"))).await;
    assert_eq!(outcome, (invalid, "Unknown operations type 7".to_owned()));
    assert_eq!(broker.config(), before);
    broker.stop().await;
}

/// Sets one thing on every kind of resource.
async fn set_all(client: &mut Client) {
    client.create_topic("kept", 1, &[]).await;
    set(client, (TOPIC, "kept"), "segment.ms", "7000").await;
    set(client, (BROKER, ""), "log.retention.ms", "8000").await;
    set(client, (BROKER, "1"), "max.connections", "500").await;
    set(client, (GROUP, "g"), "consumer.session.timeout.ms", "50000").await;
    set(client, (CLIENT_METRICS, "m"), "interval.ms", "9000").await;
}

async fn check_all(client: &mut Client) {
    for (resource, key, value, source) in [
        ((TOPIC, "kept"), "segment.ms", "7000", 1),
        ((TOPIC, "kept"), "retention.ms", "8000", 3),
        ((BROKER, "1"), "max.connections", "500", 2),
        ((GROUP, "g"), "consumer.session.timeout.ms", "50000", 8),
        ((CLIENT_METRICS, "m"), "interval.ms", "9000", 7),
    ] {
        assert_eq!(told(client, resource, key).await, (value.to_owned(), source), "{key}");
    }
}

#[tokio::test]
async fn settings_are_there_after_a_stop_and_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Broker::builder().ephemeral().data_dir(folder.path()).start();
    let broker = start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    set_all(&mut client).await;
    check_all(&mut client).await;
    broker.stop().await;

    let broker = start().await.unwrap();
    assert_eq!(broker.config().connections.count_max, 500);
    check_all(&mut Client::connect(&broker).await).await;
    broker.kill().await;

    let broker = start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    check_all(&mut client).await;
    alter(&mut client, (BROKER, "1"), "max.connections", (DELETE, None)).await;
    broker.kill().await;

    let broker = start().await.unwrap();
    assert_eq!(broker.config().connections.count_max, 10_000);
    broker.stop().await;
}

#[tokio::test]
async fn the_older_form_replaces_what_was_set() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("whole", 1, &[("segment.ms", "7000"), ("retention.ms", "6000")]).await;
    let config = alter_configs::Config { name: "retention.ms".into(), value: Some("5000".into()) };
    let resource = alter_configs::Resource {
        resource_type: TOPIC,
        resource_name: "whole".into(),
        configs: vec![config],
    };
    let ask = |resources| alter_configs::Request { resources, ..Default::default() };
    let response = client.call::<AlterConfigs>(2, &ask(vec![resource.clone()])).await;
    assert_eq!(response.responses[0].error_code, ErrorCode::NONE);
    assert_eq!(told(&mut client, (TOPIC, "whole"), "retention.ms").await, ("5000".into(), 1));
    assert_eq!(told(&mut client, (TOPIC, "whole"), "segment.ms").await, ("604800000".into(), 5));

    let response = client.call::<AlterConfigs>(2, &ask(vec![resource.clone(), resource])).await;
    let codes: Vec<_> = response.responses.iter().map(|answer| answer.error_code).collect();
    assert_eq!(codes, [ErrorCode::INVALID_REQUEST; 2], "a resource is named once");
    broker.stop().await;
}

#[tokio::test]
async fn everything_with_settings_is_listed() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    set_all(&mut client).await;
    let mut list = async |version, resource_types: &[i8]| {
        let request = list_config_resources::Request { resource_types: resource_types.into() };
        let response = client.call::<ListConfigResources>(version, &request).await;
        let named = response.config_resources.iter();
        let named: Vec<_> =
            named.map(|it| (it.resource_type, it.resource_name.to_string())).collect();
        (response.error_code, named)
    };
    let named = |kind, name: &str| (kind, name.to_owned());
    let all = [named(32, "g"), named(16, "m"), named(8, "1"), named(4, "1"), named(2, "kept")];
    assert_eq!(list(1, &[]).await, (ErrorCode::NONE, all.to_vec()));
    assert_eq!(list(1, &[GROUP]).await, (ErrorCode::NONE, vec![named(32, "g")]));
    assert_eq!(list(0, &[]).await, (ErrorCode::NONE, vec![named(16, "m")]));
    assert_eq!(list(1, &[99]).await, (ErrorCode::UNSUPPORTED_VERSION, Vec::new()));
    broker.stop().await;
}

/// What DescribeConfigs tells of resources: the error of each, and how many settings.
async fn told_of(client: &mut Client, kind: i8, names: Vec<String>) -> Vec<(ErrorCode, usize)> {
    let resource = |name: String| describe_configs::Resource {
        resource_type: kind,
        resource_name: name.into(),
        configuration_keys: None,
    };
    let resources = names.into_iter().map(resource).collect();
    let request = describe_configs::Request { resources, ..Default::default() };
    let results = client.call::<DescribeConfigs>(4, &request).await.results;
    results.iter().map(|told| (told.error_code, told.configs.len())).collect()
}

/// Any name is that of a group: a short request had an answer of a gigabyte.
#[tokio::test]
async fn so_many_groups_are_told_on_which_nothing_is_set() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    set(&mut client, (GROUP, "set"), "consumer.session.timeout.ms", "50000").await;
    set(&mut client, (CLIENT_METRICS, "set"), "interval.ms", "9000").await;
    for kind in [GROUP, CLIENT_METRICS] {
        let mut names: Vec<_> = (0..=1000).map(|at| at.to_string()).collect();
        names.push("set".to_owned());
        let told = told_of(&mut client, kind, names).await;
        let (refused, set) = (told[1000], told[1001]);
        assert!(set.1 > 0 && told[..1000].iter().all(|one| *one == set), "{told:?}");
        assert_eq!(refused, (ErrorCode::INVALID_REQUEST, 0));
    }
    broker.stop().await;
}

#[tokio::test]
async fn of_topics_all_are_told() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let names: Vec<_> = (0..1001).map(|at| format!("t{at}")).collect();
    let topic = |name: &String| create_topics::Topic {
        name: name.as_str().into(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let topics = names.iter().map(topic).collect();
    let request = create_topics::Request { topics, timeout_ms: 60_000, validate_only: false };
    client.call::<CreateTopics>(7, &request).await;
    let told = told_of(&mut client, TOPIC, names).await;
    assert_eq!(told.len(), 1001);
    assert!(told[0].1 > 0 && told.iter().all(|one| *one == (ErrorCode::NONE, told[0].1)));
    broker.stop().await;
}

#[tokio::test]
async fn a_broker_is_told_once_however_its_id_is_written() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    let names = ["1", "01", "+1", "", "001", ""].map(str::to_owned);
    let told = told_of(&mut client, BROKER, names.to_vec()).await;
    assert!(told[0].1 > 0);
    assert_eq!(told, [told[0], (ErrorCode::NONE, 0)]);
    let told = told_of(&mut client, BROKER_LOGGER, names[..3].to_vec()).await;
    assert_eq!(told, [(ErrorCode::NONE, 1)]);
    broker.stop().await;
}

#[tokio::test]
async fn a_client_that_is_asked_for_metrics_may_push_them() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    set(&mut client, (CLIENT_METRICS, "all"), "metrics", "*").await;
    // A gauge `m` without a point, as OpenTelemetry has it; and what is none.
    let gauge = b"\x0a\x09\x12\x07\x12\x05\x0a\x01m\x2a\x00".as_slice();
    for (metrics, code) in [(gauge, ErrorCode::NONE), (b"noise", ErrorCode::INVALID_RECORD)] {
        let request = get_telemetry_subscriptions::Request::default();
        let asked = client.call::<GetTelemetrySubscriptions>(0, &request).await;
        assert_eq!(asked.requested_metrics, ["*"]);
        let request = push_telemetry::Request {
            client_instance_id: asked.client_instance_id,
            subscription_id: asked.subscription_id,
            metrics: metrics.into(),
            ..Default::default()
        };
        let pushed = client.call::<PushTelemetry>(0, &request).await;
        assert_eq!(pushed.error_code, code, "{metrics:?}");
        let again = client.call::<PushTelemetry>(0, &request).await;
        assert_eq!(again.error_code, ErrorCode::THROTTLING_QUOTA_EXCEEDED);
    }
    broker.stop().await;
}
