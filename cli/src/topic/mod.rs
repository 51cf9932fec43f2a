//! `klamm topic`: topics of any Kafka.

mod alter;
mod create;
mod delete;
mod describe;
mod list;

use clap::Subcommand;
use klamm_client::Error as ClientError;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{OutputArgs, Row};

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
}

impl Command {
    pub(crate) fn output(&self) -> OutputArgs {
        match self {
            Self::Create(args) => args.output,
            Self::List(args) => args.output,
            Self::Describe(args) => args.output,
            Self::Alter(args) => args.output,
            Self::Delete(args) => args.output,
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
    }
}

/// What was done with one topic.
#[derive(Debug, Serialize)]
struct Done {
    topic: String,
    /// What was done, or `failed`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRow>,
}

#[derive(Debug, Serialize)]
struct ErrorRow {
    code: Option<&'static str>,
    message: String,
}

impl Done {
    fn new(topic: &str, status: &'static str) -> Self {
        Self { topic: topic.to_owned(), status, error: None }
    }

    fn failed(topic: &str, error: &ClientError) -> Self {
        let code = error.code().map(|code| code.name());
        let error = Some(ErrorRow { code, message: error.to_string() });
        Self { topic: topic.to_owned(), status: "failed", error }
    }
}

impl Row for Done {
    const HEADINGS: &'static [&'static str] = &["TOPIC", "STATUS"];

    fn cells(&self) -> Vec<String> {
        let status = match self.error.as_ref().and_then(|error| error.code) {
            Some(code) => format!("{}: {code}", self.status),
            None => self.status.to_owned(),
        };
        vec![self.topic.clone(), status]
    }
}

/// Prints what was done with each topic, and fails if something failed.
fn settle(
    outcomes: Vec<(String, Result<&'static str, ClientError>)>,
    output: OutputArgs,
) -> anyhow::Result<()> {
    let row = |(topic, outcome): &(String, Result<&'static str, ClientError>)| match outcome {
        Ok(status) => Done::new(topic, status),
        Err(error) => Done::failed(topic, error),
    };
    let rows: Vec<_> = outcomes.iter().map(row).collect();
    output.print(&rows)?;
    let of = outcomes.len();
    let failed = outcomes.into_iter().filter_map(|(topic, outcome)| Some((topic, outcome.err()?)));
    Ok(Failure::unless_all(failed.collect(), of)?)
}
