//! The database writer, which the original calls `kafka-consumer`: every message of the log becomes
//! a row, once.
//!
//! Rows, and how far they bring the group, are written in one transaction. The broker is told
//! afterwards, for others to see; after a crash the database knows better. Of two writers that
//! believe to have the same partition only one gets its transaction through.

use std::collections::HashMap;
use std::time::Duration;

use common::config::{self, Config};
use common::db::Database;
use common::patience::Patience;
use common::service::Running;
use common::telemetry::{Component, Telemetry};
use klamm_consumer::{ConsumeExt as _, Consumer, ConsumerBatch, OffsetReset, Position, Start};
use klamm_producer::{ProduceExt as _, Producer, Record};
use klamm_utils::task::TaskGroup;
use prometheus_client::metrics::counter::Counter;

use crate::log::Log;
use crate::message::Message;
use crate::store::{self, Advance, NewRow, WriteError};

/// How many records are gathered at most.
const ROWS_MAX: usize = 2_000;

/// For how long records are gathered.
const GATHER_FOR: Duration = Duration::from_millis(50);

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

    /// Where records go that are no messages.
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
        registry.register("dead_letters", "Records that are no messages", dead.clone());
    });
    let group = tasks.clone();
    tasks.spawn("persist", async move {
        if !database.migrate_patiently(&group, &store::migrations()).await {
            return;
        }
        let mut patience = Patience::new(&group, "join the group");
        let parts = loop {
            match Persister::open(&settings, &database).await {
                Ok(parts) => break parts,
                Err(error) => {
                    kafka.away(&error);
                    if patience.after(&error).await.is_none() {
                        return;
                    }
                }
            }
        };
        kafka.well();
        let persister =
            Persister { parts, settings, database, kafka, health, rows, dead, tasks: group };
        persister.run().await;
    });
    Ok(Running::headless(tasks))
}

struct Persister {
    parts: Parts,
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
}

impl Persister {
    async fn open(settings: &Settings, database: &Database) -> anyhow::Result<Parts> {
        let log = Log::open(&settings.kafka, &settings.kafka_topic).await?;
        let consumer = log
            .kafka
            .consumer()
            .group(&settings.kafka_group)
            .subscribe([settings.kafka_topic.clone()])
            .auto_offset_reset(OffsetReset::Earliest)
            .auto_commit(false)
            .build()
            .await?;
        let producer = log.kafka.producer().build().await?;
        let (group, topic) = (&settings.kafka_group, &settings.kafka_topic);
        let next = store::offsets(database, group, topic).await?;
        Ok(Parts { consumer, producer, next, sought: HashMap::new() })
    }

    async fn run(mut self) {
        let stopping = self.tasks.stopping();
        tokio::pin!(stopping);
        loop {
            let gathered = tokio::select! {
                gathered = self.gather() => gathered,
                () = &mut stopping => break,
            };
            if !self.write(gathered).await {
                break;
            }
        }
        let Parts { consumer, producer, .. } = self.parts;
        for closed in [consumer.close(CLOSE_WITHIN).await, producer.close(CLOSE_WITHIN).await] {
            if let Err(error) = closed {
                tracing::warn!(%error, "the broker was not told of the end");
            }
        }
    }

