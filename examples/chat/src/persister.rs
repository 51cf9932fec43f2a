//! The database writer, which the original calls `kafka-consumer`: every message of the log becomes
//! a row, once.
//!
//! Rows, and how far they bring the group, are written in one transaction. The broker is told
//! afterwards, for others to see; after a crash the database knows better. Of two writers that
//! believe to have the same partition only one gets its transaction through.

use std::collections::HashMap;
use std::time::Duration;

use common::config::{self, Config};
use common::db::{Database, is_refusal};
use common::patience::Patience;
use common::service::Running;
use common::telemetry::{Component, Telemetry};
use klamm_consumer::{ConsumeExt as _, Consumer, ConsumerBatch, OffsetReset, Position, Start};
use klamm_producer::{ProduceExt as _, Producer, Record};
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;
use prometheus_client::metrics::counter::Counter;

use crate::log::Log;
use crate::message::Message;
use crate::store::{self, Advance, Era, NewRow, WriteError};

/// How many records are gathered at most.
const ROWS_MAX: usize = 2_000;

/// For how long records are gathered.
const GATHER_FOR: Duration = Duration::from_millis(50);

/// A write that takes longer is given up, and tried again.
const WRITE_WITHIN: Duration = Duration::from_secs(30);

/// For how long the broker may take for a record that is put aside.
const LETTER_WITHIN: Duration = Duration::from_secs(2);

/// For how long a member that stops may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// What a database writer is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The brokers.
    pub kafka: String,
    /// The topic of messages.
    pub kafka_topic: String,
    /// Writers of one group share the partitions.
    pub kafka_group: String,
}

impl Settings {
    /// For a demonstration or a test.
    #[must_use]
    pub fn dev(kafka: &str) -> Self {
        let (topic, group) = ("chat_messages", "chat_group");
        Self { kafka: kafka.into(), kafka_topic: topic.into(), kafka_group: group.into() }
    }

    /// By the names of the original.
    pub fn read(config: &mut Config) -> Self {
        Self {
            kafka: config::kafka(config),
            kafka_topic: config.text("KAFKA_TOPIC", "chat_messages"),
            kafka_group: config.text("KAFKA_GROUP_ID", "chat_group"),
        }
    }

    /// Where records go that cannot be rows.
    fn dead_letters(&self) -> String {
        format!("{}.dlq", self.kafka_topic)
    }
}

/// Starts a writer. It waits for what is away.
pub async fn start(settings: Settings, database: Database) -> anyhow::Result<Running> {
    let (tasks, telemetry) = (TaskGroup::new("kafka-consumer"), Telemetry::new());
    let (kafka, health) = (telemetry.needs("kafka"), telemetry.needs("database"));
    let (rows, dead) = (Counter::default(), Counter::default());
    telemetry.register(|registry| {
        registry.register("rows", "Messages written", rows.clone());
        registry.register("dead_letters", "Records that cannot be rows", dead.clone());
    });
    let persister =
        Persister { settings, database, kafka, health, rows, dead, tasks: tasks.clone() };
    tasks.spawn("persist", async move { persister.run().await });
    Ok(Running::headless(tasks))
}

struct Persister {
    settings: Settings,
    database: Database,
    kafka: Component,
    health: Component,
    rows: Counter,
    dead: Counter,
    tasks: TaskGroup,
}

/// What talks to the broker.
struct Parts {
    log: Log,
    consumer: Consumer,
    producer: Producer,
    /// Where each partition goes on, as the database has it.
    next: HashMap<i32, i64>,
    /// Where a gap was looked into.
    sought: HashMap<i32, i64>,
}

/// Records that are written together.
#[derive(Default)]
struct Gathered {
    rows: Vec<NewRow>,
    advances: HashMap<i32, Advance>,
    ends: HashMap<i32, Position>,
    /// The broker refused something: the topic may be another one.
    failed: bool,
}

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrote {
    /// All of it is written, or will be read again.
    Done,
    /// The topic was made anew.
    OtherTopic,
    /// The tasks are to stop.
    Stopping,
}

