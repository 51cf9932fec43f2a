//! Topics that a service makes if they are not there.

use klamm_client::admin::NewTopic;
use klamm_client::{Kafka, Result};
use klamm_protocol::error_code::ErrorCode;

/// Makes those of the topics that are not there. Those that are stay as they are.
pub async fn create(kafka: &Kafka, topics: &[NewTopic]) -> Result<()> {
    for (_, created) in kafka.admin().create_topics(topics).await? {
        match created {
            Ok(_) => {}
            Err(error) if error.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
