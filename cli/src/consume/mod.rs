//! `klamm consume`: records of topics to standard output.

mod member;
mod print;
mod ranges;
mod records;
mod session;
mod silence;
mod span;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use klamm_client::admin::Admin;
use klamm_client::config::{IsolationLevel, OffsetReset, keys};
use klamm_client::{ClientConfig, Error as ClientError, Kafka, Topic};
use klamm_consumer::ConsumeExt as _;
use klamm_protocol::wire::Str;

use crate::connect::{ConnectArgs, consumer_alone};
use crate::failure::{ErrorStyle, Failure};
use crate::place::Place;

use member::Member;
use print::Printer;
pub(crate) use ranges::Ranges;
use records::Records;
use session::Session;
pub(crate) use silence::Silence;
pub(crate) use span::Span;

/// How long nothing may come before it is asked whether the end was reached without a record:
/// marks of transactions take offsets and are not delivered.
pub(crate) const QUIET: Duration = Duration::from_millis(50);

/// What makes the name of a topic a pattern.
const PATTERN: &str = "re:";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Places for -o:
  start, end     the first record that is there, and behind the last one
  1000           an offset
  +1000, -1000   so many behind the start, before the end
  @TIME          the first record at or after it. TIME is RFC 3339, a date, seconds or
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
  klamm consume orders -o @-1h -f json | jq .value
  klamm consume orders -g billing --follow")]
pub(crate) struct Args {
    /// The topics; with --group also patterns, as re:audit\..*
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Where to begin, and perhaps where to end [default: start]
    #[arg(short, long, visible_alias = "from", value_name = "PLACE|PLACE..PLACE")]
    #[arg(allow_hyphen_values = true, value_parser = Span::parse_now)]
    offset: Option<Span>,
    /// Join this group: go on where it stopped, share the partitions with its other members, and
    /// commit what was printed. Then -o is start or end, for what the group has not read yet
    #[arg(short, long, value_name = "GROUP")]
    group: Option<String>,
    /// Be a static member with this name, which may come back without a rebalance
    #[arg(long, value_name = "NAME", requires = "group")]
    instance: Option<String>,
    /// These partitions alone
    #[arg(short, long = "partition", value_name = "N,...", value_delimiter = ',')]
    #[arg(conflicts_with = "group")]
    partitions: Vec<i32>,
    /// End after so many records
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
    /// Wait for records to come; without it, the command ends where the partitions end when it
    /// starts, or where they end when a member gets them. To begin at the end is to follow, unless
    /// in a group
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
        if self.is_reset_said() || !config.is_set(&keys::AUTO_OFFSET_RESET) {
            config = config.with(&keys::AUTO_OFFSET_RESET, &self.reset()?);
        }
        Ok(config)
    }

    fn is_reset_said(&self) -> bool {
        self.group.is_some() && self.offset.is_some()
    }

    /// Where to go on in a partition without an offset that is there.
    fn reset(&self) -> Result<OffsetReset, Failure> {
        match (&self.group, self.span()) {
            (None, _) => Ok(OffsetReset::None),
            (Some(_), Span { from: Place::Start, until: None }) => Ok(OffsetReset::Earliest),
            (Some(_), Span { from: Place::End, until: None }) => Ok(OffsetReset::Latest),
            (Some(_), _) => {
                let asked = "with --group, -o can be start or end; to begin elsewhere, see \
                             `klamm group reset`";
                Err(Failure::Usage(asked.into()))
            }
        }
    }

    fn span(&self) -> Span {
        self.offset.unwrap_or(Span::ALL)
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
    if args.count == Some(0) {
        return Ok(());
    }
    if let Some(group) = &args.group {
        let topics = args.topics.iter().filter(|topic| !topic.starts_with(PATTERN));
        find(&admin, topics).await?;
        let consumer = kafka.consumer().group(group).subscribe(args.topics.iter().map(|it| &**it));
        let consumer = match &args.instance {
            Some(name) => consumer.group_instance_id(name),
            None => consumer,
        };
        let consumer = consumer.auto_commit(false).build().await?;
        let errors = args.errors();
        let records = Records::new(args.format, args.count);
        return Member::new(consumer, admin, records, errors, args.follow).run(&kafka, group).await;
    }
    let places = args.places(&find(&admin, args.topics.iter()).await?)?;
    let follows = args.follow || args.span().begins_at_the_end();
    let ranges = Ranges::find(&admin, &places, &args.span(), follows).await?;
    if ranges.is_over() {
        return Ok(());
    }
    let consumer = consumer_alone(&kafka).await?;
    consumer.assign(ranges.assignment())?;
    let follows = follows.then(|| args.errors());
    let records = Records::new(args.format, args.count);
    Session { consumer, ranges, records, follows }.run(&kafka).await
}

async fn find(
    admin: &Admin,
    names: impl Iterator<Item = &String>,
) -> anyhow::Result<Vec<Arc<Topic>>> {
    let names: Vec<_> = names.map(|name| Str::from(name.as_str())).collect();
    let outcomes = admin.describe_topics(&names).await?;
    let found = outcomes.into_iter().map(|(_, found)| found);
    Ok(found.collect::<Result<_, ClientError>>()?)
}

/// What a future gives without waiting. Only for futures that may be dropped at any time.
async fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        value = future => Some(value),
        () = std::future::ready(()) => None,
    }
}
