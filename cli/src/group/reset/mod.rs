//! `klamm group reset`.

mod goal;
mod plan;

use std::collections::BTreeMap;

use klamm_client::admin::{Admin, CommittedOffset};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use serde::Serialize;

use super::{committed_offsets, in_use};
use crate::connect::ConnectArgs;
use crate::failure::Failure;
use crate::outcome::{ErrorRow, note, status_cell};
use crate::output::{OutputArgs, Row, or_dash};
use crate::place::{self, Partition};
use crate::scope::{Scope, partitions};

use goal::{Goal, GoalArgs};
use plan::Step;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Goals for --to:
  earliest, latest   the first record that is there, and behind the last one
  current            what is committed; the end where nothing is
  1000               an offset
  +1000, -1000       so many behind the start, before the end
  TIME               the first record at or after it: RFC 3339, a date, -1h30m for so long ago,
                     or @ and seconds or milliseconds since 1970. Without a zone it is in UTC

A group can be reset while it has no members. An offset that is not there becomes the nearest
one that is.

Examples:
  klamm group reset billing --to earliest --topic orders --dry-run
  klamm group reset billing --to 2026-11-01T08:00 --all-topics
  klamm group reset billing --by -100 --topic orders:0,3
  klamm group export billing > offsets.csv; klamm group reset billing --from-file offsets.csv")]
