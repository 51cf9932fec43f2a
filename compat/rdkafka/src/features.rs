//! One function per feature of the table; each fails when the feature does not work.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rdkafka::admin::{AdminOptions, NewPartitions};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::BaseRecord;
use rdkafka::{Offset, TopicPartitionList};

use crate::clients::{Clients, TIMEOUT, block_on, expect_code};

const COUNT: usize = 500;
const START_MS: i64 = 1_795_000_000_000;

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("value {n} and words that compress well well")).collect()
}

fn record<'a>(topic: &'a str, value: &'a [u8]) -> BaseRecord<'a, [u8], [u8]> {
    BaseRecord::to(topic).partition(0).payload(value)
}

/// Sends `values` to partition 0 of `topic`.
fn produce(
    clients: &Clients,
    topic: &str,
    values: &[String],
    options: &[(&str, &str)],
) -> Result<()> {
    clients.produce(values.iter().map(|value| record(topic, value.as_bytes())), options)
}

fn values(messages: &[OwnedMessage]) -> Vec<String> {
    let text =
        |m: &OwnedMessage| String::from_utf8_lossy(m.payload().unwrap_or_default()).into_owned();
    messages.iter().map(text).collect()
}

/// The topic, from `start` on, holds exactly `wanted`.
fn holds(clients: &Clients, topic: &str, start: Offset, wanted: &[String]) -> Result<()> {
    let got = values(&clients.consume(topic, start)?);
    ensure!(got == wanted, "{} records of {}: {:?}...", got.len(), wanted.len(), got.first());
    Ok(())
}

pub fn topics(clients: &Clients, prefix: &str) -> Result<()> {
    let topic = format!("{prefix}topics");
    clients.create(&topic, 3)?;
    expect_code(clients.create(&topic, 3), RDKafkaErrorCode::TopicAlreadyExists)?;
    await_partitions(clients, &topic, 3)?;
    let (admin, options) = (clients.admin()?, AdminOptions::new().operation_timeout(Some(TIMEOUT)));
    for grown in block_on(admin.create_partitions([&NewPartitions::new(&topic, 5)], &options))? {
        grown.map_err(|(_, code)| KafkaError::AdminOp(code))?;
    }
    await_partitions(clients, &topic, 5)?;
    for deleted in block_on(admin.delete_topics(&[&topic], &options))? {
        deleted.map_err(|(_, code)| KafkaError::AdminOp(code))?;
    }
    await_partitions(clients, &topic, 0)
}

/// Metadata may lag behind the answer to a change; it must follow soon.
fn await_partitions(clients: &Clients, topic: &str, wanted: usize) -> Result<()> {
    let consumer = clients.consumer()?;
    let deadline = Instant::now() + TIMEOUT;
    while Instant::now() < deadline {
        let metadata = consumer.fetch_metadata(None, TIMEOUT)?;
        let listed = metadata.topics().iter().find(|listed| listed.name() == topic);
        if listed.map_or(0, |listed| listed.partitions().len()) == wanted {
            return Ok(());
        }
    }
    anyhow::bail!("{topic} never had {wanted} partitions")
}

pub fn auto_create(clients: &Clients, prefix: &str) -> Result<()> {
    let topic = format!("{prefix}auto");
    produce(clients, &topic, &numbered(1), &[])?;
    holds(clients, &topic, Offset::Beginning, &numbered(1))
}

pub fn unknown_topic(clients: &Clients) -> Result<()> {
    let metadata = clients.consumer()?.fetch_metadata(Some("rust-nowhere"), TIMEOUT)?;
    let error = metadata.topics().first().context("no answer")?.error().context("no error")?;
    let code = RDKafkaErrorCode::from(error);
    ensure!(code == RDKafkaErrorCode::UnknownTopicOrPartition, "{code:?}");
    Ok(())
}

pub fn compression(clients: &Clients, prefix: &str, codec: &str) -> Result<()> {
    let topic = format!("{prefix}{codec}");
    clients.create(&topic, 1)?;
    produce(clients, &topic, &numbered(COUNT), &[("compression.type", codec)])?;
    holds(clients, &topic, Offset::Beginning, &numbered(COUNT))
}

