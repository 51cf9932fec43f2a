//! `klamm topic`: topics of any Kafka.

mod alter;
mod create;
mod delete;
mod describe;
mod list;
mod trim;

use clap::Subcommand;

use crate::output::OutputArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make topics
    Create(create::Args),
    /// List topics
    List(list::Args),
    /// Show topics, their partitions and their settings
    Describe(describe::Args),
    /// Change settings of topics, or give them more partitions
    Alter(alter::Args),
    /// Delete topics and all their records
    Delete(delete::Args),
    /// Delete the oldest records of topics, up to a place
    Trim(trim::Args),
}

impl Command {
    pub(crate) fn output(&self) -> OutputArgs {
        match self {
            Self::Create(args) => args.output,
            Self::List(args) => args.output,
            Self::Describe(args) => args.output,
            Self::Alter(args) => args.output,
            Self::Delete(args) => args.output,
            Self::Trim(args) => args.output,
        }
    }
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create(args) => create::run(args).await,
        Command::List(args) => list::run(args).await,
        Command::Describe(args) => describe::run(args).await,
        Command::Alter(args) => alter::run(args).await,
        Command::Delete(args) => delete::run(args).await,
        Command::Trim(args) => trim::run(args).await,
    }
}
