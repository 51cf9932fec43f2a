//! Planning a change: what is asked for, and the records that bring it about. Pure.
//!
//! Refusals have the codes and the texts of Kafka 4.3.

use std::ops::Range;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};

use super::image::{Image, PartitionImage, TopicImage, config};
use super::names::{check_folder, check_topic_name, collision};
use super::records::{MetadataRecord, ProducerIdsRecord, RemoveTopicRecord, TopicRecord};
use super::resource::TOPIC;
use crate::config::{BrokerConfig, TopicOverrides};
use crate::topics::is_internal;

/// The most partitions that one change may make, as in Kafka.
const PARTITIONS_MAX: usize = 10_000;
/// Producer ids given out at a time, as in Kafka.
const PRODUCER_IDS: i64 = 1000;

/// Why a change is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The code for the answer.
    pub code: ErrorCode,
    /// The text for the answer.
    pub message: String,
}

impl Refusal {
    /// A refusal with this code and text.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// A topic that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: Str,
    /// How many partitions; -1 leaves it to the broker.
    pub partitions: i32,
    /// How many replicas of each; -1 leaves it to the broker.
    pub replication_factor: i16,
    /// The brokers of each partition, by index, where the asker says them. Counts are then -1.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Its settings.
    pub configs: Vec<(Str, Option<Str>)>,
}

impl NewTopic {
    /// A topic that leaves everything to the broker.
    #[must_use]
    pub fn named(name: Str) -> Self {
        Self { name, partitions: -1, replication_factor: -1, ..Self::default() }
    }
}

/// Plans one change: collects records, and shows what they amount to so far.
///
/// A method that refuses leaves the plan as it was, so that of several topics in one request some
/// may be made and others refused.
#[derive(Clone, Debug)]
pub struct Planner<'a> {
    pub(super) broker: &'a BrokerConfig,
    directory: Uuid,
    pub(super) image: Image,
    records: Vec<MetadataRecord>,
    partitions: usize,
}

impl<'a> Planner<'a> {
    pub(super) fn new(broker: &'a BrokerConfig, directory: Uuid, image: Image) -> Self {
        Self { broker, directory, image, records: Vec::new(), partitions: 0 }
    }

