//! `klamm group`: consumer groups of any Kafka.

mod delete;
mod describe;
mod export;
mod file;
mod list;
mod members;
mod reset;
mod watch;

use std::collections::BTreeMap;

use clap::Subcommand;
use klamm_client::Error as ClientError;
use klamm_client::admin::{Admin, GroupDescription, GroupMember};
use klamm_protocol::wire::Str;

use crate::failure::Failure;
use crate::output::OutputArgs;
use crate::place::Partition;
use crate::scope::Scope;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List groups
    List(list::Args),
    /// Show how far groups have read, and how far they are behind
    Describe(describe::Args),
    /// Show who is in groups, and which partitions each has
    Members(members::Args),
    /// Move a group to other offsets
    Reset(reset::Args),
    /// Print the offsets of groups as `reset --from-file` takes them
    Export(export::Args),
    /// Delete groups, or what they have committed for some topics
    Delete(delete::Args),
}

impl Command {
    pub(crate) fn output(&self) -> OutputArgs {
        match self {
            Self::List(args) => args.output,
            Self::Describe(args) => args.output,
            Self::Members(args) => args.output,
            Self::Reset(args) => args.output,
            Self::Export(args) => args.output(),
            Self::Delete(args) => args.output,
        }
    }
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(args) => list::run(args).await,
        Command::Describe(args) => describe::run(args).await,
        Command::Members(args) => members::run(args).await,
        Command::Reset(args) => reset::run(args).await,
        Command::Export(args) => export::run(args).await,
        Command::Delete(args) => delete::run(args).await,
    }
}

/// Groups that were found, and those that were not.
type Found<T> = (Vec<T>, Vec<(String, ClientError)>);

/// The groups of these names.
async fn describe_all(admin: &Admin, names: &[String]) -> anyhow::Result<Found<GroupDescription>> {
    let names: Vec<_> = names.iter().map(|name| Str::from(name.as_str())).collect();
    let (mut groups, mut failures) = (Vec::new(), Vec::new());
    for (name, outcome) in admin.describe_groups(&names).await? {
        match outcome {
            Ok(group) => groups.push(group),
            Err(error) => failures.push((name.to_string(), error)),
        }
    }
    Ok((groups, failures))
}

/// What a group has committed, by partition.
async fn committed_offsets(admin: &Admin, group: &Str) -> anyhow::Result<BTreeMap<Partition, i64>> {
    let outcomes = admin.group_offsets(std::slice::from_ref(group)).await?;
    let mut offsets = BTreeMap::new();
    for (_, outcome) in outcomes {
        for (partition, outcome) in outcome? {
            if let Some(committed) = outcome? {
                offsets.insert(partition, committed.offset);
            }
        }
    }
    Ok(offsets)
}

/// What a group has committed for some topics or partitions. Their topics may be gone.
///
/// # Errors
/// It has committed nothing for them.
async fn committed_in(
    admin: &Admin,
    group: &Str,
    scopes: &[Scope],
) -> anyhow::Result<BTreeMap<Partition, i64>> {
    let mut offsets = committed_offsets(admin, group).await?;
    offsets.retain(|partition, _| scopes.iter().any(|scope| scope.contains(partition)));
    if offsets.is_empty() {
        let message = format!("group {group} has committed nothing for what --topic says");
        return Err(Failure::NotFound(message).into());
    }
    Ok(offsets)
}

/// A group with members, as what keeps a command from changing it.
fn in_use(group: &GroupDescription) -> Failure {
    let member = |member: &GroupMember| {
        let static_id = member.instance_id.as_ref().map(|id| format!(", static as {id}"));
        let host = member.host.strip_prefix('/').unwrap_or(&member.host);
        format!(
            "member {} (client {} at {host}{})",
            member.id,
            member.client_id,
            static_id.unwrap_or_default()
        )
    };
    Failure::InUse {
        group: group.id.to_string(),
        members: group.members.iter().map(member).collect(),
    }
}
