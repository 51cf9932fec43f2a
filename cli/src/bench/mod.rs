//! `klamm bench`: how fast a Kafka takes records and gives them back.

mod consume;
mod e2e;
mod load;
mod produce;
mod report;

use clap::Subcommand;

use crate::connect;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
What was measured is said for people on standard error, and as one line of JSON on standard \
output.")]
pub(crate) enum Command {
    /// Measure how fast records are acknowledged
    Produce(produce::Args),
    /// Measure how fast the records of a topic are read
    Consume(consume::Args),
    /// Measure how long records take from the producer to the consumer
    E2e(e2e::Args),
}

pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Produce(args) => connect::run(produce::run(args)),
        Command::Consume(args) => connect::run(consume::run(args)),
        Command::E2e(args) => connect::run_alone(e2e::run(args)),
    }
}
