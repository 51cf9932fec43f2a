//! `klamm group export`.

use std::collections::BTreeMap;

use clap::ValueEnum;
use klamm_client::admin::Admin;
use klamm_protocol::wire::Str;

use super::file::FileRow;
use super::{committed_in, committed_offsets, describe_all};
use crate::connect::ConnectArgs;
use crate::failure::Failure;
use crate::output::{OutputArgs, Stdout};
use crate::place::Partition;
use crate::scope::Scope;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Their names
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// Only these topics or partitions
    #[arg(short, long = "topic", value_name = "TOPIC[:PARTITION,...]")]
    topics: Vec<Scope>,
    /// How the offsets are printed
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Shape::Csv)]
    #[arg(value_name = "SHAPE")]
    shape: Shape,
    #[command(flatten)]
    connection: ConnectArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// Lines as kafka-consumer-groups writes and reads them
    Csv,
    /// One JSON document
    Json,
    /// One JSON object a line
    Jsonl,
}

impl Args {
    /// The nearest of the shapes that other commands have.
    pub(super) fn output(&self) -> OutputArgs {
        let shape = match self.shape {
            Shape::Csv => crate::output::Shape::Table,
            Shape::Json => crate::output::Shape::Json,
            Shape::Jsonl => crate::output::Shape::Jsonl,
        };
        OutputArgs { shape }
    }

    /// What is printed of one group, which may have committed nothing.
    async fn offsets(
        &self,
        admin: &Admin,
        group: &str,
    ) -> anyhow::Result<BTreeMap<Partition, i64>> {
        let name = Str::from(group);
        if !self.topics.is_empty() {
            return committed_in(admin, &name, &self.topics).await;
        }
        let offsets = committed_offsets(admin, &name).await?;
        if offsets.is_empty() {
            // Brokers have no offsets for a group that is not there, either.
            let (_, failures) = describe_all(admin, &[group.to_owned()]).await?;
            Failure::unless_all(failures, 1)?;
        }
        Ok(offsets)
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = args.connection.connect().await?.admin();
    let mut rows = Vec::new();
    for name in &args.groups {
        for ((topic, partition), offset) in args.offsets(&admin, name).await? {
            let group = (args.groups.len() > 1).then(|| name.clone());
            rows.push(FileRow { group, topic: topic.to_string(), partition, offset });
        }
    }
    let mut stdout = Stdout::new();
    match args.shape {
        Shape::Csv => rows.iter().for_each(|row| stdout.text(&row.line())),
        Shape::Json => stdout.json_line(&rows)?,
        Shape::Jsonl => rows.iter().try_for_each(|row| stdout.json_line(row))?,
    }
    stdout.finish()
}
