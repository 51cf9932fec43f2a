//! The worker as a service: it reads the log for questions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::bus::Bus;
use common::config::{self, Config};
use common::patience::Patience;
use common::service::Running;
use common::telemetry::{Component, Telemetry};
use klamm_consumer::{ConsumeExt as _, Consumer, OffsetReset};
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::Llm;
use super::worker::Worker;
use crate::log::{self, Log};
use crate::message::Message;

/// For how long a member that stops may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

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
        let outcome = loop {
            let batch = tokio::select! {
                batch = consumer.next_batch() => batch,
                () = self.tasks.stopping() => break Ok(()),
            };
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => break Err(error),
            };
            let messages = batch.records().iter();
            let messages =
                messages.filter_map(|record| Message::decode(record.value.as_deref()).ok());
            messages.for_each(|message| Arc::clone(&self.worker).take(message));
            let places = consumer.assignment();
            let lags = places.iter().filter_map(|(topic, part)| consumer.lag(topic, *part));
            self.lag.set(lags.sum());
        };
        if let Err(error) = consumer.close(CLOSE_WITHIN).await {
            tracing::debug!(%error, "the group was not told of the end");
        }
        outcome
    }

    async fn open(&self) -> klamm_client::Result<Consumer> {
        let Log { kafka, topic, .. } = &self.log;
        let consumer = kafka.consumer().group(&self.group_id).subscribe([topic.clone()]);
        consumer.auto_offset_reset(OffsetReset::Latest).build().await
    }
}
