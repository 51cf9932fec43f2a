//! `klamm cluster log-dirs`.

use klamm_client::admin::{LogDir, LogSize};
use serde::Serialize;

use crate::connect::ConnectArgs;
use crate::failure::Failure;
use crate::outcome::{ErrorRow, status_cell};
use crate::output::{OutputArgs, Row, Stdout, or_dash};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// These brokers alone, by node id
    #[arg(long = "broker", value_name = "ID,...", value_delimiter = ',')]
    brokers: Vec<i32>,
    /// These topics alone
    #[arg(short, long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// Show the partitions, too
    #[arg(short, long)]
    partitions: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

/// One directory. The names of the fields are a promise to scripts.
#[derive(Debug, Serialize)]
struct DirRow {
    broker: i32,
    directory: String,
    /// Of the logs that are shown.
    bytes: i64,
    free_bytes: Option<i64>,
    total_bytes: Option<i64>,
    logs: Vec<LogRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRow>,
}

#[derive(Debug, Serialize)]
struct LogRow {
    topic: String,
    partition: i32,
    bytes: i64,
    offset_lag: i64,
    future: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = args.connection.connect().await?.admin();
    let mut brokers = args.brokers.clone();
    if brokers.is_empty() {
        brokers = admin.describe_cluster().await?.brokers.iter().map(|broker| broker.id).collect();
    }
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for (broker, outcome) in admin.log_dirs(&brokers).await? {
        match outcome {
            Ok(dirs) => rows.extend(dirs.into_iter().map(|dir| args.row(broker, dir))),
            Err(error) => failures.push((format!("broker {broker}"), error)),
        }
    }
    args.output.print_as(&rows, |stdout, rows| args.print(stdout, rows))?;
    Ok(Failure::unless_all(failures, brokers.len())?)
}

impl Args {
    fn row(&self, broker: i32, dir: LogDir) -> DirRow {
        let is_meant = |log: &LogSize| {
            self.topics.is_empty() || self.topics.iter().any(|it| log.topic == **it)
        };
        let error = dir.logs.as_ref().err().map(ErrorRow::new);
        let logs = dir.logs.unwrap_or_default().into_iter().filter(is_meant).map(LogRow::new);
        let mut logs: Vec<_> = logs.collect();
        logs.sort_by(|one, other| {
            (&one.topic, one.partition).cmp(&(&other.topic, other.partition))
        });
        DirRow {
            broker,
            directory: dir.path.to_string(),
            bytes: logs.iter().map(|log| log.bytes).sum(),
            free_bytes: dir.usable_bytes,
            total_bytes: dir.total_bytes,
            logs,
            error,
        }
    }

    fn print(&self, stdout: &mut Stdout, rows: &[DirRow]) {
        stdout.text(&self.output.columns(rows));
        for row in rows.iter().filter(|row| self.partitions && !row.logs.is_empty()) {
            stdout.text(&format!("\nbroker {}, {}\n", row.broker, row.directory));
            stdout.text(&self.output.columns(&row.logs));
        }
    }
}

impl Row for DirRow {
    const HEADINGS: &'static [&'static str] =
        &["BROKER", "DIRECTORY", "LOGS", "BYTES", "FREE", "TOTAL", "STATUS"];

    fn cells(&self) -> Vec<String> {
        let status = if self.error.is_none() { "online" } else { "failed" };
        vec![
            self.broker.to_string(),
            self.directory.clone(),
            self.logs.len().to_string(),
            self.bytes.to_string(),
            or_dash(self.free_bytes),
            or_dash(self.total_bytes),
            status_cell(status, self.error.as_ref()),
        ]
    }
}

impl LogRow {
    fn new(log: LogSize) -> Self {
        Self {
            topic: log.topic.to_string(),
            partition: log.partition,
            bytes: log.bytes,
            offset_lag: log.offset_lag,
            future: log.is_future,
        }
    }
}

impl Row for LogRow {
    const HEADINGS: &'static [&'static str] = &["TOPIC", "PARTITION", "BYTES"];
    const MORE_HEADINGS: &'static [&'static str] = &["BEHIND", "FUTURE"];

    fn cells(&self) -> Vec<String> {
        vec![self.topic.clone(), self.partition.to_string(), self.bytes.to_string()]
    }

    fn more_cells(&self) -> Vec<String> {
        vec![self.offset_lag.to_string(), self.future.to_string()]
    }
}
