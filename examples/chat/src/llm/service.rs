//! The worker as a service: it reads the log for questions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::bus::Bus;
use common::config::{self, Config};
use common::patience::Patience;
use common::service::Running;
use common::telemetry::{Component, Telemetry};
use klamm_consumer::{ConsumeExt as _, Consumer, ConsumerBatch, ConsumerEvent, OffsetReset};
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::MissedTickBehavior;

use super::Llm;
use super::progress::Progress;
use super::worker::Worker;
use crate::log::{self, Log};
use crate::message::Message;

/// For how long a member that stops may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// How often it is committed how far questions are answered.
const COMMIT_EVERY: Duration = Duration::from_secs(5);

/// For how long a commit may keep questions waiting.
const COMMIT_WITHIN: Duration = Duration::from_secs(2);

/// A consumer that was well for so long is opened again at once if it fails.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// What a worker is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where `/metrics`, `/livez` and `/readyz` are; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The brokers.
    pub kafka: String,
    /// The topic of messages.
    pub kafka_topic: String,
    /// Workers of one group share the questions.
    pub kafka_group: String,
    /// Who answers.
    pub llm: Llm,
    /// How long an answer may be.
    pub tokens_max: u32,
    /// Questions of a user in a minute; 0 is without limit.
    pub questions_per_minute: u32,
    /// The pause after each word of the builtin, so that one sees it come.
    pub builtin_pause: Duration,
}

impl Settings {
    /// For a demonstration or a test.
    #[must_use]
    pub fn dev(kafka: &str) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            kafka: kafka.to_owned(),
            kafka_topic: "chat_messages".into(),
            kafka_group: "llm_group".into(),
            llm: Llm::Builtin,
            tokens_max: 75,
            questions_per_minute: 5,
            builtin_pause: Duration::from_millis(60),
        }
    }

    /// By the names of the original, `LISTEN`, and [`Llm::read`].
    pub fn read(config: &mut Config) -> Self {
        let defaults = Self::dev("");
        Self {
            listen: config.value("LISTEN", defaults.listen),
            kafka: config::kafka(config),
            kafka_topic: config.text("KAFKA_TOPIC", &defaults.kafka_topic),
            kafka_group: config.text("LLM_GROUP_ID", &defaults.kafka_group),
            llm: Llm::read(config),
            tokens_max: config.value("LLM_MAX_TOKENS", defaults.tokens_max),
            questions_per_minute: config
                .value("LLM_QUESTIONS_PER_MINUTE", defaults.questions_per_minute),
            builtin_pause: defaults.builtin_pause,
        }
    }
}

/// Starts a worker. It waits for what is away.
pub async fn start(settings: Settings, bus: Bus) -> anyhow::Result<Running> {
    start_with(settings, bus, Telemetry::new(), TaskGroup::new("llm-worker")).await
}

/// The same, with metrics and tasks that were made before, such as those of its bus.
pub async fn start_with(
    settings: Settings,
    bus: Bus,
    telemetry: Telemetry,
    tasks: TaskGroup,
) -> anyhow::Result<Running> {
    let (kafka, group) = (telemetry.needs("kafka"), tasks.clone());
    let running = Running::serve(settings.listen, telemetry.routes(), tasks.clone()).await?;
    let (answered, lag) = (Counter::default(), Gauge::default());
    telemetry.register(|registry| {
        registry.register("answers", "Questions answered", answered.clone());
        registry.register("consumer_lag", "Messages that were not looked at yet", lag.clone());
    });
    tasks.spawn("read", async move {
        let at = (&*settings.kafka, &*settings.kafka_topic);
        let Some((log, writer)) = log::reach(at, &kafka, &group).await else { return };
        let group_id = settings.kafka_group.clone();
        let worker = Arc::new(Worker::new(settings, bus, writer, answered, group.clone()));
        let hears = Arc::clone(&worker);
        group.spawn("stop", async move { hears.hear_stops().await });
        Reader { worker, log, group_id, kafka, lag, tasks: group }.read_patiently().await;
    });
    Ok(running)
}

