//! The administrator against a real broker, in this process.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use klamm_broker::Broker;
use klamm_client::admin::{Change, ConfigSource, NewTopic, OffsetSpec, Resource, ResourceKind};
use klamm_client::{ClientConfig, Error, Kafka};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

async fn start() -> (Broker, Kafka) {
    let broker = Broker::builder().ephemeral().start().await.unwrap();
    let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await.unwrap();
    (broker, kafka)
}

fn code<T>(outcome: &Result<T, Error>) -> Option<ErrorCode> {
    outcome.as_ref().err().and_then(Error::code)
}

#[tokio::test]
async fn topics_are_made_grown_listed_and_removed() {
    let (broker, kafka) = start().await;
    let admin = kafka.admin();
    let topics = [NewTopic::new("a").partitions(2), NewTopic::new("no good")];
    let tried = admin.validate_topics(&topics).await.unwrap();
    assert!(tried[0].1.is_ok() && admin.list_topics().await.unwrap().is_empty());

    let created = admin.create_topics(&topics).await.unwrap();
    assert_eq!(created[0].1.as_ref().unwrap().partitions, Some(2));
    assert_eq!(code(&created[1].1), Some(ErrorCode::INVALID_TOPIC_EXCEPTION));
    let again = admin.create_topics(&topics[..1]).await.unwrap();
    assert_eq!(code(&again[0].1), Some(ErrorCode::TOPIC_ALREADY_EXISTS));

    let name = Str::from("a");
    let grown = admin.create_partitions(&[(name.clone(), 5), ("b".into(), 5)]).await.unwrap();
    assert!(grown[0].1.is_ok());
    assert_eq!(code(&grown[1].1), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    let described = admin.describe_topics(&[name.clone(), "b".into()]).await.unwrap();
    assert_eq!(described[0].1.as_ref().unwrap().partitions.len(), 5);
    assert_eq!(code(&described[1].1), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));

    let deleted = admin.delete_topics(&[name, "b".into()]).await.unwrap();
    assert!(deleted[0].1.is_ok());
    assert_eq!(code(&deleted[1].1), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert!(admin.list_topics().await.unwrap().is_empty());
    broker.stop().await;
}

#[tokio::test]
async fn settings_say_where_they_come_from() {
    let (broker, kafka) = start().await;
    let admin = kafka.admin();
    admin.create_topics(&[NewTopic::new("a").config("retention.ms", "5000")]).await.unwrap();
    let topic = Resource::Topic("a".into());
    let changes = vec![Change::Set("segment.bytes".into(), "2000000".into())];
    let changed = admin.incremental_alter_configs(&[(topic.clone(), changes)]).await.unwrap();
    assert!(changed[0].1.is_ok(), "{changed:?}");
    let nothing = Resource::Topic("b".into());
    let described = admin.describe_configs(&[topic, nothing.clone()]).await.unwrap();
    let entries = described[0].1.as_ref().unwrap();
    let check = |name: &str, value: &str, source| {
        let entry = entries.iter().find(|entry| entry.name == *name).unwrap();
        assert_eq!((entry.value.as_deref(), entry.source), (Some(value), source), "{name}");
    };
    check("retention.ms", "5000", ConfigSource::Topic);
    check("segment.bytes", "2000000", ConfigSource::Topic);
    check("cleanup.policy", "delete", ConfigSource::Default);
    assert_eq!(described[1].0, nothing);
    assert_eq!(code(&described[1].1), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    broker.stop().await;
}

#[tokio::test]
async fn offsets_answer_in_the_order_of_the_question() {
    let (broker, kafka) = start().await;
    let admin = kafka.admin();
    admin.create_topics(&[NewTopic::new("a").partitions(2)]).await.unwrap();
    let wanted = [
        (Str::from("a"), 7, OffsetSpec::Latest),
        ("a".into(), 1, OffsetSpec::Latest),
        ("a".into(), 0, OffsetSpec::Timestamp(1)),
        ("b".into(), 0, OffsetSpec::Earliest),
    ];
    let found = admin.list_offsets(&wanted).await.unwrap();
    let items = wanted.iter().map(|(topic, index, _)| (topic.clone(), *index));
    assert!(items.eq(found.iter().map(|(item, _)| item.clone())));
    let unknown = Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!((code(&found[0].1), code(&found[3].1)), (unknown, unknown));
    assert_eq!(found[1].1.as_ref().unwrap().offset, Some(0));
    assert_eq!(found[2].1.as_ref().unwrap().offset, None);
    broker.stop().await;
}

#[tokio::test]
async fn the_cluster_and_its_versions_are_known() {
    let (broker, kafka) = start().await;
    let admin = kafka.admin();
    let cluster = admin.describe_cluster().await.unwrap();
    assert_eq!(cluster.cluster_id.as_deref(), Some(broker.cluster_id().as_str()));
    assert_eq!(cluster.brokers.len(), 1);
    let versions = admin.api_versions().await.unwrap();
    assert_eq!(versions[0].1.as_ref().unwrap().of(0), Some(0..=13));
    broker.stop().await;
}

#[tokio::test]
async fn a_broker_that_is_gone_is_an_error_and_one_that_comes_back_is_found() {
    let (broker, kafka) = start().await;
    let address = broker.bootstrap();
    broker.stop().await;
    let error = Kafka::connect(ClientConfig::new(&address)).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }) && error.is_retriable(), "{error}");
    let broker = Broker::builder().ephemeral().listen(&address).start().await.unwrap();
    assert_eq!(kafka.admin().list_topics().await.unwrap().len(), 0);
    broker.stop().await;
}

