//! `klamm topic trim`.

use std::collections::BTreeMap;

use klamm_client::admin::Admin;
use klamm_utils::clock::{Clock as _, SystemClock};
use serde::Serialize;

use crate::connect::ConnectArgs;
use crate::failure::Failure;
use crate::outcome::{ErrorRow, confirm, status_cell};
use crate::output::{OutputArgs, Row, or_dash};
use crate::place::{self, Bounds, Partition, Place};
use crate::scope::{Scope, partitions};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  klamm topic trim orders --before 1000 --dry-run
  klamm topic trim orders:0,3 --before 2026-11-01
  klamm topic trim orders --before end --yes")]
pub(crate) struct Args {
    /// Their names, or some of their partitions
    #[arg(required = true, value_name = "TOPIC[:PARTITION,...]")]
    topics: Vec<Scope>,
    /// Where the records begin that are kept: a place, as `consume` has them, or a time
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true, value_parser = place_now)]
    before: Place,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation, which is asked for on a terminal only
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

/// One partition. The names of the fields are a promise to scripts.
#[derive(Debug, Serialize)]
struct Trimmed {
    topic: String,
    partition: i32,
    old_start_offset: i64,
    start_offset: Option<i64>,
    /// `trimmed`, `planned` or `failed`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRow>,
}

impl Row for Trimmed {
    const HEADINGS: &'static [&'static str] =
        &["TOPIC", "PARTITION", "OLD-START", "START", "STATUS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.partition.to_string(),
            self.old_start_offset.to_string(),
            or_dash(self.start_offset),
            status_cell(self.status, self.error.as_ref()),
        ]
    }
}

fn place_now(text: &str) -> Result<Place, String> {
    let now_ms = SystemClock::new().now_ms();
    let place = Place::parse(text, now_ms).or_else(|| Place::parse_moment(text, now_ms));
    place.ok_or_else(|| format!("`{text}` is no place: expected end, an offset, +N, -N or a time"))
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = args.connection.connect().await?.admin();
    let partitions = partitions(&admin, &args.topics).await?;
    let bounds = place::bounds(&admin, &partitions).await?;
    let found = place::ask_for(&admin, &partitions, Some(args.before)).await?;
    let step = |(partition, bounds): (Partition, Bounds)| {
        let found = found.get(&partition).copied().flatten();
        let start = args.before.offset(bounds, found).min(bounds.end);
        Step { old_start: bounds.start, start, partition }
    };
    let steps: Vec<_> = bounds.into_iter().map(step).collect();
    if args.dry_run {
        let rows: Vec<_> = steps.iter().map(|step| step.row("planned")).collect();
        return args.output.print(&rows);
    }
    let count = steps.iter().map(|step| step.start - step.old_start).sum::<i64>();
    confirm(args.yes, &format!("Delete {count} offsets of {} partitions?", steps.len())).await?;
    carry_out(&admin, &steps, args.output).await
}

/// What is done to one partition.
struct Step {
    partition: Partition,
    old_start: i64,
    start: i64,
}

impl Step {
    fn row(&self, status: &'static str) -> Trimmed {
        Trimmed {
            topic: self.partition.0.to_string(),
            partition: self.partition.1,
            old_start_offset: self.old_start,
            start_offset: Some(self.start),
            status,
            error: None,
        }
    }
}

async fn carry_out(admin: &Admin, steps: &[Step], output: OutputArgs) -> anyhow::Result<()> {
    let below = |step: &Step| (step.partition.0.clone(), step.partition.1, step.start);
    let below: Vec<_> = steps.iter().map(below).collect();
    let mut outcomes: BTreeMap<_, _> = admin.delete_records(&below).await?.into_iter().collect();
    let (mut rows, mut failures) = (Vec::with_capacity(steps.len()), Vec::new());
    for step in steps {
        let (topic, index) = &step.partition;
        let mut row = step.row("trimmed");
        match outcomes.remove(&step.partition) {
            Some(Ok(start)) => row.start_offset = Some(start),
            Some(Err(error)) => {
                row = Trimmed { start_offset: None, status: "failed", ..row };
                row.error = Some(ErrorRow::new(&error));
                failures.push((format!("{topic}-{index}"), error));
            }
            None => anyhow::bail!("the broker says nothing about {topic}-{index}"),
        }
        rows.push(row);
    }
    output.print(&rows)?;
    Ok(Failure::unless_all(failures, rows.len())?)
}
