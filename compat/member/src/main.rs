//! A member of a group with our own consumer, told over stdin and telling over stdout;
//! `bench/groups/member.py` has the language. Arguments: address, group, and settings as
//! `key=value`.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{
    ConsumeExt as _, Consumer, ConsumerBatch, ConsumerEvent, OffsetReset, Position, Start,
};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

const CLOSE_WITHIN: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = run().await {
        println!("failed\t{}", format!("{error:#}").replace('\n', " "));
        std::process::exit(1);
    }
    // What waits for a line of stdin would keep the process.
    std::process::exit(0);
}

async fn run() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().context("the address is missing")?;
    let group = args.next().context("the group is missing")?;
    let settings: HashMap<String, String> = args
        .filter_map(|part| part.split_once('=').map(|(key, value)| (key.into(), value.into())))
        .collect();
    let mut consumer = subscribed(&address, &group, &settings).await?;
    let commits = setting(&settings, "commit")? == "batch";
    let metadata = settings.get("metadata").map_or("", String::as_str);
    let mut events = consumer.events();
    let mut commands = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            biased;
            event = events.next() => follow(&consumer, event.context("no more events")?).await?,
            line = commands.next_line() => match line?.as_deref() {
                None | Some("close") => break,
                Some(command) => obey(&consumer, command)?,
            },
            batch = consumer.next_batch() => {
                let end = read(&batch?);
                if commits {
                    consumer.commit(end.with_metadata(metadata)).await?;
                }
            }
        }
    }
    consumer.close(CLOSE_WITHIN).await?;
    Ok(())
}

fn setting<'a>(settings: &'a HashMap<String, String>, key: &str) -> Result<&'a str> {
    settings.get(key).map(String::as_str).with_context(|| format!("{key} is missing"))
}

async fn subscribed(
    address: &str,
    group: &str,
    settings: &HashMap<String, String>,
) -> Result<Consumer> {
    let wanted = match settings.get("pattern") {
        Some(pattern) => vec![format!("re:{pattern}")],
        None => setting(settings, "subscribe")?.split(',').map(String::from).collect(),
    };
    let config = ClientConfig::new(address).set("metadata.max.age.ms", "500");
    let mut builder = Kafka::connect(config)
        .await?
        .consumer()
        .group(group)
        .subscribe(wanted)
        .auto_offset_reset(OffsetReset::Earliest)
        .auto_commit(setting(settings, "commit")? == "auto")
        .set("auto.commit.interval.ms", "100")
        .set("session.timeout.ms", setting(settings, "session-ms")?)
        .set("heartbeat.interval.ms", "300")
        .set("partition.assignment.strategy", setting(settings, "assignor")?);
    if let Some(instance) = settings.get("instance") {
        builder = builder.group_instance_id(instance);
    }
    Ok(builder.build().await?)
}

/// Tells of the records, and says where to go on.
fn read(batch: &ConsumerBatch) -> Position {
    for record in batch {
        println!("record\t{}:{}\t{}", batch.topic(), batch.partition(), record.offset);
    }
    batch.end()
}

async fn follow(consumer: &Consumer, event: ConsumerEvent) -> Result<()> {
    match event {
        ConsumerEvent::Assigned(places) => {
            for ((topic, partition), found) in consumer.committed(&places).await? {
                let found = found?;
                let offset = found.as_ref().map_or(-1, |position| position.offset);
                let metadata = found.map(|position| position.metadata).unwrap_or_default();
                println!("found\t{topic}:{partition}\t{offset}\t{metadata}");
            }
            tell_of("assigned", &places);
        }
        ConsumerEvent::Revoking(revocation) => tell_of("revoked", revocation.partitions()),
        ConsumerEvent::Lost(places) => tell_of("revoked", &places),
        ConsumerEvent::PollIntervalExceeded => bail!("too slow"),
        ConsumerEvent::Fatal(error) => return Err(error.into()),
        other => bail!("an unknown event: {other:?}"),
    }
    Ok(())
}

fn tell_of(event: &str, places: &[(impl std::fmt::Display, i32)]) {
    let names: String =
        places.iter().map(|(topic, partition)| format!("\t{topic}:{partition}")).collect();
    println!("{event}{names}");
}

fn obey(consumer: &Consumer, command: &str) -> Result<()> {
    let words: Vec<&str> = command.split(' ').collect();
    let (topic, partition) =
        words.get(1).and_then(|at| at.rsplit_once(':')).context("no partition")?;
    let (topic, partition) = (topic.into(), partition.parse()?);
    match words.as_slice() {
        ["pause", _] => consumer.pause(&topic, partition)?,
        ["resume", _] => consumer.resume(&topic, partition)?,
        ["seek", _, offset] => consumer.seek(&topic, partition, Start::Offset(offset.parse()?))?,
        _ => bail!("no such command: {command}"),
    }
    println!("done");
    Ok(())
}
