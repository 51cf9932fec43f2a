//! `klamm config set` and `klamm config unset`.

use klamm_client::admin::{Change, Resource};

use super::{Kind, check_broker, name_of};
use crate::connect::{ConnectArgs, pair};
use crate::failure::Failure;
use crate::outcome::settle;
use crate::output::OutputArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  klamm config set topic orders retention.ms=86400000 cleanup.policy=compact
  klamm config set broker 1 log.retention.ms=86400000
  klamm config set cluster log.retention.ms=604800000
  klamm config set group billing consumer.session.timeout.ms=60000")]
pub(crate) struct SetArgs {
    /// What has the settings
    #[arg(value_enum)]
    kind: Kind,
    /// Its name, and what to set
    #[arg(required = true, value_name = "NAME KEY=VALUE...")]
    words: Vec<String>,
    /// Add to a setting that is a list
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    append: Vec<(String, String)>,
    /// Take out of a setting that is a list
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    subtract: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) to: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UnsetArgs {
    /// What has the settings
    #[arg(value_enum)]
    kind: Kind,
    /// Its name, and the settings
    #[arg(required = true, value_name = "NAME KEY...")]
    words: Vec<String>,
    #[command(flatten)]
    pub(super) to: Target,
}

/// What both have in common.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

pub(super) async fn set(args: SetArgs) -> anyhow::Result<()> {
    let (resource, words) = args.kind.split(&args.words)?;
    let mut changes = Vec::with_capacity(words.len());
    for word in words {
        let (key, value) =
            pair(word).map_err(|told| Failure::Usage(format!("`{word}`: {told}")))?;
        changes.push(Change::Set(key.into(), value.into()));
    }
    let lists = |make: fn(_, _) -> Change, pairs: &[(String, String)]| {
        let change =
            |(key, value): &(String, String)| make(key.as_str().into(), value.as_str().into());
        pairs.iter().map(change).collect::<Vec<_>>()
    };
    changes.extend(lists(Change::Append, &args.append));
    changes.extend(lists(Change::Subtract, &args.subtract));
    args.to.change(args.kind, resource, changes, "set").await
}

pub(super) async fn unset(args: UnsetArgs) -> anyhow::Result<()> {
    let (resource, keys) = args.kind.split(&args.words)?;
    let changes = keys.iter().map(|key| Change::Delete(key.as_str().into())).collect();
    args.to.change(args.kind, resource, changes, "unset").await
}

impl Target {
    async fn change(
        self,
        kind: Kind,
        resource: Resource,
        changes: Vec<Change>,
        status: &'static str,
    ) -> anyhow::Result<()> {
        if changes.is_empty() {
            return Err(Failure::Usage(format!("nothing to {status}: say which settings")).into());
        }
        let admin = self.connection.connect().await?.admin();
        check_broker(&admin, &resource).await?;
        let changes = [(resource, changes)];
        let (outcomes, status) = if self.dry_run {
            (admin.validate_configs(&changes).await?, "valid")
        } else {
            (admin.incremental_alter_configs(&changes).await?, status)
        };
        let done = outcomes
            .into_iter()
            .map(|(resource, outcome)| (name_of(&resource), outcome.map(|()| status)));
        settle(kind.name(), done.collect(), self.output)
    }
}
