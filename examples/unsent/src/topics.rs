//! The topics, and the way to the broker.

use klamm_client::admin::NewTopic;
use klamm_client::{ClientConfig, Kafka, Result};

use crate::wire::{CHANGES, DEAD_LETTERS, TOPIC};

/// Partitions of the topic of messages, if nothing else is said.
pub const PARTITIONS: i32 = 12;

/// For how long a message waits at most: seven days.
const RETENTION_MS: &str = "604800000";
const DEAD_LETTERS_RETENTION_MS: &str = "2592000000";
const CHANGES_RETENTION_MS: &str = "3600000";

pub(crate) async fn connect(address: &str) -> Result<Kafka> {
    Kafka::connect(ClientConfig::new(address).client_id("unsent")).await
}

/// Makes the topics that are not there.
pub async fn create(kafka: &Kafka, partitions: i32) -> Result<()> {
    let topic = |name: &str, partitions, retention_ms: &str| {
        NewTopic::new(name).partitions(partitions).config("retention.ms", retention_ms)
    };
    let topics = [
        topic(TOPIC, partitions, RETENTION_MS),
        topic(DEAD_LETTERS, 1, DEAD_LETTERS_RETENTION_MS),
        topic(CHANGES, partitions, CHANGES_RETENTION_MS),
    ];
    common::topics::create(kafka, &topics).await
}
