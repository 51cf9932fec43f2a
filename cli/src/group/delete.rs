//! `klamm group delete`.

use klamm_client::Error as ClientError;
use klamm_client::admin::Admin;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use serde::Serialize;

use super::{committed_in, describe_all, in_use};
use crate::connect::ConnectArgs;
use crate::failure::Failure;
use crate::outcome::{ErrorRow, confirm, note, settle, status_cell};
use crate::output::{OutputArgs, Row};
use crate::scope::Scope;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  klamm group delete billing audit
  klamm group delete billing --offsets --topic orders")]
pub(crate) struct Args {
    /// Their names
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// Keep the group, and delete what it has committed for the topics of --topic
    #[arg(long, requires = "topics")]
    offsets: bool,
    /// A topic, or some of its partitions
    #[arg(short, long = "topic", value_name = "TOPIC[:PARTITION,...]", requires = "offsets")]
    topics: Vec<Scope>,
    /// Do not ask for confirmation, which is asked for on a terminal only
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

/// What was done with the offset of one partition.
#[derive(Debug, Serialize)]
struct Forgotten {
    group: String,
    topic: String,
    partition: i32,
    /// `deleted` or `failed`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRow>,
}

impl Row for Forgotten {
    const HEADINGS: &'static [&'static str] = &["GROUP", "TOPIC", "PARTITION", "STATUS"];

    fn cells(&self) -> Vec<String> {
        let status = status_cell(self.status, self.error.as_ref());
        vec![self.group.clone(), self.topic.clone(), self.partition.to_string(), status]
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = args.connection.connect().await?.admin();
    let groups = args.groups.join(", ");
    if args.offsets {
        confirm(args.yes, &format!("Delete offsets of {groups}?")).await?;
        return delete_offsets(&admin, &args).await;
    }
    confirm(args.yes, &format!("Delete {groups} and all that is committed?")).await?;
    let names: Vec<_> = args.groups.iter().map(|name| Str::from(name.as_str())).collect();
    let outcomes = admin.delete_groups(&names).await?;
    tell_who_is_there(&admin, &outcomes, &args).await?;
    let done = outcomes
        .into_iter()
        .map(|(group, outcome)| (group.to_string(), outcome.map(|()| "deleted")));
    settle("group", done.collect(), args.output)
}

/// Tells people which members keep a group from being deleted.
async fn tell_who_is_there(
    admin: &Admin,
    outcomes: &[(Str, Result<(), ClientError>)],
    args: &Args,
) -> anyhow::Result<()> {
    let is_refused = |outcome: &Result<(), ClientError>| {
        let code = outcome.as_ref().err().and_then(ClientError::code);
        code == Some(ErrorCode::NON_EMPTY_GROUP)
    };
    let refused = outcomes.iter().filter(|(_, outcome)| is_refused(outcome));
    let refused: Vec<_> = refused.map(|(group, _)| group.to_string()).collect();
    if !refused.is_empty() {
        let (groups, _) = describe_all(admin, &refused).await?;
        groups.iter().for_each(|group| note(args.output.errors(), &in_use(group).to_string()));
    }
    Ok(())
}

/// Deletes nothing unless each group has committed something for the topics.
async fn delete_offsets(admin: &Admin, args: &Args) -> anyhow::Result<()> {
    let mut found = Vec::with_capacity(args.groups.len());
    for group in &args.groups {
        let group = Str::from(group.as_str());
        let offsets = committed_in(admin, &group, &args.topics).await?;
        found.push((group, offsets.into_keys().collect::<Vec<_>>()));
    }
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for (group, partitions) in found {
        let outcomes = match admin.delete_group_offsets(&group, &partitions).await {
            Ok(outcomes) => outcomes,
            // The other groups go on.
            Err(error) => partitions.into_iter().map(|it| (it, Err(error.clone()))).collect(),
        };
        for ((topic, partition), outcome) in outcomes {
            let error = outcome.as_ref().err().map(ErrorRow::new);
            let status = if error.is_none() { "deleted" } else { "failed" };
            if let Err(error) = outcome {
                failures.push((format!("{group} {topic}-{partition}"), error));
            }
            let (group, topic) = (group.to_string(), topic.to_string());
            rows.push(Forgotten { group, topic, partition, status, error });
        }
    }
    args.output.print(&rows)?;
    Ok(Failure::unless_all(failures, rows.len())?)
}
