//! Making, changing, removing and listing topics.

use std::sync::Arc;

use klamm_protocol::api::create_partitions::{self, CreatePartitions};
use klamm_protocol::api::create_topics::{self, CreateTopics};
use klamm_protocol::api::delete_topics::{self, DeleteTopics};
use klamm_protocol::api::describe_topic_partitions::DescribeTopicPartitions;
use klamm_protocol::wire::{Str, Uuid};

use super::{Admin, Effect, Outcomes, topic_pages, unless_moved};
use crate::answer::Answer;
use crate::error::{Result, Subject};
use crate::metadata::Topic;

/// A topic to be made.
#[derive(Clone, Debug)]
pub struct NewTopic {
    name: Str,
    partitions: i32,
    replication: i16,
    configs: Vec<create_topics::Config>,
}

/// A topic that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id; zero where the broker does not say it.
    pub id: Uuid,
    /// How many partitions it has, where the broker says it.
    pub partitions: Option<i32>,
    /// How many replicas each has, where the broker says it.
    pub replication: Option<i16>,
}

impl NewTopic {
    /// A topic with the broker's defaults.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), partitions: -1, replication: -1, configs: Vec::new() }
    }

    /// With so many partitions.
    #[must_use]
    pub fn partitions(mut self, count: i32) -> Self {
        self.partitions = count;
        self
    }

    /// With so many replicas of each partition.
    #[must_use]
    pub fn replication(mut self, factor: i16) -> Self {
        self.replication = factor;
        self
    }

    /// With a setting of its own.
    #[must_use]
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.configs.push(create_topics::Config { name: name.into(), value: Some(value.into()) });
        self
    }

    fn to_wire(&self) -> create_topics::Topic {
        create_topics::Topic {
            name: self.name.clone(),
            num_partitions: self.partitions,
            replication_factor: self.replication,
            assignments: Vec::new(),
            configs: self.configs.clone(),
        }
    }
}

impl Admin {
    /// Makes topics.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may be carried out nevertheless, in whole or in part.
    pub async fn create_topics(&self, topics: &[NewTopic]) -> Result<Outcomes<Str, CreatedTopic>> {
        self.ask_to_create(topics, false).await
    }

    /// Says what making these topics would give, and makes none.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn validate_topics(
        &self,
        topics: &[NewTopic],
    ) -> Result<Outcomes<Str, CreatedTopic>> {
        self.ask_to_create(topics, true).await
    }

    async fn ask_to_create(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Outcomes<Str, CreatedTopic>> {
        let request = create_topics::Request {
            topics: topics.iter().map(NewTopic::to_wire).collect(),
            timeout_ms: self.timeout_ms(),
            validate_only,
        };
        self.retry(Effect::Changes, async || {
            let Answer { body, origin } =
                self.controller().await?.call::<CreateTopics>(&request).await?;
            let created = body.topics.into_iter().map(|topic| {
                let subject = Subject::Name(topic.name.clone());
                let outcome = origin.check(topic.error_code, topic.error_message, subject);
                let created = CreatedTopic {
                    id: topic.topic_id,
                    partitions: (topic.num_partitions >= 0).then_some(topic.num_partitions),
                    replication: (topic.replication_factor >= 0)
                        .then_some(topic.replication_factor),
                };
                (topic.name, outcome.map(|()| created))
            });
            unless_moved(topics.iter().map(|topic| &topic.name), created.collect())
        })
        .await
    }

    /// Removes topics and all their records.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may be carried out nevertheless, in whole or in part.
    pub async fn delete_topics(&self, names: &[Str]) -> Result<Outcomes<Str, ()>> {
        self.retry(Effect::Changes, async || {
            let controller = self.controller().await?;
            let version = controller.version::<DeleteTopics>(i16::MAX)?;
            let mut request =
                delete_topics::Request { timeout_ms: self.timeout_ms(), ..Default::default() };
            if version >= 6 {
                let by_name = |name: &Str| delete_topics::Topic {
                    name: Some(name.clone()),
                    topic_id: Uuid::ZERO,
                };
                request.topics = names.iter().map(by_name).collect();
            } else {
                request.topic_names = names.to_vec();
            }
            let pending = controller.submit::<DeleteTopics>(version, &request).await?;
            let Answer { body, origin } = pending.answer().await?;
            let deleted = body.topics.into_iter().map(|topic| {
                let name = topic.name.unwrap_or_default();
                let subject = Subject::Name(name.clone());
                (name, origin.check(topic.error_code, topic.error_message, subject))
            });
            unless_moved(names.iter(), deleted.collect())
        })
        .await
    }

    /// Gives topics more partitions: so many as a whole.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may be carried out nevertheless, in whole or in part.
    pub async fn create_partitions(&self, counts: &[(Str, i32)]) -> Result<Outcomes<Str, ()>> {
        let topic = |(name, count): &(Str, i32)| create_partitions::Topic {
            name: name.clone(),
            count: *count,
            assignments: None,
        };
        let request = create_partitions::Request {
            topics: counts.iter().map(topic).collect(),
            timeout_ms: self.timeout_ms(),
            validate_only: false,
        };
        self.retry(Effect::Changes, async || {
            let Answer { body, origin } =
                self.controller().await?.call::<CreatePartitions>(&request).await?;
            let grown = body.results.into_iter().map(|topic| {
                let subject = Subject::Name(topic.name.clone());
                (topic.name, origin.check(topic.error_code, topic.error_message, subject))
            });
            unless_moved(counts.iter().map(|(name, _)| name), grown.collect())
        })
        .await
    }

    /// All topics, in the order of their names.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn list_topics(&self) -> Result<Vec<Arc<Topic>>> {
        let (metadata, _) =
            self.retry(Effect::Reads, async || self.kafka.refresh(None).await).await?;
        Ok(metadata.topics().cloned().collect())
    }

    /// These topics, as they are now.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn describe_topics(&self, names: &[Str]) -> Result<Outcomes<Str, Arc<Topic>>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        self.retry(Effect::Reads, async || {
            let connection = self.kafka.any_broker().await?;
            if connection.version::<DescribeTopicPartitions>(i16::MAX).is_ok() {
                return topic_pages::describe(&connection, names).await;
            }
            let (_, topics) = self.kafka.refresh(Some(names)).await?;
            Ok(topics)
        })
        .await
    }
}
