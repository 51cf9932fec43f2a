//! The topics of pods.

use klamm_client::admin::NewTopic;
use klamm_client::{ClientConfig, Kafka, Result};

use super::Settings;
use crate::wire::{BROADCAST_TOPIC, SINGLE_TOPIC, STATUS_TOPIC};

const BROADCAST_PARTITIONS: i32 = 10;
const SINGLE_PARTITIONS: i32 = 10;
const STATUS_PARTITIONS: i32 = 6;

/// The topic of a pod: its name, with something before it.
pub(super) fn of_pod(settings: &Settings, pod: &str) -> String {
    format!("{}{pod}", settings.topic_prefix)
}

/// The group of a pod's workers.
pub(super) fn group_of(pod: &str) -> String {
    format!("pod.{pod}")
}

/// Connects, and makes what is missing.
pub(super) async fn connect(settings: &Settings) -> Result<Kafka> {
    let config = ClientConfig::new(&settings.kafka).client_id(&settings.pod_id);
    let kafka = Kafka::connect(config).await?;
    make(settings, &kafka).await?;
    Ok(kafka)
}

/// Makes what is missing. A pod's topic has a partition for each worker.
pub(super) async fn make(settings: &Settings, kafka: &Kafka) -> Result<()> {
    let topic = |name: &str, partitions: i32, minutes: u64| {
        let retention_ms = (minutes * 60_000).to_string();
        NewTopic::new(name).partitions(partitions).config("retention.ms", &retention_ms)
    };
    let own = of_pod(settings, &settings.pod_id);
    let workers = i32::try_from(settings.worker_count).unwrap_or(i32::MAX);
    let topics = [
        topic(&own, workers, 60),
        topic(BROADCAST_TOPIC, BROADCAST_PARTITIONS, 10),
        topic(SINGLE_TOPIC, SINGLE_PARTITIONS, 10),
        topic(STATUS_TOPIC, STATUS_PARTITIONS, 7 * 24 * 60),
    ];
    common::topics::create(kafka, &topics).await?;
    unsent::topics::create(kafka, unsent::topics::PARTITIONS).await?;
    let own = own.as_str().into();
    let partitions = kafka.topic(&own).await?.partitions.len();
    if partitions < settings.worker_count {
        // It was made for fewer workers.
        for (_, raised) in kafka.admin().create_partitions(&[(own, workers)]).await? {
            raised?;
        }
    }
    Ok(())
}
