//! The administrator against a real cluster.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may fail")]

mod cluster;

use std::time::Duration;

use klamm_client::Kafka;
use klamm_client::admin::{Change, ConfigSource, OffsetSpec, Resource, ResourceKind};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use cluster::{Cluster, can, code, create, eventually, topic};

const INCREMENTAL_ALTER_CONFIGS: i16 = 44;
const LIST_CONFIG_RESOURCES: i16 = 74;

async fn start() -> (Cluster, Kafka) {
    let cluster = Cluster::start().await;
    let kafka = cluster.connect().await;
    (cluster, kafka)
}

async fn lists(kafka: &Kafka, name: &Str) -> bool {
    kafka.admin().list_topics().await.unwrap().iter().any(|topic| topic.name == *name)
}

#[tokio::test]
async fn topics_are_made_grown_listed_and_removed() {
    let (cluster, kafka) = start().await;
    let admin = kafka.admin();
    let (name, nobody) = (Str::from(cluster.name("a")), Str::from(cluster.name("nobody")));
    let topics = [topic(&kafka, &name, 2), topic(&kafka, "no good", 1)];
    let tried = admin.validate_topics(&topics).await.unwrap();
    assert!(tried[0].1.is_ok(), "{tried:?}");
    assert!(!lists(&kafka, &name).await);

    let created = admin.create_topics(&topics).await.unwrap();
    assert!(matches!(created[0].1.as_ref().unwrap().partitions, Some(2) | None));
    assert_eq!(code(&created[1].1), Some(ErrorCode::INVALID_TOPIC_EXCEPTION));
    let again = admin.create_topics(&topics[..1]).await.unwrap();
    assert_eq!(code(&again[0].1), Some(ErrorCode::TOPIC_ALREADY_EXISTS));
    eventually(async || lists(&kafka, &name).await).await;

    let grown = admin.create_partitions(&[(name.clone(), 5), (nobody.clone(), 5)]).await.unwrap();
    assert!(grown[0].1.is_ok());
    assert_eq!(code(&grown[1].1), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    let names = [name.clone(), nobody];
    eventually(async || {
        let described = admin.describe_topics(&names).await.unwrap();
        assert_eq!(code(&described[1].1), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        described[0].1.as_ref().is_ok_and(|topic| topic.partitions.len() == 5)
    })
    .await;

    let deleted = admin.delete_topics(&names).await.unwrap();
    assert!(deleted[0].1.is_ok());
    assert_eq!(code(&deleted[1].1), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    eventually(async || !lists(&kafka, &name).await).await;
    cluster.stop().await;
}

#[tokio::test]
async fn settings_say_where_they_come_from() {
    let (cluster, kafka) = start().await;
    let (name, nobody) = (cluster.name("a"), cluster.name("nobody"));
    let admin = kafka.admin();
    create(&kafka, topic(&kafka, &name, 1).config("retention.ms", "5000")).await;
    let topic = Resource::Topic(name.as_str().into());
    let incremental = can(&kafka, INCREMENTAL_ALTER_CONFIGS, 0, "incremental changes").await;
    if incremental {
        let changes = vec![Change::Set("segment.bytes".into(), "2000000".into())];
        let changed = admin.incremental_alter_configs(&[(topic.clone(), changes)]).await.unwrap();
        assert!(changed[0].1.is_ok(), "{changed:?}");
    }
    let resources = [topic, Resource::Topic(nobody.into())];
    eventually(async || {
        let described = admin.describe_configs(&resources).await.unwrap();
        assert_eq!(described[1].0, resources[1]);
        assert_eq!(code(&described[1].1), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        let entries = described[0].1.as_ref().unwrap();
        let is = |name: &str, value: &str, source| {
            let entry = entries.iter().find(|entry| entry.name == *name).unwrap();
            (entry.value.as_deref(), entry.source) == (Some(value), source)
        };
        is("retention.ms", "5000", ConfigSource::Topic)
            && is("cleanup.policy", "delete", ConfigSource::Default)
            && (!incremental || is("segment.bytes", "2000000", ConfigSource::Topic))
    })
    .await;
    cluster.stop().await;
}

#[tokio::test]
async fn offsets_answer_in_the_order_of_the_question() {
    let (cluster, kafka) = start().await;
    let (name, nobody) = (Str::from(cluster.name("a")), Str::from(cluster.name("nobody")));
    create(&kafka, topic(&kafka, &name, 2)).await;
    let wanted = [
        (name.clone(), 7, OffsetSpec::Latest),
        (name.clone(), 1, OffsetSpec::Latest),
        (name.clone(), 0, OffsetSpec::Timestamp(1)),
        (nobody, 0, OffsetSpec::Earliest),
        (name, 0, OffsetSpec::Earliest),
    ];
    let found = kafka.admin().list_offsets(&wanted).await.unwrap();
    let items = wanted.iter().map(|(topic, index, _)| (topic.clone(), *index));
    assert!(items.eq(found.iter().map(|(item, _)| item.clone())));
    let unknown = Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!((code(&found[0].1), code(&found[3].1)), (unknown, unknown));
    assert_eq!(found[1].1.as_ref().unwrap().offset, Some(0));
    assert_eq!(found[2].1.as_ref().unwrap().offset, None);
    assert_eq!(found[4].1.as_ref().unwrap().offset, Some(0));
    cluster.stop().await;
}

#[tokio::test]
async fn the_cluster_and_its_versions_are_known() {
    let (cluster, kafka) = start().await;
    let admin = kafka.admin();
    let described = admin.describe_cluster().await.unwrap();
    if let Some(broker) = &cluster.broker {
        assert_eq!(described.cluster_id.as_deref(), Some(broker.cluster_id().as_str()));
        assert_eq!(described.brokers.len(), 1);
    }
    assert!(described.cluster_id.is_some() && !described.brokers.is_empty());
    let versions = admin.api_versions().await.unwrap();
    assert_eq!(versions.len(), described.brokers.len());
    assert!(versions[0].1.as_ref().unwrap().of(0).unwrap().contains(&7));
    cluster.stop().await;
}

#[tokio::test]
async fn settings_are_tried_explained_and_replaced() {
    let (cluster, kafka) = start().await;
    let admin = kafka.admin();
    let name = cluster.name("a");
    create(&kafka, topic(&kafka, &name, 1).config("retention.ms", "5000")).await;
    let topic = Resource::Topic(name.as_str().into());
    let set = |name: &str, value: &str| vec![Change::Set(name.into(), value.into())];
    if can(&kafka, INCREMENTAL_ALTER_CONFIGS, 0, "incremental changes").await {
        let wanted = [(topic.clone(), set("segment.bytes", "2000000"))];
        let tried = admin.validate_configs(&wanted).await.unwrap();
        assert!(tried[0].1.is_ok(), "{tried:?}");
        let wrong = admin.validate_configs(&[(topic.clone(), set("nope", "1"))]).await.unwrap();
        assert_eq!(code(&wrong[0].1), Some(ErrorCode::INVALID_CONFIG));
    }
    let settings = vec![("max.message.bytes".into(), "9000".into())];
    let replaced = admin.alter_configs(&[(topic.clone(), settings)]).await.unwrap();
    assert!(replaced[0].1.is_ok(), "{replaced:?}");
    eventually(async || {
        let explained = admin.explain_configs(std::slice::from_ref(&topic)).await.unwrap();
        let entries = explained[0].1.as_ref().unwrap();
        let entry = |name: &str| entries.iter().find(|entry| entry.name == *name).unwrap();
        let replaced = entry("max.message.bytes");
        let unset = ["retention.ms", "segment.bytes"];
        replaced.value.as_deref() == Some("9000")
            && replaced.synonyms[0].source == ConfigSource::Topic
            && unset.iter().all(|name| entry(name).source == ConfigSource::Default)
    })
    .await;
    cluster.stop().await;
}

#[tokio::test]
async fn what_has_settings_is_listed() {
    let (cluster, kafka) = start().await;
    let admin = kafka.admin();
    if !can(&kafka, LIST_CONFIG_RESOURCES, 1, "a list of what has settings").await {
        return;
    }
    let name = cluster.name("a");
    create(&kafka, topic(&kafka, &name, 1)).await;
    let group = Resource::Group(cluster.name("g").into());
    let lists = async |kinds: &[ResourceKind], resource: &Resource| {
        admin.list_config_resources(kinds).await.unwrap().contains(resource)
    };
    assert!(!lists(&[ResourceKind::Group], &group).await);
    let timeout = Change::Set("consumer.session.timeout.ms".into(), "50000".into());
    let altered = admin.incremental_alter_configs(&[(group.clone(), vec![timeout])]).await.unwrap();
    assert!(altered[0].1.is_ok(), "{altered:?}");
    eventually(async || lists(&[ResourceKind::Group], &group).await).await;
    assert!(lists(&[], &Resource::Topic(name.into())).await);
    assert!(lists(&[], &Resource::Broker(1)).await);
    cluster.stop().await;
}

#[tokio::test]
async fn folders_are_described_and_records_deleted() {
    let (cluster, kafka) = start().await;
    let admin = kafka.admin();
    let (name, nobody) = (Str::from(cluster.name("a")), Str::from(cluster.name("nobody")));
    create(&kafka, topic(&kafka, &name, 1)).await;
    let leader = kafka.topic(&name).await.unwrap().partitions[0].leader.unwrap();
    // A broker that is not there may come: it is looked for as long as that is wanted.
    let brief = kafka.admin().with_timeout(Duration::from_millis(200));
    assert!(brief.log_dirs(&[77]).await.unwrap()[0].1.is_err());
    eventually(async || {
        let described = admin.log_dirs(&[leader]).await.unwrap();
        let dirs = described[0].1.as_ref().unwrap();
        dirs[0].logs.as_ref().unwrap().iter().any(|log| log.topic == name)
    })
    .await;

    let below = [(name.clone(), 0, 0), (name, 0, 9), (nobody, 0, 0)];
    let deleted = admin.delete_records(&below[..1]).await.unwrap();
    assert_eq!(deleted[0].1.as_ref().unwrap(), &0);
    let refused = admin.delete_records(&below[1..]).await.unwrap();
    assert_eq!(code(&refused[0].1), Some(ErrorCode::OFFSET_OUT_OF_RANGE));
    assert_eq!(code(&refused[1].1), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    cluster.stop().await;
}
