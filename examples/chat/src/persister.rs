//! The database writer, which the original calls `kafka-consumer`: every message of the log becomes
//! a row, once.
//!
//! Rows, and how far they bring the group, are written in one transaction. The broker is told
//! afterwards, for others to see; after a crash the database knows better. Of two writers that
//! believe to have the same partition only one gets its transaction through.

mod gather;
mod metrics;
mod write;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use common::config::{self, Config};
use common::db::Database;
use common::patience::Patience;
use common::service::Running;
use common::telemetry::{Component, Telemetry};
use klamm_consumer::{ConsumeExt as _, Consumer, OffsetReset};
use klamm_producer::{ProduceExt as _, Producer};
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;

use self::metrics::Metrics;
use self::write::Wrote;
use crate::log::Log;
use crate::store::{self, Era};

/// A consumer that was well for so long is opened again at once if it fails.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// For how long the broker may take for a record that is put aside.
const LETTER_WITHIN: Duration = Duration::from_secs(2);

/// For how long a member that stops may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// What a database writer is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where `/metrics`, `/livez` and `/readyz` are; port 0 takes a free one.
    pub listen: SocketAddr,
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
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            kafka: kafka.to_owned(),
            kafka_topic: "chat_messages".into(),
            kafka_group: "chat_group".into(),
        }
    }

    /// By the names of the original, and `LISTEN`.
    pub fn read(config: &mut Config) -> Self {
        let defaults = Self::dev("");
        Self {
            listen: config.value("LISTEN", defaults.listen),
            kafka: config::kafka(config),
            kafka_topic: config.text("KAFKA_TOPIC", &defaults.kafka_topic),
            kafka_group: config.text("KAFKA_GROUP_ID", &defaults.kafka_group),
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
    let running = Running::serve(settings.listen, telemetry.routes(), tasks.clone()).await?;
    let metrics = Metrics::new(&telemetry);
    let persister = Persister { settings, database, kafka, health, metrics, tasks: tasks.clone() };
    tasks.spawn("persist", async move { persister.run().await });
    Ok(running)
}

struct Persister {
    settings: Settings,
    database: Database,
    kafka: Component,
    health: Component,
    metrics: Metrics,
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

impl Persister {
    async fn run(&self) {
        if !self.database.migrate_patiently(&self.tasks, &store::migrations()).await {
            return;
        }
        self.health.well();
        let mut patience = Patience::new(&self.tasks, "read messages");
        while let Some(mut parts) = self.open_patiently().await {
            let opened = clock::now();
            let ended = self.follow(&mut parts).await;
            let Parts { consumer, producer, .. } = parts;
            for closed in [consumer.close(CLOSE_WITHIN).await, producer.close(CLOSE_WITHIN).await] {
                if let Err(error) = closed {
                    tracing::warn!(%error, "the broker was not told of the end");
                }
            }
            match ended {
                Wrote::Done | Wrote::OtherTopic => {}
                Wrote::Unread(error) => {
                    self.kafka.away(&error);
                    if opened.elapsed() > WELL_AFTER {
                        patience = Patience::new(&self.tasks, "read messages");
                    }
                    if patience.after(&error).await.is_none() {
                        return;
                    }
                }
                Wrote::Stopping => return,
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
        let Settings { kafka, kafka_topic, kafka_group, .. } = &self.settings;
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

    /// Writes what comes, until the tasks stop, the topic is another one, or a partition cannot be
    /// read: that is told once, and its consumer gives nothing more of it.
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
}