    /// Records of the next moments, or as many as are written at once.
    async fn gather(&mut self) -> Gathered {
        let mut gathered = Gathered::default();
        let mut until = None;
        while gathered.rows.len() < ROWS_MAX {
            let next = self.parts.consumer.next_batch();
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
                    self.take(batch, &mut gathered).await;
                    until.get_or_insert_with(|| tokio::time::Instant::now() + GATHER_FOR);
                }
                Err(error) => {
                    self.kafka.away(error);
                    tokio::time::sleep(GATHER_FOR).await;
                    if until.is_some() {
                        break;
                    }
                }
            }
        }
        gathered
    }

    /// Takes the records of a batch that the database does not have.
    async fn take(&mut self, batch: ConsumerBatch, gathered: &mut Gathered) {
        let (part, end) = (batch.partition(), batch.end());
        let from = self.parts.next.get(&part).copied().unwrap_or(0);
        let next = gathered.advances.get(&part).map_or(from, |advance| advance.to);
        let Some(first) = batch.records().first().map(|record| record.offset) else { return };
        // A database that is new, or older than what the broker was told, gets what it lacks; if
        // the gap is there again, the log does not have it any more.
        if first > next && self.parts.sought.insert(part, next) != Some(next) {
            match self.parts.consumer.seek(batch.topic(), part, Start::Offset(next)) {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, "the partition has gone to another"),
            }
        }
        for record in batch.records().iter().filter(|record| record.offset >= next) {
            match Message::decode(record.value.as_deref()) {
                Ok(message) => {
                    gathered.rows.push(NewRow { message, part, offset: record.offset });
                }
                Err(error) => {
                    let letter = Record::to(self.settings.dead_letters())
                        .key(record.key.clone().unwrap_or_default())
                        .value(record.value.clone().unwrap_or_default())
                        .header("x-error", error.to_string())
                        .header("x-attempts", "1")
                        .header("x-source-partition", part.to_string())
                        .header("x-source-offset", record.offset.to_string());
                    self.put_aside(letter).await;
                }
            }
        }
        let to = end.offset.max(next);
        gathered.advances.entry(part).or_insert(Advance { part, from, to }).to = to;
        gathered.ends.insert(part, end);
    }

    /// Keeps a record that is no message where somebody can look at it. The rest does not wait for
    /// a broker that cannot take it: the record stays in the log as well.
    async fn put_aside(&self, letter: Record) {
        self.dead.inc();
        match self.parts.producer.send(letter).await {
            Ok(_) => tracing::warn!("a record that is no message was put aside"),
            Err(error) => tracing::error!(%error, "a record that is no message was passed over"),
        }
    }

    /// Writes what was gathered, however long the database is away. False if the tasks stop first.
    async fn write(&mut self, gathered: Gathered) -> bool {
        if gathered.advances.is_empty() {
            return true;
        }
        let group = (&*self.settings.kafka_group, &*self.settings.kafka_topic);
        let advances: Vec<Advance> = gathered.advances.into_values().collect();
        let mut patience = Patience::new(&self.tasks, "write messages");
        loop {
            let written = store::write(&self.database, group, &gathered.rows, &advances).await;
            self.health.tell(&written);
            match written {
                Ok(()) => break,
                Err(WriteError::Overtaken(part)) => {
                    tracing::info!(part, "another writer has gone on: reading what it wrote");
                    return self.begin_anew(&advances).await;
                }
                Err(WriteError::Database(error)) => {
                    if patience.after(&error).await.is_none() {
                        return false;
                    }
                }
            }
        }
        self.rows.inc_by(gathered.rows.len() as u64);
        self.parts.next.extend(advances.iter().map(|advance| (advance.part, advance.to)));
        let ends = gathered.ends.into_values();
        if let Err(error) = self.parts.consumer.commit_offsets(ends).await {
            tracing::debug!(%error, "the broker was not told how far the database is");
        }
        true
    }

    /// Goes on in these partitions where the database is. False if the tasks stop first.
    async fn begin_anew(&mut self, advances: &[Advance]) -> bool {
        let (group, topic) = (&self.settings.kafka_group, &self.settings.kafka_topic);
        let mut patience = Patience::new(&self.tasks, "read the offsets");
        self.parts.next = loop {
            match store::offsets(&self.database, group, topic).await {
                Ok(next) => break next,
                Err(error) => {
                    if patience.after(&error).await.is_none() {
                        return false;
                    }
                }
            }
        };
        let topic = topic.as_str().into();
        for Advance { part, .. } in advances {
            let from = self.parts.next.get(part).copied().unwrap_or(0);
            if let Err(error) = self.parts.consumer.seek(&topic, *part, Start::Offset(from)) {
                tracing::debug!(%error, part, "the partition has gone to another");
            }
        }
        true
    }
}
