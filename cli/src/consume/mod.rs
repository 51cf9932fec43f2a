//! `klamm consume`: records of topics to standard output.

mod print;
mod ranges;
mod span;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use klamm_client::admin::Admin;
use klamm_client::config::{IsolationLevel, OffsetReset, keys};
use klamm_client::{ClientConfig, Error as ClientError, Kafka, Topic};
use klamm_consumer::{ConsumeExt as _, Consumer, ConsumerBatch};
use klamm_protocol::wire::Str;

use crate::connect::{ConnectArgs, interrupted};
use crate::failure::{ErrorStyle, Failure};
use crate::format::Shown;
use crate::output::Stdout;

use print::Printer;
pub(crate) use ranges::Ranges;
pub(crate) use span::Span;

/// How long nothing may come before it is asked whether the end was reached without a record:
/// marks of transactions take offsets and are not delivered.
pub(crate) const QUIET: Duration = Duration::from_millis(50);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Places for -o:
  start, end     the first record that is there, and behind the last one
  1000           an offset
  +1000, -1000   so many behind the start, before the end
  @TIME          the first record as late as that. TIME is RFC 3339, a date, seconds or
                 milliseconds since 1970, or -1h30m for so long ago. Without a zone it is in UTC

Two places with .. between them are a span, the second one excluded: @2026-11-01..@2026-11-02

