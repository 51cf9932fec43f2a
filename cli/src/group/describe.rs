//! `klamm group describe`.

use klamm_client::admin::{Admin, GroupDescription, PartitionLag};
use serde::Serialize;

use super::members::MemberRow;
use super::{Found, describe_all, watch};
use crate::connect::ConnectArgs;
use crate::failure::Failure;
use crate::outcome::ErrorRow;
use crate::output::{OutputArgs, Row, Stdout, counted, or_dash};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  klamm group describe billing
  klamm group describe billing --lag --watch
  klamm group describe billing -o json | jq '.[].lag'")]
pub(crate) struct Args {
    /// Their names
    #[arg(required = true, value_name = "GROUP")]
    pub(super) groups: Vec<String>,
    /// Show the offsets alone
    #[arg(short, long)]
    lag: bool,
    /// Go on showing it: drawn anew on a terminal, one JSON object a line and partition elsewhere
    #[arg(short, long)]
    watch: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, requires = "watch")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) interval: u64,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

/// A group. The names of the fields are a promise to scripts.
#[derive(Debug, Serialize)]
pub(super) struct Described {
    group: String,
    state: String,
    protocol_type: String,
    protocol: String,
    coordinator: i32,
    /// Of all partitions whose lag is known.
    lag: i64,
    members: Vec<MemberRow>,
    pub(super) offsets: Vec<OffsetRow>,
}

/// How far a group has read one partition.
#[derive(Debug, Serialize)]
pub(super) struct OffsetRow {
    group: String,
    topic: String,
    partition: i32,
    committed_offset: Option<i64>,
    end_offset: Option<i64>,
    lag: Option<i64>,
    leader_epoch: Option<i32>,
    metadata: Option<String>,
    member: Option<String>,
    /// Why the end is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRow>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = args.connection.connect().await?.admin();
    if args.watch {
        return watch::run(&admin, &args).await;
    }
    let (groups, failures) = gather(&admin, &args.groups).await?;
    args.output.print_as(&groups, |stdout, groups| args.print(stdout, groups))?;
    Ok(Failure::unless_all(failures, args.groups.len())?)
}

/// The groups of these names, and how far they are behind.
pub(super) async fn gather(admin: &Admin, names: &[String]) -> anyhow::Result<Found<Described>> {
    let (groups, mut failures) = describe_all(admin, names).await?;
    let mut described = Vec::with_capacity(groups.len());
    for group in groups {
        match admin.group_lag(&group).await {
            Ok(lags) => described.push(Described::new(&group, &lags)),
            Err(error) => failures.push((group.id.to_string(), error)),
        }
    }
    Ok((described, failures))
}

impl Args {
    /// Prints groups for people.
    pub(super) fn print(&self, stdout: &mut Stdout, groups: &[Described]) {
        for (place, group) in groups.iter().enumerate() {
            if place > 0 {
                stdout.text("\n");
            }
            if !self.lag || groups.len() > 1 {
                stdout.text(&group.summary());
            }
            stdout.text(&self.output.columns(&group.offsets));
            if !self.lag && !group.members.is_empty() {
                stdout.text("\n");
                stdout.text(&self.output.columns(&group.members));
            }
        }
    }
}

impl Described {
    fn new(group: &GroupDescription, lags: &[PartitionLag]) -> Self {
        let members = group.members.iter().map(|member| MemberRow::new(&group.id, member));
        Self {
            group: group.id.to_string(),
            state: group.state.to_string(),
            protocol_type: group.protocol_type.to_string(),
            protocol: group.protocol.to_string(),
            coordinator: group.coordinator,
            lag: lags.iter().filter_map(PartitionLag::lag).map(|lag| lag.max(0)).sum(),
            members: members.collect(),
            offsets: lags.iter().map(|lag| OffsetRow::new(&group.id, lag)).collect(),
        }
    }

    fn summary(&self) -> String {
        let protocol = if self.protocol.is_empty() { "no protocol" } else { &self.protocol };
        let members = counted(self.members.len(), "member");
        format!(
            "group {}, {}, {protocol}, {members}, coordinator {}, lag {}\n",
            self.group, self.state, self.coordinator, self.lag
        )
    }
}

impl Row for Described {
    const HEADINGS: &'static [&'static str] = &["GROUP"];

    fn cells(&self) -> Vec<String> {
        vec![self.group.clone()]
    }
}

impl OffsetRow {
    fn new(group: &str, lag: &PartitionLag) -> Self {
        let committed = lag.committed.as_ref();
        let metadata = committed.map(|committed| committed.metadata.to_string());
        Self {
            group: group.to_owned(),
            topic: lag.topic.to_string(),
            partition: lag.partition,
            committed_offset: committed.map(|committed| committed.offset),
            end_offset: lag.end_offset.as_ref().ok().copied(),
            lag: lag.lag(),
            leader_epoch: committed.and_then(|committed| committed.leader_epoch),
            metadata: metadata.filter(|metadata| !metadata.is_empty()),
            member: lag.member.as_ref().map(ToString::to_string),
            error: lag.end_offset.as_ref().err().map(ErrorRow::new),
        }
    }
}

impl Row for OffsetRow {
    const HEADINGS: &'static [&'static str] =
        &["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"];
    const MORE_HEADINGS: &'static [&'static str] = &["EPOCH", "METADATA"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.partition.to_string(),
            or_dash(self.committed_offset),
            or_dash(self.end_offset),
            or_dash(self.lag),
            or_dash(self.member.as_ref()),
        ]
    }

    fn more_cells(&self) -> Vec<String> {
        vec![or_dash(self.leader_epoch), or_dash(self.metadata.as_ref())]
    }
}
