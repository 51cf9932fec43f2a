//! A member of a group, told over stdin and telling over stdout; `bench/groups/member.py` has the
//! language. Arguments: address, group, and settings as `key=value`.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, ClientContext, Message, Offset, TopicPartitionList};

const TIMEOUT: Duration = Duration::from_secs(30);
const LATER: [RDKafkaErrorCode; 2] =
    [RDKafkaErrorCode::RebalanceInProgress, RDKafkaErrorCode::IllegalGeneration];
const BATCH_WITHIN: Duration = Duration::from_millis(50);

/// What was read and is not committed yet. Polls call back when partitions come and go: those that
/// go are committed first.
struct Progress {
    commits: bool,
    metadata: String,
    ends: Mutex<HashMap<(String, i32), i64>>,
}

impl Progress {
    fn note(&self, topic: &str, partition: i32, end: i64) {
        self.ends().insert((topic.into(), partition), end);
    }

    fn ends(&self) -> MutexGuard<'_, HashMap<(String, i32), i64>> {
        self.ends.lock().expect("nobody panics with the lock")
    }

    fn commit(&self, consumer: &BaseConsumer<Self>) -> Result<(), KafkaError> {
        let ends = self.ends().clone();
        if ends.is_empty() || !self.commits {
            return Ok(());
        }
        let mut offsets = TopicPartitionList::new();
        for ((topic, partition), end) in ends {
            let mut at = offsets.add_partition(&topic, partition);
            at.set_offset(Offset::Offset(end))?;
            at.set_metadata(&self.metadata);
        }
        consumer.commit(&offsets, CommitMode::Sync)?;
        self.ends().clear();
        Ok(())
    }
}

impl ClientContext for Progress {}

impl ConsumerContext for Progress {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, change: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = change {
            if let Err(error) = self.commit(consumer) {
                println!("failed\t{error}");
            }
            let gone = partitions.to_topic_map();
            self.ends().retain(|at, _| !gone.contains_key(at));
            tell_of("revoked", partitions);
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, change: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = change {
            match consumer.committed_offsets((*partitions).clone(), TIMEOUT) {
                Ok(found) => found.elements().iter().for_each(|at| {
                    let offset = at.offset().to_raw().unwrap_or(-1).max(-1);
                    println!(
                        "found\t{}:{}\t{offset}\t{}",
                        at.topic(),
                        at.partition(),
                        at.metadata()
                    );
                }),
                Err(error) => println!("failed\t{error}"),
            }
            tell_of("assigned", partitions);
        }
    }
}

fn tell_of(event: &str, partitions: &TopicPartitionList) {
    let name = |(topic, partition): &(String, i32)| format!("\t{topic}:{partition}");
    let names: String = partitions.to_topic_map().keys().map(name).collect();
    println!("{event}{names}");
}

fn main() {
    if let Err(error) = run() {
        println!("failed\t{}", format!("{error:#}").replace('\n', " "));
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().context("the address is missing")?;
    let group = args.next().context("the group is missing")?;
    let settings: HashMap<String, String> = args
        .filter_map(|part| part.split_once('=').map(|(key, value)| (key.into(), value.into())))
        .collect();
    let consumer = subscribed(&address, &group, &settings)?;
    let commands = commands();
    loop {
        match commands.try_recv() {
            Ok(command) if command == "close" => return Ok(()),
            Ok(command) => obey(&consumer, &command)?,
            Err(TryRecvError::Disconnected) => return Ok(()),
            Err(TryRecvError::Empty) => {}
        }
        take(&consumer)?;
    }
}

fn setting<'a>(settings: &'a HashMap<String, String>, key: &str) -> Result<&'a str> {
    settings.get(key).map(String::as_str).with_context(|| format!("{key} is missing"))
}

fn subscribed(
    address: &str,
    group: &str,
    settings: &HashMap<String, String>,
) -> Result<BaseConsumer<Progress>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", address)
        .set("group.id", group)
        .set("session.timeout.ms", setting(settings, "session-ms")?)
        .set("heartbeat.interval.ms", "300")
        .set("partition.assignment.strategy", setting(settings, "assignor")?)
        .set("enable.auto.commit", (setting(settings, "commit")? == "auto").to_string())
        .set("auto.commit.interval.ms", "100")
        .set("auto.offset.reset", "earliest")
        .set("topic.metadata.refresh.interval.ms", "500");
    if let Some(instance) = settings.get("instance") {
        config.set("group.instance.id", instance);
    }
    let consumer: BaseConsumer<Progress> = config.create_with_context(Progress {
        commits: setting(settings, "commit")? == "batch",
        metadata: settings.get("metadata").cloned().unwrap_or_default(),
        ends: Mutex::default(),
    })?;
    let wanted = settings.get("pattern").or_else(|| settings.get("subscribe"));
    let wanted = wanted.context("nothing to subscribe to")?;
    consumer.subscribe(&wanted.split(',').collect::<Vec<_>>())?;
    Ok(consumer)
}

/// The lines of stdin, up to its end.
fn commands() -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Reads what is there, and commits it when that is wanted.
fn take(consumer: &BaseConsumer<Progress>) -> Result<()> {
    let deadline = Instant::now() + BATCH_WITHIN;
    while let Some(message) = consumer.poll(deadline.saturating_duration_since(Instant::now())) {
        let message = message?;
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        println!("record\t{topic}:{partition}\t{offset}");
        consumer.context().note(topic, partition, offset + 1);
    }
    // A cooperative member reads on while its group changes, and commits after that.
    match consumer.context().commit(consumer) {
        Err(error) if LATER.map(Some).contains(&error.rdkafka_error_code()) => Ok(()),
        outcome => Ok(outcome?),
    }
}

fn obey(consumer: &BaseConsumer<Progress>, command: &str) -> Result<()> {
    let words: Vec<&str> = command.split(' ').collect();
    let (topic, partition) =
        words.get(1).and_then(|at| at.rsplit_once(':')).context("no partition")?;
    let partition = partition.parse()?;
    let mut at = TopicPartitionList::new();
    at.add_partition(topic, partition);
    match words.as_slice() {
        ["pause", _] => consumer.pause(&at)?,
        ["resume", _] => consumer.resume(&at)?,
        ["seek", _, offset] => {
            consumer.seek(topic, partition, Offset::Offset(offset.parse()?), TIMEOUT)?;
        }
        _ => bail!("no such command: {command}"),
    }
    println!("done");
    Ok(())
}
