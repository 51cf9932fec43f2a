//! `klamm topic alter`.

use std::collections::HashMap;

use klamm_client::Error as ClientError;
use klamm_client::admin::{Admin, Change, Resource};
use klamm_protocol::wire::Str;

use crate::connect::{ConnectArgs, pair};
use crate::failure::Failure;
use crate::outcome::settle;
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
    let admin = args.connection.connect().await?.admin();
    let mut failed = HashMap::new();
    if !changes.is_empty() {
        failed.extend(alter_settings(&admin, &args.topics, &changes).await?);
    }
    if let Some(count) = args.partitions {
        let counts: Vec<_> =
            args.topics.iter().map(|topic| (topic.as_str().into(), count)).collect();
        for (topic, outcome) in admin.create_partitions(&counts).await? {
            if let Err(error) = outcome {
                failed.insert(topic, error);
            }
        }
    }
    let done = args.topics.iter().map(|topic| {
        let failure = failed.remove(topic.as_str());
        (topic.clone(), failure.map_or(Ok("altered"), Err))
    });
    settle("topic", done.collect(), args.output)
}

/// Makes the changes for every topic, and gives those that failed.
async fn alter_settings(
    admin: &Admin,
    topics: &[String],
    changes: &[Change],
) -> anyhow::Result<HashMap<Str, ClientError>> {
    let resource = |topic: &String| (Resource::Topic(topic.as_str().into()), changes.to_vec());
    let resources: Vec<_> = topics.iter().map(resource).collect();
    let outcomes = admin.incremental_alter_configs(&resources).await?;
    let failed = outcomes.into_iter().filter_map(|(resource, outcome)| match resource {
        Resource::Topic(topic) => Some((topic, outcome.err()?)),
        _ => None,
    });
    Ok(failed.collect())
}

impl Args {
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
