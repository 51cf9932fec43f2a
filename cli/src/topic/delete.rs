//! `klamm topic delete`.

use klamm_protocol::wire::Str;

use crate::connect::ConnectArgs;
use crate::outcome::{confirm, settle};
use crate::output::OutputArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Their names
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Do not ask for confirmation, which is asked for on a terminal only
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let kafka = args.connection.connect().await?;
    confirm(args.yes, &format!("Delete {} and all records?", args.topics.join(", "))).await?;
    let names: Vec<_> = args.topics.iter().map(|name| Str::from(name.as_str())).collect();
    let outcomes = kafka.admin().delete_topics(&names).await?;
    let done = outcomes
        .into_iter()
        .map(|(topic, outcome)| (topic.to_string(), outcome.map(|()| "deleted")));
    settle("topic", done.collect(), args.output)
}
