//! `klamm topic create`.

use klamm_client::admin::NewTopic;
use klamm_protocol::error_code::ErrorCode;

use crate::connect::{ConnectArgs, pair};
use crate::outcome::settle;
use crate::output::OutputArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Their names
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Partitions of each [default: as the broker has it]
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Replicas of each partition [default: as the broker has it]
    #[arg(short, long, value_parser = clap::value_parser!(i16).range(1..))]
    replicas: Option<i16>,
    /// A setting of the topic
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = pair)]
    configs: Vec<(String, String)>,
    /// Take a topic that is there already for success
    #[arg(long)]
    if_not_exists: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let topics: Vec<_> = args.topics.iter().map(|name| args.topic(name)).collect();
    let admin = args.connection.connect().await?.admin();
    let (outcomes, status) = if args.dry_run {
        (admin.validate_topics(&topics).await?, "valid")
    } else {
        (admin.create_topics(&topics).await?, "created")
    };
    let done = outcomes.into_iter().map(|(topic, outcome)| {
        let outcome = match outcome {
            Ok(_) => Ok(status),
            Err(error) if args.if_not_exists && error.code() == Some(EXISTS) => Ok("exists"),
            Err(error) => Err(error),
        };
        (topic.to_string(), outcome)
    });
    settle("topic", done.collect(), args.output)
}

const EXISTS: ErrorCode = ErrorCode::TOPIC_ALREADY_EXISTS;

impl Args {
    fn topic(&self, name: &str) -> NewTopic {
        let mut topic = NewTopic::new(name);
        if let Some(partitions) = self.partitions {
            topic = topic.partitions(partitions);
        }
        if let Some(replicas) = self.replicas {
            topic = topic.replication(replicas);
        }
        self.configs.iter().fold(topic, |topic, (name, value)| topic.config(name, value))
    }
}