pub fn record_fields(clients: &Clients, prefix: &str) -> Result<()> {
    let topic = format!("{prefix}fields");
    clients.create(&topic, 1)?;
    let headers = OwnedHeaders::new()
        .insert(Header { key: "h", value: Some("1") })
        .insert(Header { key: "h", value: None::<&str> });
    let full = record(&topic, b"v").key(b"k".as_slice()).timestamp(START_MS + 3).headers(headers);
    let bare: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&topic).partition(0).timestamp(START_MS);
    clients.produce([full, bare], &[("compression.type", "lz4")])?;
    let got = clients.consume(&topic, Offset::Beginning)?;
    let [full, bare] = got.as_slice() else { anyhow::bail!("{} records", got.len()) };
    ensure!(full.key() == Some(b"k") && full.payload() == Some(b"v"), "{full:?}");
    ensure!(full.timestamp().to_millis() == Some(START_MS + 3), "{full:?}");
    let headers: Vec<_> = full.headers().context("no headers")?.iter().collect();
    let pairs: Vec<_> = headers.iter().map(|header| (header.key, header.value)).collect();
    ensure!(pairs == [("h", Some(b"1".as_slice())), ("h", None)], "{pairs:?}");
    ensure!(bare.key().is_none() && bare.payload().is_none(), "{bare:?}");
    ensure!(bare.timestamp().to_millis() == Some(START_MS), "{bare:?}");
    Ok(())
}

pub fn seek_by_offset(clients: &Clients, prefix: &str) -> Result<()> {
    let topic = format!("{prefix}seek");
    clients.create(&topic, 1)?;
    produce(clients, &topic, &numbered(COUNT), &[("compression.type", "zstd")])?;
    holds(clients, &topic, Offset::Offset(321), &numbered(COUNT)[321..])
}

pub fn seek_by_time(clients: &Clients, prefix: &str) -> Result<()> {
    let topic = format!("{prefix}time");
    clients.create(&topic, 1)?;
    let all = numbered(COUNT);
    let stamps = (START_MS..).step_by(10);
    let records = all.iter().zip(stamps).map(|(v, ms)| record(&topic, v.as_bytes()).timestamp(ms));
    clients.produce(records, &[])?;
    let consumer = clients.consumer()?;
    for (time, wanted) in [(0, Offset::Offset(0)), (11, Offset::Offset(2)), (9999, Offset::End)] {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(&topic, 0, Offset::Offset(START_MS + time))?;
        let found = consumer.offsets_for_times(asked, TIMEOUT)?;
        let offset = found.find_partition(&topic, 0).context("no answer")?.offset();
        ensure!(offset == wanted, "{offset:?} instead of {wanted:?} at +{time} ms");
    }
    Ok(())
}

pub fn earliest_latest(clients: &Clients, prefix: &str) -> Result<()> {
    let topic = format!("{prefix}ends");
    clients.create(&topic, 1)?;
    produce(clients, &topic, &numbered(10), &[])?;
    let ends = clients.consumer()?.fetch_watermarks(&topic, 0, TIMEOUT)?;
    ensure!(ends == (0, 10), "{ends:?}");
    holds(clients, &topic, Offset::OffsetTail(3), &numbered(10)[7..])?;
    holds(clients, &topic, Offset::End, &[])
}

pub fn big(clients: &Clients, prefix: &str) -> Result<()> {
    let topic = format!("{prefix}big");
    clients.create(&topic, 1)?;
    let value = ["x".repeat(1_000_000)];
    produce(clients, &topic, &value, &[("message.max.bytes", "2000000")])?;
    holds(clients, &topic, Offset::Beginning, &value)
}

pub fn too_large(clients: &Clients, prefix: &str) -> Result<()> {
    let topic = format!("{prefix}large");
    clients.create(&topic, 1)?;
    let sent =
        produce(clients, &topic, &["x".repeat(2_000_000)], &[("message.max.bytes", "4000000")]);
    expect_code(sent, RDKafkaErrorCode::MessageSizeTooLarge)
}

/// Every record exactly once and in order, although connections end in the middle of requests.
pub fn through_cuts(direct: &Clients, proxied: &Clients, prefix: &str) -> Result<()> {
    let topic = format!("{prefix}cut");
    direct.create(&topic, 1)?;
    let options = [
        ("enable.idempotence", "true"),
        ("batch.num.messages", "50"),
        ("linger.ms", "1"),
        ("reconnect.backoff.ms", "1"),
        ("retry.backoff.ms", "1"),
    ];
    produce(proxied, &topic, &numbered(2000), &options)?;
    holds(direct, &topic, Offset::Beginning, &numbered(2000))
}
