//! `klamm log`: the files of a log, without a broker. Nothing here writes to them.

mod dump;
mod index;
mod verify;

use clap::Subcommand;

use crate::failure::ErrorStyle;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the batches of segment files and the entries of index files
    Dump(dump::Args),
    /// Check every batch and every index entry
    Verify(verify::Args),
}

impl Command {
    pub(crate) fn errors(&self) -> ErrorStyle {
        match self {
            Self::Dump(args) => args.errors(),
            Self::Verify(args) => args.output.errors(),
        }
    }
}

pub(crate) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Dump(args) => dump::run(args),
        Command::Verify(args) => verify::run(args),
    }
}
