//! Configurations of topics, brokers, groups and client metrics.

mod alter;
mod describe;

use std::collections::BTreeMap;

use klamm_protocol::api::list_config_resources::{self, ListConfigResources};
use klamm_protocol::wire::Str;

pub use alter::Change;
pub use describe::{ConfigEntry, ConfigSource, ConfigSynonym};

use super::{Admin, Effect, Outcomes, to_each};
use crate::answer::Origin;
use crate::connection::Connection;
use crate::error::{Result, Subject};
use crate::together::together;

/// What has a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Resource {
    /// A topic.
    Topic(Str),
    /// A broker, by node id.
    Broker(i32),
    /// The settings that all brokers share.
    AllBrokers,
    /// What a broker logs, by node id.
    BrokerLogger(i32),
    /// A subscription to the metrics of clients.
    ClientMetrics(Str),
    /// A consumer group.
    Group(Str),
}

/// A kind of [`Resource`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResourceKind {
    /// Topics.
    Topic,
    /// Brokers.
    Broker,
    /// What brokers log.
    BrokerLogger,
    /// Subscriptions to the metrics of clients.
    ClientMetrics,
    /// Consumer groups.
    Group,
}

impl ResourceKind {
    fn to_wire(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }
}

impl Resource {
    /// What kind of resource it is.
    #[must_use]
    pub fn kind(&self) -> ResourceKind {
        match self {
            Self::Topic(_) => ResourceKind::Topic,
            Self::Broker(_) | Self::AllBrokers => ResourceKind::Broker,
            Self::BrokerLogger(_) => ResourceKind::BrokerLogger,
            Self::ClientMetrics(_) => ResourceKind::ClientMetrics,
            Self::Group(_) => ResourceKind::Group,
        }
    }

    fn to_wire(&self) -> (i8, Str) {
        let name = match self {
            Self::Topic(name) | Self::ClientMetrics(name) | Self::Group(name) => name.clone(),
            Self::Broker(id) | Self::BrokerLogger(id) => id.to_string().into(),
            Self::AllBrokers => Str::default(),
        };
        (self.kind().to_wire(), name)
    }

    /// None for a kind that this client does not know, and for a broker without a node id.
    fn from_wire(kind: i8, name: Str) -> Option<Self> {
        Some(match kind {
            2 => Self::Topic(name),
            4 if name.is_empty() => Self::AllBrokers,
            4 => Self::Broker(name.parse().ok()?),
            8 => Self::BrokerLogger(name.parse().ok()?),
            16 => Self::ClientMetrics(name),
            32 => Self::Group(name),
            _ => return None,
        })
    }

    fn subject(&self) -> Subject {
        match self {
            Self::Topic(name) | Self::ClientMetrics(name) | Self::Group(name) => {
                Subject::Name(name.clone())
            }
            Self::Broker(id) | Self::BrokerLogger(id) => Subject::Broker(*id),
            Self::AllBrokers => Subject::Cluster,
        }
    }
}

impl Admin {
    /// All resources of these kinds that are there, or of every kind where none is named. Groups
    /// and client metrics are there once they have settings.
    ///
    /// # Errors
    /// No broker answers. Brokers before Kafka 4.1 know of client metrics alone.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn list_config_resources(&self, kinds: &[ResourceKind]) -> Result<Vec<Resource>> {
        let answer = self
            .retry(Effect::Reads, async || {
                let connection = self.kafka.any_broker().await?;
                let version = connection.version::<ListConfigResources>(i16::MAX)?;
                let mut resource_types: Vec<_> = kinds.iter().map(|kind| kind.to_wire()).collect();
                if version == 0 && kinds == [ResourceKind::ClientMetrics] {
                    // The first version asks for nothing else.
                    resource_types.clear();
                }
                let request = list_config_resources::Request { resource_types };
                let pending = connection.submit::<ListConfigResources>(version, &request).await?;
                let answer = pending.answer().await?;
                answer.origin.check(answer.body.error_code, None, Subject::Cluster)?;
                Ok(answer.body)
            })
            .await?;
        let resources = answer.config_resources.into_iter().filter_map(|resource| {
            Resource::from_wire(resource.resource_type, resource.resource_name)
        });
        Ok(resources.collect())
    }

    /// Asks each broker about the resources that it must be asked for, side by side. Where one gives
    /// no answer, that is the outcome of its own resources alone.
    async fn of_resources<'a, T, F: Future<Output = Result<Outcomes<Resource, T>>>>(
        &self,
        resources: impl Iterator<Item = &'a Resource>,
        effect: Effect,
        ask: impl Fn(Option<i32>, Vec<Resource>) -> F,
    ) -> Outcomes<Resource, T> {
        let asked = by_broker(resources).into_iter().map(async |(node, resources)| {
            let told = self.retry(effect, || ask(node, resources.clone())).await;
            to_each(resources, told)
        });
        together(asked).await.into_iter().flatten().collect()
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
fn by_broker<'a>(
    resources: impl Iterator<Item = &'a Resource>,
) -> BTreeMap<Option<i32>, Vec<Resource>> {
    let mut asked = BTreeMap::<_, Vec<_>>::new();
    for resource in resources {
        let node = match resource {
            Resource::Broker(id) | Resource::BrokerLogger(id) => Some(*id),
            _ => None,
        };
        asked.entry(node).or_default().push(resource.clone());
    }
    asked
}