    /// Everything as it will be once the plan is carried out.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The settings of the broker that the change is planned for.
    #[must_use]
    pub fn broker(&self) -> &'a BrokerConfig {
        self.broker
    }

    pub(super) fn into_parts(self) -> (Image, Vec<MetadataRecord>) {
        (self.image, self.records)
    }

    /// Makes a topic with this id.
    ///
    /// # Errors
    /// The topic exists, its name or one of its settings is not allowed, or there are not as many
    /// brokers as are asked for.
    pub fn create_topic(&mut self, topic: &NewTopic, id: Uuid) -> Result<&TopicImage, Refusal> {
        let name = &topic.name;
        if name.as_str() == super::METADATA_TOPIC {
            let message = format!("Creation of internal topic {name} is prohibited.");
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        }
        check_topic_name(name)?;
        if self.image.topic(name).is_some() {
            let message = format!("Topic '{name}' already exists.");
            return Err(Refusal::new(ErrorCode::TOPIC_ALREADY_EXISTS, message));
        }
        if let Some(other) = collision(self.image.by_name(), name) {
            let message = format!("Topic '{name}' collides with existing topic: {other}");
            return Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, message));
        }
        let overrides = self.new_overrides(&topic.configs)?;
        let replicas = self.new_partitions(topic)?;
        self.count_partitions(replicas.len())?;

        let name = name.detached();
        self.push(MetadataRecord::Topic(TopicRecord { name: name.clone(), topic_id: id }));
        for (key, value) in overrides.iter() {
            self.push(config(TOPIC, &name, key, Some(value)));
        }
        self.push_partitions(id, 0, replicas);
        // The topic was put in above.
        let made = self.image.topic(&name).map(AsRef::as_ref);
        made.ok_or_else(|| Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR, ""))
    }

    /// Removes the topic of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn delete_topic(&mut self, name: &str) -> Result<Uuid, Refusal> {
        let id = self.topic(name)?.id;
        self.push(MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id }));
        Ok(id)
    }

    /// Removes the topic with this id.
    ///
    /// # Errors
    /// There is none.
    pub fn delete_topic_by_id(&mut self, id: Uuid) -> Result<Str, Refusal> {
        let Some(topic) = self.image.topic_by_id(id) else {
            let message = "This server does not host this topic ID.";
            return Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_ID, message));
        };
        let name = topic.name.clone();
        self.push(MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id }));
        Ok(name)
    }

    /// Gives a topic more partitions, so that it has `count`; `assignments` may say the brokers of
    /// each new one.
    ///
    /// # Errors
    /// There is no such topic, it would not get more partitions, or there are not as many brokers.
    pub fn create_partitions(
        &mut self,
        name: &str,
        count: i32,
        assignments: Option<&[Vec<i32>]>,
    ) -> Result<(), Refusal> {
        let topic = self.topic(name)?;
        let (id, present) = (topic.id, topic.partitions.len());
        let invalid = |message| Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, message));
        if is_internal(name) {
            return invalid(format!(
                "The partitions of {name} say what is kept where: their number stays as it is."
            ));
        }
        let wanted = usize::try_from(count).unwrap_or_default();
        if wanted == present {
            return invalid(format!("Topic already has {present} partition(s)."));
        }
        if wanted < present {
            return invalid(format!(
                "The topic {name} currently has {present} partition(s); {count} would not be an \
                 increase."
            ));
        }
        check_folder(name, wanted - 1)?;
        let more = wanted - present;
        let replicas = match assignments {
            None => {
                self.count_partitions(more)?;
                vec![vec![self.broker.node_id]; more]
            }
            Some(assignments) if assignments.len() != more => {
                let given = assignments.len();
                let message = format!(
                    "Attempted to add {more} additional partition(s), but only {given} \
                     assignment(s) were specified."
                );
                return Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
            }
            Some(assignments) => {
                assignments.iter().try_for_each(|replicas| self.check_assignment(replicas))?;
                self.count_partitions(more)?;
                assignments.to_vec()
            }
        };
        self.push_partitions(id, present, replicas);
        Ok(())
    }

    /// Gives out the next block of producer ids.
    pub(super) fn allocate_producer_ids(&mut self) -> Range<i64> {
        let first = self.image.next_producer_id();
        let next_producer_id = first.saturating_add(PRODUCER_IDS);
        self.push(MetadataRecord::ProducerIds(ProducerIdsRecord {
            broker_id: self.broker.node_id,
            next_producer_id,
            ..ProducerIdsRecord::default()
        }));
        first..next_producer_id
    }

    /// Adds a record to the plan, which has checked that it fits.
    pub(super) fn push(&mut self, record: MetadataRecord) {
        let applied = self.image.apply(&record);
        debug_assert_eq!(applied, Ok(()), "a plan fits the image it is made for");
        self.records.push(record);
    }

    fn topic(&self, name: &str) -> Result<&TopicImage, Refusal> {
        let found = self.image.topic(name).map(AsRef::as_ref);
        found.ok_or_else(|| {
            let message = "This server does not host this topic-partition.";
            Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message)
        })
    }

    fn new_overrides(&self, configs: &[(Str, Option<Str>)]) -> Result<TopicOverrides, Refusal> {
        let invalid = |message| Refusal::new(ErrorCode::INVALID_CONFIG, message);
        let nulls: Vec<_> =
            configs.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| &**key).collect();
        if !nulls.is_empty() {
            let keys = nulls.join(",");
            return Err(invalid(format!("Null value not supported for topic configs: {keys}")));
        }
        let set = configs
            .iter()
            .filter_map(|(key, value)| Some((key.to_string(), value.as_ref()?.to_string())));
        let overrides: TopicOverrides = set.collect();
        let checked = overrides.validate(&self.broker.layers);
        checked.map_err(|error| invalid(error.to_string()))?;
        Ok(overrides)
    }

    /// The replicas of each partition of a new topic.
    fn new_partitions(&self, topic: &NewTopic) -> Result<Vec<Vec<i32>>, Refusal> {
        if !topic.assignments.is_empty() {
            return self.assigned_partitions(topic);
        }
        let replicas = topic.replication_factor;
        if replicas < -1 || replicas == 0 {
            let message =
                "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(Refusal::new(ErrorCode::INVALID_REPLICATION_FACTOR, message));
        }
        if topic.partitions < -1 || topic.partitions == 0 {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, message));
        }
        let default = self.broker.default_replication_factor;
        let replicas = if replicas == -1 { default } else { replicas };
        if replicas > 1 {
            let message = format!(
                "Unable to replicate the partition {replicas} time(s): The target replication \
                 factor of {replicas} cannot be reached because only 1 broker(s) are registered \
                 or some brokers have all their log directories cordoned."
            );
            return Err(Refusal::new(ErrorCode::INVALID_REPLICATION_FACTOR, message));
        }
        let default = self.broker.default_partitions;
        let count = if topic.partitions == -1 { default } else { topic.partitions };
        let count = usize::try_from(count).unwrap_or_default();
        self.check_count(count)?;
        Ok(vec![vec![self.broker.node_id]; count])
    }

    fn assigned_partitions(&self, topic: &NewTopic) -> Result<Vec<Vec<i32>>, Refusal> {
        let unset = |what| {
            let message = format!(
                "A manual partition assignment was specified, but {what} was not set to -1."
            );
            Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
        };
        if topic.replication_factor != -1 {
            return unset("replication factor");
        }
        if topic.partitions != -1 {
            return unset("numPartitions");
        }
        let invalid =
            |message: String| Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        let mut assignments: Vec<_> = topic.assignments.iter().collect();
        assignments.sort_by_key(|(index, _)| *index);
        if let Some([(index, _), _]) = assignments.array_windows().find(|[one, two]| one.0 == two.0)
        {
            let what = "Found multiple manual partition assignments for partition";
            return invalid(format!("{what} {index}"));
        }
        for (_, replicas) in &assignments {
            self.check_assignment(replicas)?;
        }
        if !(0..).zip(&assignments).all(|(expected, (index, _))| expected == *index) {
            return invalid(
                "partitions should be a consecutive 0-based integer sequence".to_owned(),
            );
        }
        Ok(assignments.into_iter().map(|(_, replicas)| replicas.clone()).collect())
    }

    /// Says why a partition cannot be on these brokers: there is only this one.
    fn check_assignment(&self, replicas: &[i32]) -> Result<(), Refusal> {
        let node = self.broker.node_id;
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        let what = "The manual partition assignment includes";
        let message = if sorted.is_empty() {
            format!("{what} an empty replica list.")
        } else if let Some(other) = sorted.iter().find(|replica| **replica != node) {
            format!("{what} broker {other}, but no such broker is registered.")
        } else if sorted.len() > 1 {
            format!("{what} the broker {node} more than once.")
        } else {
            return Ok(());
        };
        Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message))
    }

    /// Refuses more partitions than one change may make.
    ///
    /// # Errors
    /// `POLICY_VIOLATION`.
    pub fn check_count(&self, more: usize) -> Result<(), Refusal> {
        if self.partitions.saturating_add(more) > PARTITIONS_MAX {
            let message = "Excessively large number of partitions per request.";
            return Err(Refusal::new(ErrorCode::POLICY_VIOLATION, message));
        }
        Ok(())
    }

    fn count_partitions(&mut self, more: usize) -> Result<(), Refusal> {
        self.check_count(more)?;
        self.partitions += more;
        Ok(())
    }

    fn push_partitions(&mut self, topic: Uuid, first: usize, replicas: Vec<Vec<i32>>) {
        // Counts are bounded by PARTITIONS_MAX a change.
        let first = i32::try_from(first).unwrap_or(i32::MAX);
        for (index, replicas) in (first..).zip(replicas) {
            let directories = vec![self.directory; replicas.len()];
            let (leader_epoch, partition_epoch) = (0, 0);
            let partition = PartitionImage { leader_epoch, partition_epoch, replicas, directories };
            self.push(partition.to_record(topic, index));
        }
    }
}