impl Persister {
    async fn run(&self) {
        if !self.database.migrate_patiently(&self.tasks, &store::migrations()).await {
            return;
        }
        while let Some(mut parts) = self.open_patiently().await {
            let ended = self.follow(&mut parts).await;
            let Parts { consumer, producer, .. } = parts;
            for closed in [consumer.close(CLOSE_WITHIN).await, producer.close(CLOSE_WITHIN).await] {
                if let Err(error) = closed {
                    tracing::warn!(%error, "the broker was not told of the end");
                }
            }
            if ended == Wrote::Stopping {
                return;
            }
        }
    }

    async fn open_patiently(&self) -> Option<Parts> {
        let mut patience = Patience::new(&self.tasks, "begin to write messages");
        loop {
            let opened = tokio::select! {
                opened = self.open() => opened,
                () = self.tasks.stopping() => return None,
            };
            self.kafka.tell(&opened);
            match opened {
                Ok(parts) => return Some(parts),
                Err(error) => patience.after(&error).await?,
            }
        }
    }

    async fn open(&self) -> anyhow::Result<Parts> {
        let Settings { kafka, kafka_topic, kafka_group } = &self.settings;
        let log = Log::open(kafka, kafka_topic).await?;
        match store::begin_era(&self.database, kafka_topic, &log.epoch).await? {
            Era::Known | Era::Begun(0) => {}
            Era::Begun(count) => tracing::error!(
                topic = kafka_topic,
                "the topic was made anew: {count} messages of the one before are kept in the table \
                 messages_before, and are not shown any more"
            ),
            Era::Over => anyhow::bail!("the broker tells of a topic {kafka_topic} that is no more"),
            Era::OtherName => anyhow::bail!(
                "the database has the messages of another topic than {kafka_topic}: name that one \
                 in KAFKA_TOPIC, or another database"
            ),
        }
        let consumer = log
            .kafka
            .consumer()
            .group(kafka_group)
            .subscribe([kafka_topic.clone()])
            .auto_offset_reset(OffsetReset::Earliest)
            .auto_commit(false)
            .build()
            .await?;
        let producer = log
            .kafka
            .producer()
            .max_block(LETTER_WITHIN)
            .request_timeout(LETTER_WITHIN / 2)
            .delivery_timeout(LETTER_WITHIN)
            .build()
            .await?;
        let next = store::offsets(&self.database, kafka_group, kafka_topic).await?;
        Ok(Parts { log, consumer, producer, next, sought: HashMap::new() })
    }

    /// Writes what comes, until the tasks stop or the topic is another one.
    async fn follow(&self, parts: &mut Parts) -> Wrote {
        let stopping = self.tasks.stopping();
        tokio::pin!(stopping);
        loop {
            let gathered = tokio::select! {
                gathered = self.gather(parts) => gathered,
                () = &mut stopping => return Wrote::Stopping,
            };
            match self.write(parts, gathered).await {
                Wrote::Done => {}
                ended => return ended,
            }
        }
    }

    /// Records of the next moments, or as many as are written at once.
    async fn gather(&self, parts: &mut Parts) -> Gathered {
        let mut gathered = Gathered::default();
        let mut until = None;
        while gathered.rows.len() < ROWS_MAX {
            let next = parts.consumer.next_batch();
            let batch = match until {
                None => next.await,
                Some(until) => match tokio::time::timeout_at(until, next).await {
                    Ok(batch) => batch,
                    Err(_) => break,
                },
            };
            match batch {
                Ok(batch) => {
                    self.kafka.well();
                    self.take(parts, batch, &mut gathered).await;
                    until.get_or_insert_with(|| tokio::time::Instant::now() + GATHER_FOR);
                }
                Err(error) => {
                    self.kafka.away(error);
                    tokio::time::sleep(GATHER_FOR).await;
                    gathered.failed = true;
                    break;
                }
            }
        }
        gathered
    }