/// Which of the answers is about this resource.
fn place_of<'a>(
    resource: &Resource,
    mut answers: impl Iterator<Item = (i8, &'a Str)>,
    origin: &Origin,
) -> Result<usize> {
    let (kind, name) = resource.to_wire();
    let place = answers.position(|about| about == (kind, &name));
    place.ok_or_else(|| origin.unanswered(resource.subject()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientConfig, Kafka, fake};
    use klamm_protocol::api::describe_configs::{self, DescribeConfigs};
    use klamm_protocol::api::incremental_alter_configs::{self, IncrementalAlterConfigs};
    use klamm_protocol::api::metadata::Metadata;
    use klamm_protocol::declare::Api as _;
    use std::time::Duration;

    #[tokio::test]
    async fn what_one_broker_cannot_do_leaves_what_others_did() {
        let (resource_type, resource_name) = Resource::Topic("a".into()).to_wire();
        let described = describe_configs::ResourceAnswer {
            resource_type,
            resource_name: resource_name.clone(),
            ..Default::default()
        };
        let altered = incremental_alter_configs::ResourceAnswer {
            resource_type,
            resource_name,
            ..Default::default()
        };
        let described =
            describe_configs::Response { results: vec![described], ..Default::default() };
        let altered =
            incremental_alter_configs::Response { responses: vec![altered], ..Default::default() };
        let keys = [Metadata::KEY, DescribeConfigs::KEY, IncrementalAlterConfigs::KEY];
        let address = fake::broker(move |asked| {
            Some(match asked.api_key {
                Metadata::KEY => fake::metadata(asked, &[&asked.address], 0),
                DescribeConfigs::KEY => fake::answer::<DescribeConfigs>(asked, &described),
                IncrementalAlterConfigs::KEY => {
                    fake::answer::<IncrementalAlterConfigs>(asked, &altered)
                }
                _ => fake::versions(asked, &keys.map(|key| (key, 1))),
            })
        });
        let kafka = Kafka::connect(ClientConfig::new(&address.await)).await.unwrap();
        let admin = kafka.admin().with_timeout(Duration::from_millis(500));
        let resources = [Resource::Topic("a".into()), Resource::Broker(7)];
        let told = admin.describe_configs(&resources).await.unwrap();
        assert!(matches!(&told[..], [(_, Ok(_)), (_, Err(_))]), "{told:?}");
        let changes = resources.map(|resource| (resource, Vec::new()));
        let told = admin.incremental_alter_configs(&changes).await.unwrap();
        assert!(matches!(&told[..], [(_, Ok(())), (_, Err(_))]), "{told:?}");
    }

    #[test]
    fn a_resource_survives_the_wire() {
        for resource in [
            Resource::Topic("a".into()),
            Resource::Broker(7),
            Resource::AllBrokers,
            Resource::BrokerLogger(0),
            Resource::ClientMetrics("a".into()),
            Resource::Group("a".into()),
        ] {
            let (kind, name) = resource.to_wire();
            assert_eq!(Resource::from_wire(kind, name), Some(resource));
        }
        assert_eq!(Resource::from_wire(4, "one".into()), None);
        assert_eq!(Resource::from_wire(99, "a".into()), None);
    }
}
