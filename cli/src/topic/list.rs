//! `klamm topic list`.

use klamm_client::Topic;
use serde::Serialize;

use crate::connect::ConnectArgs;
use crate::output::{OutputArgs, Row};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also list topics that belong to the brokers themselves
    #[arg(short, long)]
    internal: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Listed {
    topic: String,
    partitions: usize,
    replicas: usize,
    internal: bool,
}

impl Listed {
    fn new(topic: &Topic) -> Self {
        let replicas = topic.partitions.iter().map(|partition| partition.replicas.len());
        Self {
            topic: topic.name.to_string(),
            partitions: topic.partitions.len(),
            replicas: replicas.max().unwrap_or(0),
            internal: topic.is_internal,
        }
    }
}

impl Row for Listed {
    const HEADINGS: &'static [&'static str] = &["TOPIC", "PARTITIONS", "REPLICAS"];

    fn cells(&self) -> Vec<String> {
        vec![self.topic.clone(), self.partitions.to_string(), self.replicas.to_string()]
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let topics = args.connection.connect().await?.admin().list_topics().await?;
    let shown = topics.iter().filter(|topic| args.internal || !topic.is_internal);
    let rows: Vec<_> = shown.map(|topic| Listed::new(topic)).collect();
    args.output.print(&rows)
}
