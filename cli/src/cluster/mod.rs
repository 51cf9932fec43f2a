//! `klamm cluster`: the brokers of any Kafka.

mod log_dirs;

use clap::Subcommand;

use crate::output::OutputArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show where brokers keep their logs, and how much room is taken and left
    LogDirs(log_dirs::Args),
}

impl Command {
    pub(crate) fn output(&self) -> OutputArgs {
        match self {
            Self::LogDirs(args) => args.output,
        }
    }
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::LogDirs(args) => log_dirs::run(args).await,
    }
}
