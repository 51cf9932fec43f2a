//! The topics, and the way to the broker.

use std::time::Duration;

use klamm_client::admin::NewTopic;
use klamm_client::{ClientConfig, Kafka, Result};

use crate::wire::{CHANGES, DEAD_LETTERS, TOPIC};

/// Partitions of the topic of messages, if nothing else is said.
pub const PARTITIONS: i32 = 12;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// For so long the log tells of a message. Who has written nothing for longer is forgotten, and all
/// that waits from them.
pub(crate) const RETENTION: Duration = Duration::from_secs(7 * DAY.as_secs());
const DEAD_LETTERS_RETENTION: Duration = Duration::from_secs(30 * DAY.as_secs());
const CHANGES_RETENTION: Duration = Duration::from_secs(60 * 60);

pub(crate) async fn connect(address: &str) -> Result<Kafka> {
    Kafka::connect(ClientConfig::new(address).client_id("unsent")).await
}

/// Makes the topics that are not there.
pub async fn create(kafka: &Kafka, partitions: i32) -> Result<()> {
    let topic = |name: &str, partitions, retention: Duration| {
        let retention_ms = retention.as_millis().to_string();
        NewTopic::new(name).partitions(partitions).config("retention.ms", &retention_ms)
    };
    let topics = [
        topic(TOPIC, partitions, RETENTION),
        topic(DEAD_LETTERS, 1, DEAD_LETTERS_RETENTION),
        topic(CHANGES, partitions, CHANGES_RETENTION),
    ];
    common::topics::create(kafka, &topics).await
}
