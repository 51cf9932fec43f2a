//! `klamm topic delete`.

use std::io::{IsTerminal as _, Write as _};

use klamm_protocol::wire::Str;

use super::settle;
use crate::connect::ConnectArgs;
use crate::failure::Failure;
use crate::output::OutputArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Their names
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Do not ask; nobody is asked either where there is no terminal
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let kafka = args.connection.connect().await?;
    let may_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if may_ask && !args.yes && !is_meant(&args.topics)? {
        return Err(Failure::Interrupted.into());
    }
    let names: Vec<_> = args.topics.iter().map(|name| Str::from(name.as_str())).collect();
    let outcomes = kafka.admin().delete_topics(&names).await?;
    let done = outcomes
        .into_iter()
        .map(|(topic, outcome)| (topic.to_string(), outcome.map(|()| "deleted")));
    settle(done.collect(), args.output)
}

#[expect(clippy::print_stderr, reason = "a question to the user")]
fn is_meant(topics: &[String]) -> anyhow::Result<bool> {
    eprint!("Delete {} and all records? [y/N] ", topics.join(", "));
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