    /// Takes the records of a batch that the database does not have.
    async fn take(&self, parts: &mut Parts, batch: ConsumerBatch, gathered: &mut Gathered) {
        let (part, end) = (batch.partition(), batch.end());
        let from = parts.next.get(&part).copied().unwrap_or(0);
        let next = gathered.advances.get(&part).map_or(from, |advance| advance.to);
        let Some(first) = batch.records().first().map(|record| record.offset) else { return };
        // A database that is new, or older than what the broker was told, gets what it lacks; if
        // the gap is there again, the log does not have it any more.
        if first > next && parts.sought.insert(part, next) != Some(next) {
            match parts.consumer.seek(batch.topic(), part, Start::Offset(next)) {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, "the partition has gone to another"),
            }
        }
        let mut letters = Vec::new();
        for record in batch.records().iter().filter(|record| record.offset >= next) {
            let place = (part, record.offset);
            match Message::decode(record.value.as_deref()) {
                Ok(message) => {
                    gathered.rows.push(NewRow { message, part, offset: record.offset });
                }
                Err(error) => {
                    let key = record.key.clone().unwrap_or_default();
                    let value = record.value.clone().unwrap_or_default();
                    letters.push(self.letter(place, &error).key(key).value(value));
                }
            }
        }
        self.put_aside(parts, letters).await;
        let to = end.offset.max(next);
        gathered.advances.entry(part).or_insert(Advance { part, from, to }).to = to;
        gathered.ends.insert(part, end);
    }

    /// A record that is put aside, without its value.
    fn letter(&self, (part, offset): (i32, i64), error: &impl std::fmt::Display) -> Record {
        Record::to(self.settings.dead_letters())
            .header("x-error", error.to_string())
            .header("x-attempts", "1")
            .header("x-source-partition", part.to_string())
            .header("x-source-offset", offset.to_string())
    }

    /// Keeps records that cannot be rows where somebody can look at them. The rest does not wait
    /// long for a broker that cannot take them: they stay in the log as well.
    async fn put_aside(&self, parts: &Parts, letters: Vec<Record>) {
        self.dead.inc_by(letters.len() as u64);
        let sent = letters.into_iter().map(|letter| parts.producer.send(letter));
        for sent in futures_util::future::join_all(sent).await {
            match sent {
                Ok(_) => tracing::warn!("a record that cannot be a row was put aside"),
                Err(error) => {
                    tracing::error!(%error, "a record that cannot be a row was passed over");
                }
            }
        }
    }

    /// Writes what was gathered, however long the database is away.
    async fn write(&self, parts: &mut Parts, gathered: Gathered) -> Wrote {
        let Gathered { mut rows, advances, ends, failed } = gathered;
        if advances.is_empty() && !failed {
            return Wrote::Done;
        }
        match self.is_same_topic(parts).await {
            Wrote::Done if advances.is_empty() => return Wrote::Done,
            Wrote::Done => {}
            ended => return ended,
        }
        let Settings { kafka_topic, kafka_group, .. } = &self.settings;
        let advances: Vec<Advance> = advances.into_values().collect();
        let mut patience = Patience::new(&self.tasks, "write messages");
        loop {
            let of = (&**kafka_group, &**kafka_topic, &*parts.log.epoch);
            let written = store::write(&self.database, of, &rows, &advances);
            let written = tokio::time::timeout(WRITE_WITHIN, written).await;
            // What a write that was given up has done after all is found by the next one.
            let written = written.unwrap_or(Err(WriteError::Slow));
            self.health.tell(&written);
            match written {
                Ok(()) => break,
                Err(WriteError::Overtaken(part)) => {
                    tracing::info!(part, "another writer has gone on: reading what it wrote");
                    return self.begin_anew(parts, &advances).await;
                }
                Err(WriteError::OtherTopic) => return Wrote::OtherTopic,
                Err(WriteError::Database(error)) if is_refusal(&error) && !rows.is_empty() => {
                    tracing::warn!(%error, "the database refuses some of the messages");
                    match self.sift(parts, rows).await {
                        Some(taken) => rows = taken,
                        None => return Wrote::Stopping,
                    }
                }
                Err(error @ (WriteError::Database(_) | WriteError::Slow)) => {
                    if patience.after(&error).await.is_none() {
                        return Wrote::Stopping;
                    }
                }
            }
        }
        self.rows.inc_by(rows.len() as u64);
        parts.next.extend(advances.iter().map(|advance| (advance.part, advance.to)));
        if let Err(error) = parts.consumer.commit_offsets(ends.into_values()).await {
            tracing::debug!(%error, "the broker was not told how far the database is");
        }
        Wrote::Done
    }

    /// Whether the broker still has the topic that was opened. Asked when records were gathered:
    /// all of them are of this one then, for no topic's id comes again.
    async fn is_same_topic(&self, parts: &Parts) -> Wrote {
        let Log { kafka, topic, epoch, .. } = &parts.log;
        let topic = topic.as_str().into();
        let mut patience = Patience::new(&self.tasks, "ask which topic it is");
        loop {
            let asked = tokio::select! {
                asked = kafka.topic_heard_after(&topic, clock::now()) => asked,
                () = self.tasks.stopping() => return Wrote::Stopping,
            };
            self.kafka.tell(&asked);
            match asked {
                Ok(found) if found.id.to_string() == *epoch => return Wrote::Done,
                Ok(_) => return Wrote::OtherTopic,
                Err(error) => {
                    if patience.after(&error).await.is_none() {
                        return Wrote::Stopping;
                    }
                }
            }
        }
    }

    /// The rows that the database takes; the others are put aside. None if the tasks stop first.
    async fn sift(&self, parts: &Parts, rows: Vec<NewRow>) -> Option<Vec<NewRow>> {
        let mut patience = Patience::new(&self.tasks, "write messages");
        let (mut taken, mut left) = (Vec::new(), vec![rows]);
        while let Some(mut rows) = left.pop() {
            let rehearsed = store::rehearse(&self.database, &rows);
            let rehearsed = tokio::time::timeout(WRITE_WITHIN, rehearsed).await;
            match rehearsed.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
                Ok(()) => taken.append(&mut rows),
                Err(error) if is_refusal(&error) => match &rows[..] {
                    [NewRow { message, part, offset }] => {
                        let letter = self.letter((*part, *offset), &error);
                        let letter = letter.key(message.room.clone()).value(message.encode());
                        self.put_aside(parts, vec![letter]).await;
                    }
                    _ => {
                        left.push(rows.split_off(rows.len() / 2));
                        left.push(rows);
                    }
                },
                Err(error) => {
                    left.push(rows);
                    patience.after(&error).await?;
                }
            }
        }
        Some(taken)
    }

    /// Goes on in these partitions where the database is.
    async fn begin_anew(&self, parts: &mut Parts, advances: &[Advance]) -> Wrote {
        let (group, topic) = (&self.settings.kafka_group, &self.settings.kafka_topic);
        let mut patience = Patience::new(&self.tasks, "read the offsets");
        parts.next = loop {
            match store::offsets(&self.database, group, topic).await {
                Ok(next) => break next,
                Err(error) => {
                    if patience.after(&error).await.is_none() {
                        return Wrote::Stopping;
                    }
                }
            }
        };
        let topic = topic.as_str().into();
        for Advance { part, .. } in advances {
            let from = parts.next.get(part).copied().unwrap_or(0);
            if let Err(error) = parts.consumer.seek(&topic, *part, Start::Offset(from)) {
                tracing::debug!(%error, part, "the partition has gone to another");
            }
        }
        Wrote::Done
    }
}
