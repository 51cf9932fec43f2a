//! What may be said on the command line.

use clap::{Parser, Subcommand};

use crate::failure::ErrorStyle;
use crate::{bench, cluster, completions, config, consume, group, log, produce, serve, topic};

/// A Kafka-compatible broker and its tools.
#[derive(Debug, Parser)]
#[command(name = "klamm", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no connection or no answer in time, 4 not found,
5 not allowed, 6 some of several items failed, 7 damage found, 130 interrupted.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the broker
    Serve(serve::Args),
    /// Make, list, describe, change and delete topics
    #[command(subcommand)]
    Topic(topic::Command),
    /// Send lines from standard input to a topic
    Produce(produce::Args),
    /// Print records of topics
    Consume(consume::Args),
    /// Look at consumer groups, move them to other offsets, and delete them
    #[command(subcommand)]
    Group(group::Command),
    /// Look at the brokers
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Show and change settings of topics, brokers, groups and client metrics
    #[command(subcommand)]
    Config(config::Command),
    /// Look at the files of a log, without a broker
    #[command(subcommand)]
    Log(log::Command),
    /// Measure how fast a Kafka is
    #[command(subcommand)]
    Bench(bench::Command),
    /// Print a script by which a shell completes klamm's arguments
    Completions(completions::Args),
}

impl Command {
    /// How this command's failure is told.
    pub(crate) fn errors(&self) -> ErrorStyle {
        match self {
            Self::Serve(args) => args.errors(),
            Self::Topic(command) => command.output().errors(),
            Self::Produce(args) => args.errors(),
            Self::Consume(args) => args.errors(),
            Self::Group(command) => command.output().errors(),
            Self::Cluster(command) => command.output().errors(),
            Self::Config(command) => command.output().errors(),
            Self::Log(command) => command.errors(),
            Self::Bench(_) | Self::Completions(_) => ErrorStyle::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}
