//! What the records of the metadata log amount to. Pure: no clock, no disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use klamm_protocol::wire::{Str, Uuid};

use super::records::{
    ConfigRecord, FeatureLevelRecord, MetadataRecord, PartitionRecord, ProducerIdsRecord,
    TopicRecord,
};
use super::resource::{BROKER, CLIENT_METRICS, GROUP, Resource, TOPIC};
use crate::config::{TopicOverrides, Values};

/// A partition, as it is planned. Its records and offsets are elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionImage {
    /// Raised whenever the leader changes.
    pub leader_epoch: i32,
    /// Raised whenever anything about the partition changes.
    pub partition_epoch: i32,
    /// The brokers that hold it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// The data folder of each replica.
    pub directories: Vec<Uuid>,
}

/// A topic, as it is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicImage {
    /// Its name.
    pub name: Str,
    /// Its id: another one each time a topic of this name is made.
    pub id: Uuid,
    /// Its partitions, by index.
    pub partitions: Vec<PartitionImage>,
    /// What was set on it.
    pub overrides: TopicOverrides,
}

/// All topics and settings at one offset of the metadata log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    topics: BTreeMap<Str, Arc<TopicImage>>,
    names: BTreeMap<Uuid, Str>,
    /// What was set on others than topics, by kind and name. Nothing empty is kept.
    settings: BTreeMap<i8, BTreeMap<Str, Values>>,
    features: BTreeMap<Str, i16>,
    next_producer_id: i64,
}

/// Why a record does not fit those before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// There is no such topic.
    #[error("topic {0} does not exist")]
    NoTopic(String),
    /// There is one of that name or id.
    #[error("topic {0} exists already")]
    TopicExists(Str),
    /// Partitions come one after the other.
    #[error("partition {index} of topic {topic} is not the next one")]
    Partition {
        /// The topic.
        topic: Str,
        /// The partition.
        index: i32,
    },
    /// Nothing that is known to have settings.
    #[error("settings of resource type {0} are not known")]
    Resource(i8),
}