Formats for -f:
  text   the value and a line feed (the default)       raw    the value and nothing else
  json   one object a line; bytes that are not UTF-8   hex    partition, offset, key, value,
         as {\"base64\": ...}                                   separated by tabs
  any text with verbs: %t topic, %p partition, %o offset, %k key, %v value, %d timestamp,
  %h{%k=%v } headers, %T %K %V lengths, %H number of headers, %i number of the record; \\n, \\t.
  %v{hex} %v{base64}, %K{big32}, %d{strftime[%F %T]}, %d{rfc3339}

Examples:
  klamm consume orders -o -10
  klamm consume orders --follow -f '%d{rfc3339} %p/%o %k=%v\\n'
  klamm consume orders -o @-1h -f json | jq .value")]
pub(crate) struct Args {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Where to begin, and perhaps where to end
    #[arg(short, long, visible_alias = "from", value_name = "PLACE|PLACE..PLACE")]
    #[arg(default_value = "start", allow_hyphen_values = true, value_parser = Span::parse_now)]
    offset: Span,
    /// These partitions alone
    #[arg(short, long = "partition", value_name = "N,...", value_delimiter = ',')]
    partitions: Vec<i32>,
    /// End after so many records
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
    /// Wait for records to come; without it, the command ends where the partitions end when it
    /// starts. To begin at the end is to follow
    #[arg(long)]
    follow: bool,
    /// How a record is printed
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    #[arg(allow_hyphen_values = true, value_parser = Printer::parse)]
    format: Printer,
    /// Leave out records of transactions that were aborted, or are not finished
    #[arg(long)]
    read_committed: bool,
    #[command(flatten)]
    connection: ConnectArgs,
}

impl Args {
    pub(crate) fn errors(&self) -> ErrorStyle {
        if self.format.is_json() { ErrorStyle::Json } else { ErrorStyle::Text }
    }

    fn config(&self) -> anyhow::Result<ClientConfig> {
        let mut config = self.connection.config()?;
        if self.read_committed {
            config = config.with(&keys::ISOLATION_LEVEL, &IsolationLevel::ReadCommitted);
        }
        // Who reads a topic does not mean to make it.
        if !config.is_set(&keys::ALLOW_AUTO_CREATE) {
            config = config.with(&keys::ALLOW_AUTO_CREATE, &false);
        }
        if !config.is_set(&keys::AUTO_OFFSET_RESET) {
            config = config.with(&keys::AUTO_OFFSET_RESET, &OffsetReset::None);
        }
        Ok(config)
    }

    /// The partitions of these topics that were asked for.
    fn places(&self, topics: &[Arc<Topic>]) -> anyhow::Result<Vec<(Str, i32)>> {
        let mut places = Vec::new();
        for topic in topics {
            let missing = self.partitions.iter().find(|index| topic.partition(**index).is_none());
            if let Some(index) = missing {
                let message = format!("{} has no partition {index}", topic.name);
                return Err(Failure::NotFound(message).into());
            }
            let all = topic.partitions.iter().map(|partition| partition.index);
            let wanted =
                all.filter(|index| self.partitions.is_empty() || self.partitions.contains(index));
            places.extend(wanted.map(|index| (topic.name.clone(), index)));
        }
        Ok(places)
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let kafka = Kafka::connect(args.config()?).await?;
    let admin = kafka.admin();
    let places = args.places(&find(&admin, &args.topics).await?)?;
    let follows = args.follow || args.offset.begins_at_the_end();
    let ranges = Ranges::find(&admin, &places, &args.offset, follows).await?;
    if ranges.is_over() || args.count == Some(0) {
        return Ok(());
    }
    let consumer = kafka.consumer().build().await?;
    consumer.assign(ranges.assignment())?;
    let left = args.count.unwrap_or(u64::MAX);
    let mut session =
        Session { consumer, ranges, printer: args.format, left, number: 0, stdout: Stdout::new() };
    let ended = tokio::select! {
        ended = session.run() => ended,
        interrupted = interrupted() => interrupted,
    };
    match ended {
        Ok(()) => session.stdout.finish(),
        // Output that is closed is closed; everything else has printed up to here.
        Err(error) => Err(session.stdout.finish().err().unwrap_or(error)),
    }
}

async fn find(admin: &Admin, names: &[String]) -> anyhow::Result<Vec<Arc<Topic>>> {
    let names: Vec<_> = names.iter().map(|name| Str::from(name.as_str())).collect();
    let outcomes = admin.describe_topics(&names).await?;
    let found = outcomes.into_iter().map(|(_, found)| found);
    Ok(found.collect::<Result<_, ClientError>>()?)
}

/// From batches to output.
struct Session {
    consumer: Consumer,
    ranges: Ranges,
    printer: Printer,
    /// Records that may still be printed.
    left: u64,
    /// Records that were printed.
    number: u64,
    stdout: Stdout,
}

impl Session {
    /// Prints until the end is reached, if there is one.
    async fn run(&mut self) -> anyhow::Result<()> {
        while self.left > 0 && !self.ranges.is_over() {
            let batch = match ready(self.consumer.next_batch()).await {
                Some(batch) => batch?,
                None => {
                    // Nothing is there now: who watches sees all that there was.
                    self.stdout.finish()?;
                    match tokio::time::timeout(QUIET, self.consumer.next_batch()).await {
                        Ok(batch) => batch?,
                        Err(_) => {
                            self.ranges
                                .look(|topic, partition| self.consumer.position(topic, partition));
                            continue;
                        }
                    }
                }
            };
            self.print(&batch)?;
        }
        Ok(())
    }

    fn print(&mut self, batch: &ConsumerBatch) -> anyhow::Result<()> {
        let (topic, partition) = (batch.topic(), batch.partition());
        let until = self.ranges.until(topic, partition);
        for record in batch {
            if self.left == 0 || record.offset >= until {
                break;
            }
            self.number += 1;
            self.left -= 1;
            let shown = Shown {
                topic,
                partition,
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: &record.headers,
                number: self.number,
            };
            self.printer.print(&shown, &mut self.stdout)?;
        }
        if self.ranges.advance(topic, partition, batch.end_offset()) {
            self.consumer.pause(topic, partition)?;
        }
        Ok(())
    }
}

/// What a future gives without waiting. Only for futures that may be dropped at any time.
async fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        value = future => Some(value),
        () = std::future::ready(()) => None,
    }
}
