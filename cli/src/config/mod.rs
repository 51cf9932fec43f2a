//! `klamm config`: settings of everything that has settings.

mod change;
mod get;
mod rows;

use clap::{Subcommand, ValueEnum};
use klamm_client::admin::{Admin, Resource};

use crate::failure::Failure;
use crate::output::OutputArgs;

pub(crate) use rows::ConfigRow;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show settings and where their values come from
    Get(get::Args),
    /// Give settings values
    Set(change::SetArgs),
    /// Take settings' own values away, so that the defaults hold
    Unset(change::UnsetArgs),
}

impl Command {
    pub(crate) fn output(&self) -> OutputArgs {
        match self {
            Self::Get(args) => args.output,
            Self::Set(args) => args.to.output,
            Self::Unset(args) => args.to.output,
        }
    }
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Get(args) => get::run(args).await,
        Command::Set(args) => change::set(args).await,
        Command::Unset(args) => change::unset(args).await,
    }
}

/// What has settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Topic,
    /// One broker, by node id
    Broker,
    /// What all brokers share; it has no name
    Cluster,
    Group,
    /// A subscription to the metrics of clients
    ClientMetrics,
}

impl Kind {
    /// Its name, as it is said on the command line.
    fn name(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Broker => "broker",
            Self::Cluster => "cluster",
            Self::Group => "group",
            Self::ClientMetrics => "client-metrics",
        }
    }

    /// The resource at the head of these words, and the words behind it.
    fn split(self, words: &[String]) -> Result<(Resource, &[String]), Failure> {
        if self == Self::Cluster {
            return Ok((Resource::AllBrokers, words));
        }
        let Some((name, rest)) = words.split_first() else {
            return Err(Failure::Usage(format!("which {}? say its name", self.name())));
        };
        Ok((self.resource(name)?, rest))
    }

    fn resource(self, name: &str) -> Result<Resource, Failure> {
        Ok(match self {
            Self::Topic => Resource::Topic(name.into()),
            Self::Cluster => Resource::AllBrokers,
            Self::Group => Resource::Group(name.into()),
            Self::ClientMetrics => Resource::ClientMetrics(name.into()),
            Self::Broker => {
                let id = name.parse();
                Resource::Broker(id.map_err(|_| {
                    Failure::Usage(format!("`{name}` is no broker: say its node id, or `cluster`"))
                })?)
            }
        })
    }
}

/// Fails if it is a broker that the cluster does not have: it would be looked for until the time
/// for an answer is over.
async fn check_broker(admin: &Admin, resource: &Resource) -> anyhow::Result<()> {
    let Resource::Broker(id) = resource else { return Ok(()) };
    let brokers = admin.describe_cluster().await?.brokers;
    if brokers.iter().any(|broker| broker.id == *id) {
        return Ok(());
    }
    let ids: Vec<_> = brokers.iter().map(|broker| broker.id.to_string()).collect();
    let message = format!("the cluster has no broker {id}; it has {}", ids.join(", "));
    Err(Failure::NotFound(message).into())
}

/// The name of a resource, as it is said on the command line.
fn name_of(resource: &Resource) -> String {
    match resource {
        Resource::Topic(name) | Resource::Group(name) | Resource::ClientMetrics(name) => {
            name.to_string()
        }
        Resource::Broker(id) => id.to_string(),
        _ => "cluster".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_stands_before_what_is_said_of_it() {
        let words = ["7", "a=b"].map(str::to_owned);
        let broker = Kind::Broker.split(&words).unwrap();
        assert_eq!(broker, (Resource::Broker(7), &words[1..]));
        assert_eq!(Kind::Cluster.split(&words).unwrap(), (Resource::AllBrokers, &words[..]));
        assert!(Kind::Topic.split(&[]).is_err());
        assert!(Kind::Broker.split(&words[1..]).is_err());
        for kind in Kind::value_variants() {
            assert_eq!(kind.to_possible_value().unwrap().get_name(), kind.name());
        }
    }
}