/// Reads questions.
struct Reader {
    worker: Arc<Worker>,
    log: Log,
    group_id: String,
    kafka: Component,
    lag: Gauge,
    tasks: TaskGroup,
}

impl Reader {
    /// Reads until the tasks stop. That a partition cannot be read is told once, and its consumer
    /// gives nothing more of it: the next one may.
    async fn read_patiently(&self) {
        let mut patience = Patience::new(&self.tasks, "read questions");
        loop {
            let opened = clock::now();
            let Err(error) = self.read().await else { return };
            self.kafka.away(&error);
            if opened.elapsed() > WELL_AFTER {
                patience = Patience::new(&self.tasks, "read questions");
            }
            if patience.after(&error).await.is_none() {
                return;
            }
        }
    }

    /// Reads until the tasks stop, or something cannot be read.
    async fn read(&self) -> klamm_client::Result<()> {
        let mut consumer = tokio::select! {
            consumer = self.open() => consumer?,
            () = self.tasks.stopping() => return Ok(()),
        };
        self.kafka.well();
        let (mut events, mut progress) = (consumer.events(), Progress::default());
        let mut commits = tokio::time::interval(COMMIT_EVERY);
        commits.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outcome = loop {
            tokio::select! {
                Some(event) = events.next() => self.follow(event, &consumer, &mut progress).await,
                _ = commits.tick() => self.commit(&consumer, &mut progress).await,
                batch = consumer.next_batch() => match batch {
                    Ok(batch) => self.take(&batch, &mut progress),
                    Err(error) => break Err(error),
                },
                () = self.tasks.stopping() => break Ok(()),
            }
            let places = consumer.assignment();
            let lags = places.iter().filter_map(|(topic, part)| consumer.lag(topic, *part));
            self.lag.set(lags.sum());
        };
        self.commit(&consumer, &mut progress).await;
        // A partition that is taken now waits for nobody.
        drop(events);
        if let Err(error) = consumer.close(CLOSE_WITHIN).await {
            tracing::debug!(%error, "the group was not told of the end");
        }
        outcome
    }

    /// Has the questions of a batch answered.
    fn take(&self, batch: &ConsumerBatch, progress: &mut Progress) {
        let mut open = Vec::new();
        for record in batch.records() {
            let Ok(message) = Message::decode(record.value.as_deref()) else { continue };
            let id = message.id;
            Arc::clone(&self.worker).take(message);
            if self.worker.is_open(id) {
                open.push((record.offset, id));
            }
        }
        progress.read(batch.end(), open);
    }

    async fn follow(&self, event: ConsumerEvent, consumer: &Consumer, progress: &mut Progress) {
        let lost = match &event {
            ConsumerEvent::Revoking(revocation) => {
                self.commit(consumer, progress).await;
                revocation.partitions()
            }
            ConsumerEvent::Lost(places) => places,
            // The next batch tells of everything else.
            _ => return,
        };
        lost.iter().for_each(|(topic, partition)| progress.forget(topic, *partition));
    }

    /// Commits up to the oldest question of each partition whose answer is not finished: what a
    /// worker leaves, by a stop or a crash, the next one answers. An answer that is said twice has
    /// one id.
    async fn commit(&self, consumer: &Consumer, progress: &mut Progress) {
        let reached = progress.reached(|id| self.worker.is_open(id));
        if reached.is_empty() {
            return;
        }
        let commit = consumer.commit_offsets(reached.iter().cloned());
        match tokio::time::timeout(COMMIT_WITHIN, commit).await {
            Ok(Ok(())) => progress.committed(&reached),
            Ok(Err(error)) => tracing::debug!(%error, "questions may be answered twice"),
            Err(_) => tracing::debug!("questions may be answered twice: no commit in time"),
        }
    }

    async fn open(&self) -> klamm_client::Result<Consumer> {
        let Log { kafka, topic, .. } = &self.log;
        let consumer = kafka.consumer().group(&self.group_id).subscribe([topic.clone()]);
        consumer.auto_commit(false).auto_offset_reset(OffsetReset::Latest).build().await
    }
}
