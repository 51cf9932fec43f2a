//! Configurations of topics and brokers.

use std::collections::BTreeMap;

use klamm_protocol::api::describe_configs::{self, DescribeConfigs};
use klamm_protocol::api::incremental_alter_configs::{self, IncrementalAlterConfigs};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::{Admin, Effect, Outcomes};
use crate::connection::Connection;
use crate::error::{Error, Result, Subject};

/// What has a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// A topic.
    Topic(Str),
    /// A broker, by node id.
    Broker(i32),
    /// The settings that all brokers share.
    AllBrokers,
}

/// One setting of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name.
    pub name: Str,
    /// Its value; none where it is not set, or secret.
    pub value: Option<Str>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it can be changed while the broker runs.
    pub is_read_only: bool,
    /// Whether the value is kept secret.
    pub is_sensitive: bool,
}

/// Where the value of a setting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigSource {
    /// Set for this topic.
    Topic,
    /// Set for this broker while it ran.
    Broker,
    /// Set for all brokers while they ran.
    AllBrokers,
    /// In the file that the broker was started with.
    File,
    /// Nobody set it.
    Default,
    /// The broker does not say, or says something newer.
    Unknown,
}

/// A change of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Gives it this value.
    Set(Str, Str),
    /// Takes its own value away, so that the default holds.
    Delete(Str),
    /// Adds values to a list.
    Append(Str, Str),
    /// Takes values out of a list.
    Subtract(Str, Str),
}

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

impl Resource {
    fn to_wire(&self) -> (i8, Str) {
        match self {
            Self::Topic(name) => (TOPIC, name.clone()),
            Self::Broker(id) => (BROKER, id.to_string().into()),
            Self::AllBrokers => (BROKER, Str::default()),
        }
    }

    fn subject(&self) -> Subject {
        match self {
            Self::Topic(name) => Subject::Name(name.clone()),
            Self::Broker(id) => Subject::Broker(*id),
            Self::AllBrokers => Subject::Cluster,
        }
    }
}

impl ConfigSource {
    fn from_wire(source: i8) -> Self {
        match source {
            1 => Self::Topic,
            2 => Self::Broker,
            3 => Self::AllBrokers,
            4 => Self::File,
            5 => Self::Default,
            _ => Self::Unknown,
        }
    }
}

impl Change {
    fn to_wire(&self) -> incremental_alter_configs::Config {
        let (operation, name, value) = match self {
            Self::Set(name, value) => (0, name, Some(value)),
            Self::Delete(name) => (1, name, None),
            Self::Append(name, value) => (2, name, Some(value)),
            Self::Subtract(name, value) => (3, name, Some(value)),
        };
        incremental_alter_configs::Config {
            name: name.clone(),
            config_operation: operation,
            value: value.cloned(),
        }
    }
}

impl Admin {
    /// The settings of these resources, with the values in force.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn describe_configs(
        &self,
        resources: &[Resource],
    ) -> Result<Outcomes<Resource, Vec<ConfigEntry>>> {
        let mut outcomes = Vec::with_capacity(resources.len());
        for (node, resources) in by_broker(resources) {
            let resource = |(resource_type, resource_name)| describe_configs::Resource {
                resource_type,
                resource_name,
                configuration_keys: None,
            };
            let request = describe_configs::Request {
                resources: resources.iter().map(Resource::to_wire).map(resource).collect(),
                ..describe_configs::Request::default()
            };
            let attempt = async || self.reach(node).await?.call::<DescribeConfigs>(&request).await;
            let mut answers = self.retry(Effect::Reads, attempt).await?.results;
            for resource in resources {
                let about =
                    answers.iter().map(|answer| (answer.resource_type, &answer.resource_name));
                let place = place_of(&resource, about);
                let outcome = place.map(|place| answers.swap_remove(place)).and_then(|answer| {
                    Error::check(answer.error_code, answer.error_message, resource.subject())?;
                    Ok(answer.configs.into_iter().map(read_entry).collect())
                });
                outcomes.push((resource, outcome));
            }
        }
        Ok(outcomes)
    }

    /// Changes settings, and leaves all others as they are.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn incremental_alter_configs(
        &self,
        changes: &[(Resource, Vec<Change>)],
    ) -> Result<Outcomes<Resource, ()>> {
        let mut outcomes = Vec::with_capacity(changes.len());
        let resources: Vec<_> = changes.iter().map(|(resource, _)| resource.clone()).collect();
        for (node, resources) in by_broker(&resources) {
            let changed = |resource: &Resource| {
                let (resource_type, resource_name) = resource.to_wire();
                let its = changes.iter().filter(|(changed, _)| changed == resource);
                let configs = its.flat_map(|(_, changes)| changes).map(Change::to_wire).collect();
                incremental_alter_configs::Resource { resource_type, resource_name, configs }
            };
            let request = incremental_alter_configs::Request {
                resources: resources.iter().map(changed).collect(),
                validate_only: false,
            };
            let attempt =
                async || self.reach(node).await?.call::<IncrementalAlterConfigs>(&request).await;
            let mut answers = self.retry(Effect::Changes, attempt).await?.responses;
            for resource in resources {
                let about =
                    answers.iter().map(|answer| (answer.resource_type, &answer.resource_name));
                let place = place_of(&resource, about);
                let outcome = place.map(|place| answers.swap_remove(place)).and_then(|answer| {
                    Error::check(answer.error_code, answer.error_message, resource.subject())
                });
                outcomes.push((resource, outcome));
            }
        }
        Ok(outcomes)
    }

    /// The broker that a resource is asked of: itself, or the controller.
    async fn reach(&self, node: Option<i32>) -> Result<Connection> {
        match node {
            Some(node) => self.kafka.broker(node).await,
            None => self.controller().await,
        }
    }
}

/// Resources by the broker that must be asked: a broker knows itself best, any knows the rest.
fn by_broker(resources: &[Resource]) -> BTreeMap<Option<i32>, Vec<Resource>> {
    let mut asked = BTreeMap::<_, Vec<_>>::new();
    for resource in resources {
        let node = match resource {
            Resource::Broker(id) => Some(*id),
            Resource::Topic(_) | Resource::AllBrokers => None,
        };
        asked.entry(node).or_default().push(resource.clone());
    }
    asked
}

/// Which of the answers is about this resource.
fn place_of<'a>(
    resource: &Resource,
    mut answers: impl Iterator<Item = (i8, &'a Str)>,
) -> Result<usize> {
    let (kind, name) = resource.to_wire();
    answers.position(|about| about == (kind, &name)).ok_or_else(|| Error::Broker {
        code: ErrorCode::UNKNOWN_SERVER_ERROR,
        message: Some(Str::from_static("the broker says nothing about it")),
        subject: resource.subject(),
    })
}

fn read_entry(entry: describe_configs::ConfigAnswer) -> ConfigEntry {
    ConfigEntry {
        name: entry.name,
        value: entry.value,
        source: ConfigSource::from_wire(entry.config_source),
        is_read_only: entry.read_only,
        is_sensitive: entry.is_sensitive,
    }
}
