//! The `klamm` command: a Kafka-compatible broker and its tools.
//!
//! | module | what it gives |
//! |---|---|
//! | [`args`] | what may be said on the command line |
//! | [`serve`] | the broker |
//! | [`topic`], [`produce`], [`consume`] | topics and records of any Kafka |
//! | [`group`], [`config`], [`cluster`] | its groups, its settings and its brokers |
//! | [`mod@bench`] | how fast it is |
//! | [`log`] | commands for the files of a log, without a broker |
//! | [`completions`] | the shell's part |
//! | [`connect`] | from arguments to a client |
//! | [`signals`] | how the user says that it is enough |
//! | [`mod@format`] | records as text |
//! | [`scope`] | which topics and partitions are meant |
//! | [`place`] | places in a partition, as people say them |
//! | [`outcome`] | what was done with each of several items |
//! | [`output`] | tables, JSON, and standard output as the one place where either goes |
//! | [`failure`] | what can go wrong, and the exit code that says so |
//!
//! # Invariants
//!
//! - What was asked for goes to standard output, everything else to standard error.
//! - Whoever closes the pipe has seen enough: the command ends well.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod cluster;
mod completions;
mod config;
mod connect;
mod consume;
mod failure;
mod format;
mod group;
mod log;
mod outcome;
mod output;
mod place;
mod produce;
mod scope;
mod serve;
mod signals;
mod topic;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let errors = command.errors();
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::tell(&error, errors),
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Topic(command) => connect::run(topic::run(command)),
        Command::Produce(args) => connect::run_to_end(produce::run(args)),
        Command::Consume(args) => connect::run_to_end(consume::run(args)),
        Command::Group(command) => connect::run(group::run(command)),
        Command::Cluster(command) => connect::run(cluster::run(command)),
        Command::Config(command) => connect::run(config::run(command)),
        Command::Log(command) => log::run(&command),
        Command::Bench(command) => bench::run(command),
        Command::Completions(args) => completions::run(&args),
    }
}
