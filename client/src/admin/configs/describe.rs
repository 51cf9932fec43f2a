//! What the settings of a resource are, and where their values come from.

use klamm_protocol::api::describe_configs::{self, DescribeConfigs};
use klamm_protocol::wire::Str;

use super::{Resource, place_of};
use crate::admin::{Admin, Effect, Outcomes};
use crate::answer::Answer;
use crate::error::Result;

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
    /// Where the value could come from, the one in force first. Empty unless it was asked for.
    pub synonyms: Vec<ConfigSynonym>,
    /// What the setting does. None unless it was asked for, and the broker says it.
    pub documentation: Option<Str>,
}

/// A value that a setting has, or would have without the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The setting that gives the value: a topic's defaults have names of their own.
    pub name: Str,
    /// The value; none where it is secret.
    pub value: Option<Str>,
    /// Where it is set.
    pub source: ConfigSource,
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
    /// Set for what this broker logs.
    BrokerLogger,
    /// Set for this subscription to client metrics.
    ClientMetrics,
    /// Set for this group.
    Group,
    /// The broker does not say, or says something newer.
    Unknown,
}

impl ConfigSource {
    fn from_wire(source: i8) -> Self {
        match source {
            1 => Self::Topic,
            2 => Self::Broker,
            3 => Self::AllBrokers,
            4 => Self::File,
            5 => Self::Default,
            6 => Self::BrokerLogger,
            7 => Self::ClientMetrics,
            8 => Self::Group,
            _ => Self::Unknown,
        }
    }
}

impl Admin {
    /// The settings of these resources, with the values in force.
    ///
    /// # Errors
    /// None: what a broker cannot tell is told beside the resource.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn describe_configs(
        &self,
        resources: &[Resource],
    ) -> Result<Outcomes<Resource, Vec<ConfigEntry>>> {
        self.ask_for_configs(resources, false).await
    }

    /// The settings of these resources, each with its synonyms and its documentation.
    ///
    /// # Errors
    /// None: what a broker cannot tell is told beside the resource.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn explain_configs(
        &self,
        resources: &[Resource],
    ) -> Result<Outcomes<Resource, Vec<ConfigEntry>>> {
        self.ask_for_configs(resources, true).await
    }

    async fn ask_for_configs(
        &self,
        resources: &[Resource],
        explained: bool,
    ) -> Result<Outcomes<Resource, Vec<ConfigEntry>>> {
        let resource = |(resource_type, resource_name)| describe_configs::Resource {
            resource_type,
            resource_name,
            configuration_keys: None,
        };
        let describe = async |node, resources: Vec<Resource>| {
            let connection = self.reach(node).await?;
            let version = connection.version::<DescribeConfigs>(i16::MAX)?;
            let request = describe_configs::Request {
                resources: resources.iter().map(Resource::to_wire).map(resource).collect(),
                // Older brokers cannot explain.
                include_synonyms: explained && version >= 1,
                include_documentation: explained && version >= 3,
            };
            let pending = connection.submit::<DescribeConfigs>(version, &request).await?;
            Ok(read_answer(pending.answer().await?, resources))
        };
        Ok(self.of_resources(resources.iter(), Effect::Reads, describe).await)
    }
}

fn read_answer(
    Answer { body, origin }: Answer<describe_configs::Response>,
    resources: Vec<Resource>,
) -> Outcomes<Resource, Vec<ConfigEntry>> {
    let mut answers = body.results;
    let outcome = |resource: Resource| {
        let about = answers.iter().map(|answer| (answer.resource_type, &answer.resource_name));
        let place = place_of(&resource, about, &origin);
        let outcome = place.map(|place| answers.swap_remove(place)).and_then(|answer| {
            origin.check(answer.error_code, answer.error_message, resource.subject())?;
            Ok(answer.configs.into_iter().map(read_entry).collect())
        });
        (resource, outcome)
    };
    resources.into_iter().map(outcome).collect()
}

fn read_entry(entry: describe_configs::ConfigAnswer) -> ConfigEntry {
    let synonym = |synonym: describe_configs::Synonym| ConfigSynonym {
        name: synonym.name,
        value: synonym.value,
        source: ConfigSource::from_wire(synonym.source),
    };
    ConfigEntry {
        name: entry.name,
        value: entry.value,
        source: if entry.is_default {
            ConfigSource::Default
        } else {
            ConfigSource::from_wire(entry.config_source)
        },
        is_read_only: entry.read_only,
        is_sensitive: entry.is_sensitive,
        synonyms: entry.synonyms.into_iter().map(synonym).collect(),
        documentation: entry.documentation,
    }
}