pub(crate) struct Args {
    /// Its name
    #[arg(value_name = "GROUP")]
    group: String,
    #[command(flatten)]
    goal: GoalArgs,
    /// A topic, or some of its partitions
    #[arg(short, long = "topic", value_name = "TOPIC[:PARTITION,...]")]
    topics: Vec<Scope>,
    /// Every partition for which the group has committed an offset
    #[arg(long, conflicts_with_all = ["topics", "to_group", "from_file"])]
    all_topics: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

/// One partition. The names of the fields are a promise to scripts.
#[derive(Debug, Serialize)]
struct ResetRow {
    group: String,
    topic: String,
    partition: i32,
    old_offset: Option<i64>,
    new_offset: i64,
    difference: Option<i64>,
    /// `reset`, `planned` or `failed`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRow>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let goal = args.goal.read()?;
    if matches!(goal, Goal::Place(_) | Goal::Current | Goal::By(_))
        && args.topics.is_empty()
        && !args.all_topics
    {
        return Err(Failure::Usage("which topics? say --topic or --all-topics".into()).into());
    }
    let admin = args.connection.connect().await?.admin();
    args.refuse_members(&admin).await?;
    let group = Str::from(args.group.as_str());
    let steps = args.plan(&admin, &group, &goal).await?;
    for step in &steps {
        if let Some(text) = step.note() {
            note(args.output.errors(), &text);
        }
    }
    if args.dry_run {
        let rows: Vec<_> = steps.iter().map(|step| args.row(step, "planned")).collect();
        return args.output.print(&rows);
    }
    args.carry_out(&admin, &group, &steps).await
}

impl Args {
    /// Fails if the group has members, or tells so where nothing is to be done.
    async fn refuse_members(&self, admin: &Admin) -> anyhow::Result<()> {
        let group = Str::from(self.group.as_str());
        for (_, outcome) in admin.describe_groups(std::slice::from_ref(&group)).await? {
            match outcome {
                Ok(group) if group.members.is_empty() => {}
                Ok(group) if self.dry_run => {
                    note(self.output.errors(), &in_use(&group).to_string());
                }
                Ok(group) => return Err(in_use(&group).into()),
                // It begins to be with what is committed.
                Err(error) if error.code() == Some(ErrorCode::GROUP_ID_NOT_FOUND) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn plan(&self, admin: &Admin, group: &Str, goal: &Goal) -> anyhow::Result<Vec<Step>> {
        let committed = committed_offsets(admin, group).await?;
        let given = self.given(admin, goal).await?;
        let partitions = match &given {
            Some(given) => given.keys().cloned().collect(),
            None if self.all_topics => committed.keys().cloned().collect(),
            None => partitions(admin, &self.topics).await?,
        };
        if partitions.is_empty() {
            let message = goal.nothing(&self.group, !self.topics.is_empty());
            return Err(Failure::NotFound(message).into());
        }
        let bounds = place::bounds(admin, &partitions).await?;
        let found = place::ask_for(admin, &partitions, goal.place()).await?;
        let step = |(partition, bounds): (Partition, _)| {
            let old = committed.get(&partition).copied();
            let wanted = match &given {
                Some(given) => given.get(&partition).copied(),
                None => goal.offset(bounds, found.get(&partition).copied().flatten(), old),
            };
            Step::new(partition, old, wanted, bounds)
        };
        Ok(bounds.into_iter().map(step).collect::<Result<_, _>>()?)
    }

    /// The offsets that another group or a file gives, where the goal is one of these.
    async fn given(
        &self,
        admin: &Admin,
        goal: &Goal,
    ) -> anyhow::Result<Option<BTreeMap<Partition, i64>>> {
        let mut given = match goal {
            Goal::OfGroup(other) => committed_offsets(admin, other).await?,
            Goal::Rows(rows) => {
                let is_ours = |group: &Option<String>| {
                    group.as_ref().is_none_or(|group| *group == self.group)
                };
                let ours = rows.iter().filter(|row| is_ours(&row.group));
                ours.map(|row| (row.partition(), row.offset)).collect()
            }
            Goal::Place(_) | Goal::Current | Goal::By(_) => return Ok(None),
        };
        if !self.topics.is_empty() {
            let is_meant =
                |partition: &Partition| self.topics.iter().any(|scope| scope.contains(partition));
            given.retain(|partition, _| is_meant(partition));
        }
        Ok(Some(given))
    }

    async fn carry_out(&self, admin: &Admin, group: &Str, steps: &[Step]) -> anyhow::Result<()> {
        let offset = |step: &Step| {
            let (topic, index) = step.partition.clone();
            (topic, index, CommittedOffset::from(step.new))
        };
        let offsets: Vec<_> = steps.iter().map(offset).collect();
        let outcomes = admin.alter_group_offsets(group, &offsets).await?;
        let mut outcomes: BTreeMap<_, _> = outcomes.into_iter().collect();
        let (mut rows, mut failures) = (Vec::with_capacity(steps.len()), Vec::new());
        for step in steps {
            let (topic, index) = &step.partition;
            match outcomes.remove(&step.partition) {
                Some(Err(error)) => {
                    let mut row = self.row(step, "failed");
                    row.error = Some(ErrorRow::new(&error));
                    rows.push(row);
                    failures.push((format!("{topic}-{index}"), error));
                }
                Some(Ok(())) => rows.push(self.row(step, "reset")),
                None => anyhow::bail!("the broker says nothing about {topic}-{index}"),
            }
        }
        self.output.print(&rows)?;
        Ok(Failure::unless_all(failures, rows.len())?)
    }

    fn row(&self, step: &Step, status: &'static str) -> ResetRow {
        ResetRow {
            group: self.group.clone(),
            topic: step.partition.0.to_string(),
            partition: step.partition.1,
            old_offset: step.old,
            new_offset: step.new,
            difference: step.old.map(|old| step.new - old),
            status,
            error: None,
        }
    }
}

impl Row for ResetRow {
    const HEADINGS: &'static [&'static str] =
        &["TOPIC", "PARTITION", "OLD", "NEW", "DIFFERENCE", "STATUS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.partition.to_string(),
            or_dash(self.old_offset),
            self.new_offset.to_string(),
            or_dash(self.difference.map(signed)),
            status_cell(self.status, self.error.as_ref()),
        ]
    }
}

/// With its sign, unless it is none.
fn signed(difference: i64) -> String {
    if difference == 0 { "0".to_owned() } else { format!("{difference:+}") }
}
