//! `klamm group export`.

use clap::ValueEnum;

use super::committed_offsets;
use super::file::FileRow;
use crate::connect::ConnectArgs;
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

    fn is_meant(&self, place: &Partition) -> bool {
        self.topics.is_empty() || self.topics.iter().any(|scope| scope.contains(place))
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = args.connection.connect().await?.admin();
    let mut rows = Vec::new();
    for name in &args.groups {
        let offsets = committed_offsets(&admin, &name.as_str().into()).await?;
        for ((topic, partition), offset) in offsets.into_iter().filter(|(at, _)| args.is_meant(at))
        {
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
