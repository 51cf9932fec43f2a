//! `klamm config get`.

use klamm_client::admin::{Admin, Resource, ResourceKind};
use serde::Serialize;

use super::{ConfigRow, Kind, check_broker, name_of};
use crate::connect::ConnectArgs;
use crate::failure::Failure;
use crate::output::{OutputArgs, Row, Stdout};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  klamm config get topic orders
  klamm config get topic orders retention.ms --explain
  klamm config get broker 1 --all
  klamm config get cluster
  klamm config get group")]
pub(crate) struct Args {
    /// What has the settings
    #[arg(value_enum)]
    kind: Kind,
    /// Its name, and the settings to show; without a name, all of that kind
    #[arg(value_name = "NAME [KEY...]")]
    words: Vec<String>,
    /// Show everything that is in force; without it, what nobody set is left out
    #[arg(short, long)]
    all: bool,
    /// Say what each setting does, and what would hold otherwise
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Described {
    resource: &'static str,
    name: String,
    configs: Vec<ConfigRow>,
}

impl Row for Described {
    const HEADINGS: &'static [&'static str] = &["NAME"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = args.connection.connect().await?.admin();
    let (resources, keys) = if args.words.is_empty() && args.kind != Kind::Cluster {
        (all(&admin, args.kind).await?, [].as_slice())
    } else {
        let (resource, keys) = args.kind.split(&args.words)?;
        check_broker(&admin, &resource).await?;
        (vec![resource], keys)
    };
    let outcomes = if args.explain {
        admin.explain_configs(&resources).await?
    } else {
        admin.describe_configs(&resources).await?
    };
    let (mut described, mut failures, of) = (Vec::new(), Vec::new(), outcomes.len());
    for (resource, outcome) in outcomes {
        match outcome {
            Ok(entries) => {
                let configs = entries.into_iter().map(ConfigRow::new).collect();
                described.push(args.choose(&resource, configs, keys)?);
            }
            Err(error) => failures.push((name_of(&resource), error)),
        }
    }
    args.output.print_as(&described, |stdout, described| args.print(stdout, described))?;
    Ok(Failure::unless_all(failures, of)?)
}

/// Everything of this kind that has settings.
async fn all(admin: &Admin, kind: Kind) -> anyhow::Result<Vec<Resource>> {
    let kind = match kind {
        Kind::Topic => {
            let topics = admin.list_topics().await?;
            let names = topics.iter().filter(|topic| !topic.is_internal);
            return Ok(names.map(|topic| Resource::Topic(topic.name.clone())).collect());
        }
        Kind::Broker => {
            let brokers = admin.describe_cluster().await?.brokers;
            return Ok(brokers.iter().map(|broker| Resource::Broker(broker.id)).collect());
        }
        Kind::Cluster => return Ok(vec![Resource::AllBrokers]),
        Kind::Group => ResourceKind::Group,
        Kind::ClientMetrics => ResourceKind::ClientMetrics,
    };
    Ok(admin.list_config_resources(&[kind]).await?)
}

impl Args {
    /// The settings that were asked for.
    fn choose(
        &self,
        resource: &Resource,
        mut configs: Vec<ConfigRow>,
        keys: &[String],
    ) -> Result<Described, Failure> {
        let name = name_of(resource);
        if let Some(key) = keys.iter().find(|key| configs.iter().all(|row| row.name != **key)) {
            let message = format!("{} {name} has no setting `{key}`", self.kind.name());
            return Err(Failure::NotFound(message));
        }
        let of_a_broker = matches!(self.kind, Kind::Broker | Kind::Cluster);
        configs.retain(|row| match keys {
            [] => self.all || row.is_own(of_a_broker),
            keys => keys.contains(&row.name),
        });
        configs.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Described { resource: self.kind.name(), name, configs })
    }

    fn print(&self, stdout: &mut Stdout, described: &[Described]) {
        for (place, resource) in described.iter().enumerate() {
            if place > 0 {
                stdout.text("\n");
            }
            if described.len() > 1 {
                stdout.text(&format!("{} {}\n", resource.resource, resource.name));
            }
            if self.explain {
                resource.configs.iter().for_each(|row| stdout.text(&row.explanation()));
            } else {
                stdout.text(&self.output.columns(&resource.configs));
            }
        }
    }
}
