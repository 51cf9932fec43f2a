//! `klamm topic describe`.

use std::collections::HashMap;
use std::io::IsTerminal as _;

use klamm_client::admin::{Admin, ConfigEntry, OffsetSpec, Resource};
use klamm_client::{Error as ClientError, Partition, Topic};
use klamm_protocol::wire::Str;
use serde::Serialize;

use crate::config::ConfigRow;
use crate::connect::ConnectArgs;
use crate::failure::Failure;
use crate::output::{OutputArgs, Row, Stdout, counted, or_dash, table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Their names
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Show the partitions alone
    #[arg(short, long, conflicts_with_all = ["configs", "all"])]
    partitions: bool,
    /// Show the settings alone, defaults included
    #[arg(short, long, conflicts_with = "all")]
    configs: bool,
    /// Show everything; without it, settings that nobody changed are left out
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Described {
    topic: String,
    id: Option<String>,
    internal: bool,
    partitions: Vec<PartitionRow>,
    configs: Vec<ConfigRow>,
}

#[derive(Debug, Serialize)]
struct PartitionRow {
    partition: i32,
    leader: Option<i32>,
    leader_epoch: Option<i32>,
    replicas: Vec<i32>,
    in_sync: Vec<i32>,
    log_start_offset: Option<i64>,
    high_watermark: Option<i64>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = args.connection.connect().await?.admin();
    let names: Vec<_> = args.topics.iter().map(|name| Str::from(name.as_str())).collect();
    let mut failures = Vec::new();
    let mut topics = Vec::new();
    for (name, outcome) in admin.describe_topics(&names).await? {
        match outcome {
            Ok(topic) => topics.push(topic),
            Err(error) => failures.push((name.to_string(), error)),
        }
    }
    let mut described = Vec::with_capacity(topics.len());
    if !topics.is_empty() {
        let mut configs = configs(&admin, topics.iter().map(|topic| &topic.name)).await?;
        for topic in &topics {
            let configs = configs.remove(&topic.name).unwrap_or_else(|| Ok(Vec::new()))?;
            described.push(Described::new(topic, &offsets(&admin, topic).await?, configs));
        }
    }
    args.output.print_as(&described, |stdout, topics| args.print(stdout, topics))?;
    Ok(Failure::unless_all(failures, names.len())?)
}

/// First and next offset, by partition; a partition that does not answer has none.
type Offsets = HashMap<i32, (Option<i64>, Option<i64>)>;

async fn offsets(admin: &Admin, topic: &Topic) -> anyhow::Result<Offsets> {
    let mut offsets = Offsets::new();
    for spec in [OffsetSpec::Earliest, OffsetSpec::Latest] {
        let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
        let wanted: Vec<_> =
            led.map(|partition| (topic.name.clone(), partition.index, spec)).collect();
        for ((_, partition), found) in admin.list_offsets(&wanted).await? {
            let offset = found.ok().and_then(|found| found.offset);
            let (first, next) = offsets.entry(partition).or_default();
            *(if spec == OffsetSpec::Earliest { first } else { next }) = offset;
        }
    }
    Ok(offsets)
}

async fn configs(
    admin: &Admin,
    topics: impl Iterator<Item = &Str>,
) -> anyhow::Result<HashMap<Str, Result<Vec<ConfigEntry>, ClientError>>> {
    let resources: Vec<_> = topics.cloned().map(Resource::Topic).collect();
    let outcomes = admin.describe_configs(&resources).await?;
    let by_topic = outcomes.into_iter().filter_map(|(resource, outcome)| match resource {
        Resource::Topic(topic) => Some((topic, outcome)),
        _ => None,
    });
    Ok(by_topic.collect())
}

impl Args {
    fn print(&self, stdout: &mut Stdout, topics: &[Described]) {
        let terminal = std::io::stdout().is_terminal();
        let summary = !self.partitions && !self.configs;
        for (place, topic) in topics.iter().enumerate() {
            if place > 0 {
                stdout.text("\n");
            }
            if summary || topics.len() > 1 {
                stdout.text(&topic.summary());
            }
            if !self.configs {
                let cells = topic.partitions.iter().map(Row::cells);
                stdout.text(&table(PartitionRow::HEADINGS, cells, terminal));
            }
            let configs =
                topic.configs.iter().filter(|config| !summary || self.all || config.is_own(false));
            let cells: Vec<_> = configs.map(Row::cells).collect();
            if self.configs || (summary && !cells.is_empty()) {
                stdout.text(if summary { "\n" } else { "" });
                stdout.text(&table(ConfigRow::HEADINGS, cells, terminal));
            }
        }
    }
}

impl Described {
    fn new(topic: &Topic, offsets: &Offsets, configs: Vec<ConfigEntry>) -> Self {
        let partition = |partition: &Partition| {
            let offsets = offsets.get(&partition.index).copied().unwrap_or_default();
            PartitionRow::new(partition, offsets)
        };
        let mut configs: Vec<_> = configs.into_iter().map(ConfigRow::new).collect();
        configs.sort_by(|one, other| one.name.cmp(&other.name));
        Self {
            topic: topic.name.to_string(),
            id: (!topic.id.is_zero()).then(|| topic.id.to_string()),
            internal: topic.is_internal,
            partitions: topic.partitions.iter().map(partition).collect(),
            configs,
        }
    }

    fn summary(&self) -> String {
        let replicas = self.partitions.iter().map(|partition| partition.replicas.len()).max();
        let id = self.id.as_deref().unwrap_or("unknown");
        format!(
            "topic {}, id {id}, {}, {}\n",
            self.topic,
            counted(self.partitions.len(), "partition"),
            counted(replicas.unwrap_or(0), "replica")
        )
    }
}

impl Row for Described {
    const HEADINGS: &'static [&'static str] = &["TOPIC"];

    fn cells(&self) -> Vec<String> {
        vec![self.topic.clone()]
    }
}

impl PartitionRow {
    fn new(partition: &Partition, (first, next): (Option<i64>, Option<i64>)) -> Self {
        Self {
            partition: partition.index,
            leader: partition.leader,
            leader_epoch: (partition.leader_epoch >= 0).then_some(partition.leader_epoch),
            replicas: partition.replicas.clone(),
            in_sync: partition.in_sync.clone(),
            log_start_offset: first,
            high_watermark: next,
        }
    }
}

impl Row for PartitionRow {
    const HEADINGS: &'static [&'static str] =
        &["PARTITION", "LEADER", "EPOCH", "REPLICAS", "IN-SYNC", "LOG-START", "HIGH-WATERMARK"];

    fn cells(&self) -> Vec<String> {
        let nodes = |nodes: &[i32]| nodes.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
        vec![
            self.partition.to_string(),
            or_dash(self.leader),
            or_dash(self.leader_epoch),
            nodes(&self.replicas),
            nodes(&self.in_sync),
            or_dash(self.log_start_offset),
            or_dash(self.high_watermark),
        ]
    }
}
