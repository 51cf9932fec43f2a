//! `klamm topic alter`.

use std::collections::{HashMap, HashSet};

use klamm_client::Error as ClientError;
use klamm_client::admin::{Admin, Change, Resource};
use klamm_protocol::wire::Str;

use crate::connect::{ConnectArgs, pair};
use crate::failure::Failure;
use crate::outcome::{note, settle_parts};
use crate::output::OutputArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Their names
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// How many partitions each shall have as a whole; it can only become more
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Give a setting this value
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = pair)]
    configs: Vec<(String, String)>,
    /// Take a setting's own value away, so that the default holds
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    /// Add to a setting that is a list
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    append: Vec<(String, String)>,
    /// Take out of a setting that is a list
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    subtract: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let changes = args.changes();
    if changes.is_empty() && args.partitions.is_none() {
        let asked =
            "nothing to change: say --partitions, --config, --unset, --append or --subtract";
        return Err(Failure::Usage(asked.into()).into());
    }
    let topics = args.topics();
    let admin = args.connection.connect().await?.admin();
    let mut failed = HashMap::new();
    if !changes.is_empty() {
        for (topic, error) in alter_settings(&admin, &topics, &changes).await? {
            failed.insert(topic, ("failed", error));
        }
    }
    if let Some(count) = args.partitions {
        let rest: Vec<_> = topics.iter().filter(|topic| !failed.contains_key(*topic)).collect();
        let is_set = !changes.is_empty();
        for (topic, error) in grow(&admin, &rest, count).await {
            if is_set {
                note(args.output.errors(), &format!("the settings of {topic} are changed"));
            }
            failed.insert(topic, (if is_set { "set" } else { "failed" }, error));
        }
    }
    let done = topics.iter().map(|topic| match failed.remove(topic) {
        None => (topic.to_string(), "altered", None),
        Some((status, error)) => (topic.to_string(), status, Some(error)),
    });
    settle_parts("topic", done.collect(), args.output)
}

/// Makes the changes for every topic, and gives those that failed.
async fn alter_settings(
    admin: &Admin,
    topics: &[Str],
    changes: &[Change],
) -> anyhow::Result<Vec<(Str, ClientError)>> {
    let resource = |topic: &Str| (Resource::Topic(topic.clone()), changes.to_vec());
    let resources: Vec<_> = topics.iter().map(resource).collect();
    let outcomes = admin.incremental_alter_configs(&resources).await?;
    let failed = outcomes.into_iter().filter_map(|(resource, outcome)| match resource {
        Resource::Topic(topic) => Some((topic, outcome.err()?)),
        _ => None,
    });
    Ok(failed.collect())
}

/// Gives every topic so many partitions, and gives those that failed.
async fn grow(admin: &Admin, topics: &[&Str], count: i32) -> Vec<(Str, ClientError)> {
    let counts: Vec<_> = topics.iter().map(|topic| (Str::clone(topic), count)).collect();
    if counts.is_empty() {
        return Vec::new();
    }
    match admin.create_partitions(&counts).await {
        Ok(outcomes) => {
            let failed = |(topic, outcome): (Str, Result<(), _>)| Some((topic, outcome.err()?));
            outcomes.into_iter().filter_map(failed).collect()
        }
        // What was done before is to be told nevertheless.
        Err(error) => counts.into_iter().map(|(topic, _)| (topic, error.clone())).collect(),
    }
}

impl Args {
    /// The topics that were named, each once.
    fn topics(&self) -> Vec<Str> {
        let mut named = HashSet::new();
        let topics = self.topics.iter().filter(|topic| named.insert(topic.as_str()));
        topics.map(|topic| topic.as_str().into()).collect()
    }

    fn changes(&self) -> Vec<Change> {
        let with_value = |make: fn(Str, Str) -> Change, pairs: &[(String, String)]| {
            let change = |(name, value): &(String, String)| {
                make(name.as_str().into(), value.as_str().into())
            };
            pairs.iter().map(change).collect::<Vec<_>>()
        };
        let mut changes = with_value(Change::Set, &self.configs);
        changes.extend(self.unset.iter().map(|name| Change::Delete(name.as_str().into())));
        changes.extend(with_value(Change::Append, &self.append));
        changes.extend(with_value(Change::Subtract, &self.subtract));
        changes
    }
}