impl Image {
    /// The topic of this name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(name)
    }

    /// The topic with this id.
    #[must_use]
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<TopicImage>> {
        self.topic(self.names.get(&id)?)
    }

    /// Every topic, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicImage>> + Clone {
        self.topics.values()
    }

    pub(super) fn by_name(&self) -> &BTreeMap<Str, Arc<TopicImage>> {
        &self.topics
    }

    /// What was set; nothing on a topic that does not exist.
    #[must_use]
    pub fn settings(&self, resource: &Resource) -> &Values {
        static NONE: Values = Values::new();
        let set = match resource {
            Resource::Topic(name) => self.topic(name).map(|topic| topic.overrides.values()),
            other => self.settings.get(&other.kind()).and_then(|named| named.get(&*other.name())),
        };
        set.unwrap_or(&NONE)
    }

    /// The names of everything of this kind, other than topics, on which something was set.
    pub fn names_with_settings(&self, kind: i8) -> impl Iterator<Item = &Str> {
        self.settings.get(&kind).into_iter().flat_map(BTreeMap::keys)
    }

    /// Whether brokers have the same settings in both.
    pub(super) fn has_same_broker_settings(&self, other: &Self) -> bool {
        self.settings.get(&BROKER) == other.settings.get(&BROKER)
    }

    /// The first producer id that was never given out.
    #[must_use]
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// Whether no record was ever applied.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self == &Self::default()
    }

    /// Takes a record in.
    ///
    /// # Errors
    /// The record does not fit; the image is as before.
    pub fn apply(&mut self, record: &MetadataRecord) -> Result<(), ApplyError> {
        match record {
            MetadataRecord::Topic(record) => self.add_topic(record),
            MetadataRecord::Partition(record) => self.set_partition(record),
            MetadataRecord::RemoveTopic(record) => {
                let id = record.topic_id;
                let no_topic = || ApplyError::NoTopic(id.to_string());
                let name = self.names.remove(&id).ok_or_else(no_topic)?;
                self.topics.remove(&name);
                Ok(())
            }
            MetadataRecord::Config(record) => self.set_config(record),
            MetadataRecord::ProducerIds(record) => {
                self.next_producer_id = self.next_producer_id.max(record.next_producer_id);
                Ok(())
            }
            MetadataRecord::FeatureLevel(record) => {
                self.features.insert(record.name.detached(), record.feature_level);
                Ok(())
            }
        }
    }

    /// Records that make this image out of an empty one.
    #[must_use]
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let feature = |(name, level): (&Str, &i16)| {
            MetadataRecord::FeatureLevel(FeatureLevelRecord {
                name: name.clone(),
                feature_level: *level,
            })
        };
        let mut records: Vec<_> = self.features.iter().map(feature).collect();
        for topic in self.topics() {
            records.push(topic.to_record());
            records.extend(
                topic
                    .overrides
                    .iter()
                    .map(|(name, value)| config(TOPIC, &topic.name, name, Some(value))),
            );
            records.extend(
                (0..)
                    .zip(&topic.partitions)
                    .map(|(index, partition)| partition.to_record(topic.id, index)),
            );
        }
        for (kind, named) in &self.settings {
            for (resource, values) in named {
                let record =
                    |(name, value): (&String, &String)| config(*kind, resource, name, Some(value));
                records.extend(values.iter().map(record));
            }
        }
        if self.next_producer_id > 0 {
            records.push(MetadataRecord::ProducerIds(ProducerIdsRecord {
                next_producer_id: self.next_producer_id,
                ..ProducerIdsRecord::default()
            }));
        }
        records
    }

    fn add_topic(&mut self, record: &TopicRecord) -> Result<(), ApplyError> {
        let (name, id) = (record.name.detached(), record.topic_id);
        if self.topics.contains_key(&name) || self.names.contains_key(&id) {
            return Err(ApplyError::TopicExists(name));
        }
        let (partitions, overrides) = (Vec::new(), TopicOverrides::default());
        let topic = TopicImage { name: name.clone(), id, partitions, overrides };
        self.topics.insert(name.clone(), Arc::new(topic));
        self.names.insert(id, name);
        Ok(())
    }

    fn set_partition(&mut self, record: &PartitionRecord) -> Result<(), ApplyError> {
        let no_topic = || ApplyError::NoTopic(record.topic_id.to_string());
        let name = self.names.get(&record.topic_id).ok_or_else(no_topic)?;
        let topic = Arc::make_mut(self.topics.get_mut(name).ok_or_else(no_topic)?);
        let partition = PartitionImage {
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            replicas: record.replicas.clone(),
            directories: record.directories.clone(),
        };
        let index = record.partition_id;
        let place = usize::try_from(index).ok().filter(|it| *it <= topic.partitions.len());
        let place = place.ok_or(ApplyError::Partition { topic: topic.name.clone(), index })?;
        match topic.partitions.get_mut(place) {
            Some(known) => *known = partition,
            None => topic.partitions.push(partition),
        }
        Ok(())
    }

    fn set_config(&mut self, record: &ConfigRecord) -> Result<(), ApplyError> {
        let resource = &record.resource_name;
        match (record.resource_type, &record.value) {
            (TOPIC, value) => {
                let no_topic = || ApplyError::NoTopic(resource.to_string());
                let topic = self.topics.get_mut(resource.as_str()).ok_or_else(no_topic)?;
                let overrides = &mut Arc::make_mut(topic).overrides;
                match value {
                    Some(value) => overrides.set(record.name.as_str(), value.as_str()),
                    None => overrides.unset(&record.name),
                }
            }
            (kind @ (BROKER | CLIENT_METRICS | GROUP), Some(value)) => {
                let named = self.settings.entry(kind).or_default();
                let values = named.entry(resource.detached()).or_default();
                values.insert(record.name.to_string(), value.to_string());
            }
            (kind @ (BROKER | CLIENT_METRICS | GROUP), None) => {
                self.unset_config(kind, resource, &record.name);
            }
            (other, _) => return Err(ApplyError::Resource(other)),
        }
        Ok(())
    }

    fn unset_config(&mut self, kind: i8, resource: &str, name: &str) {
        let Some(named) = self.settings.get_mut(&kind) else { return };
        let Some(values) = named.get_mut(resource) else { return };
        values.remove(name);
        if values.is_empty() {
            named.remove(resource);
        }
        if named.is_empty() {
            self.settings.remove(&kind);
        }
    }
}

impl TopicImage {
    fn to_record(&self) -> MetadataRecord {
        MetadataRecord::Topic(TopicRecord { name: self.name.clone(), topic_id: self.id })
    }
}

impl PartitionImage {
    /// The record that says this of a partition. All replicas are in sync: there is no other way
    /// to be one here.
    pub(super) fn to_record(&self, topic_id: Uuid, index: i32) -> MetadataRecord {
        MetadataRecord::Partition(PartitionRecord {
            partition_id: index,
            topic_id,
            replicas: self.replicas.clone(),
            isr: self.replicas.clone(),
            leader: self.replicas.first().copied().unwrap_or(-1),
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: self.directories.clone(),
            ..PartitionRecord::default()
        })
    }
}

/// The record that sets or, without a value, unsets a key.
pub(super) fn config(kind: i8, resource: &Str, name: &str, value: Option<&str>) -> MetadataRecord {
    MetadataRecord::Config(ConfigRecord {
        resource_type: kind,
        resource_name: resource.clone(),
        name: name.into(),
        value: value.map(Into::into),
    })
}