#[tokio::test]
async fn settings_are_tried_explained_and_replaced() {
    let (broker, kafka) = start().await;
    let admin = kafka.admin();
    admin.create_topics(&[NewTopic::new("a").config("retention.ms", "5000")]).await.unwrap();
    let (topic, group) = (Resource::Topic("a".into()), Resource::Group("g".into()));
    let set = |name: &str, value: &str| vec![Change::Set(name.into(), value.into())];
    let wanted = [(topic.clone(), set("segment.bytes", "2000000"))];
    let tried = admin.validate_configs(&wanted).await.unwrap();
    assert!(tried[0].1.is_ok(), "{tried:?}");
    let wrong = admin.validate_configs(&[(topic.clone(), set("nope", "1"))]).await.unwrap();
    assert_eq!(code(&wrong[0].1), Some(ErrorCode::INVALID_CONFIG));

    let settings = vec![("max.message.bytes".into(), "9000".into())];
    let replaced = admin.alter_configs(&[(topic.clone(), settings)]).await.unwrap();
    assert!(replaced[0].1.is_ok(), "{replaced:?}");
    let explained = admin.explain_configs(std::slice::from_ref(&topic)).await.unwrap();
    let entries = explained[0].1.as_ref().unwrap();
    let entry = |name: &str| entries.iter().find(|entry| entry.name == *name).unwrap();
    assert_eq!(entry("max.message.bytes").value.as_deref(), Some("9000"));
    assert_eq!(entry("max.message.bytes").synonyms[0].source, ConfigSource::Topic);
    assert!(entry("max.message.bytes").documentation.is_some());
    for unset in ["retention.ms", "segment.bytes"] {
        assert_eq!(entry(unset).source, ConfigSource::Default, "{unset}");
    }

    assert!(admin.list_config_resources(&[ResourceKind::Group]).await.unwrap().is_empty());
    let timeout = set("consumer.session.timeout.ms", "50000");
    let altered = admin.incremental_alter_configs(&[(group.clone(), timeout)]).await.unwrap();
    assert!(altered[0].1.is_ok(), "{altered:?}");
    assert_eq!(admin.list_config_resources(&[ResourceKind::Group]).await.unwrap(), [group]);
    let all = admin.list_config_resources(&[]).await.unwrap();
    assert!(all.contains(&topic) && all.contains(&Resource::Broker(1)), "{all:?}");
    broker.stop().await;
}

#[tokio::test]
async fn folders_are_described_and_records_deleted() {
    let (broker, kafka) = start().await;
    let admin = kafka.admin();
    admin.create_topics(&[NewTopic::new("a")]).await.unwrap();
    let described = admin.log_dirs(&[1, 7]).await.unwrap();
    let dirs = described[0].1.as_ref().unwrap();
    assert!(dirs[0].logs.as_ref().unwrap().iter().any(|log| log.topic == "a"), "{dirs:?}");
    assert!(described[1].1.is_err());

    let below = [(Str::from("a"), 0, 0), ("a".into(), 0, 9), ("b".into(), 0, 0)];
    let deleted = admin.delete_records(&below[..1]).await.unwrap();
    assert_eq!(deleted[0].1.as_ref().unwrap(), &0);
    let refused = admin.delete_records(&below[1..]).await.unwrap();
    assert_eq!(code(&refused[0].1), Some(ErrorCode::OFFSET_OUT_OF_RANGE));
    assert_eq!(code(&refused[1].1), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    broker.stop().await;
}
