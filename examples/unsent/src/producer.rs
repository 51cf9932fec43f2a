//! `unsent-producer`: takes messages and answers who wrote, over HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `POST /messages` | 202: it is in the log |
//! | `POST /messages/batch` | 202 or 503, and each message's own outcome |
//! | `GET /users/{touser}/unsent` | who wrote, how much and when |
//! | `GET /users/{touser}/unsent/{fromuser}` | the messages |
//! | `DELETE` of it, `POST` of it and `/ack` | they were handed over |
//! | `GET /live`, `?touser=` | server-sent events: what changes |
//! | `GET /stats` | how much the master is spared |
//! | `POST /dev/cut-master` | in dev mode: cuts the master off |

mod access;
mod answers;
mod live;
mod posts;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use common::config::Config;
use common::http;
use common::kv::Stores;
use common::patience::Patience;
use common::service::Running;
use common::telemetry::{Component, Telemetry};
use klamm_client::Kafka;
use klamm_producer::{ProduceExt as _, Producer};
use klamm_utils::task::TaskGroup;

pub use access::Access;

use crate::metrics::Metrics;
use crate::topics;
use crate::view::View;
use crate::wire::TOPIC;

/// Messages of one batch, at most.
const BATCH_MESSAGES_MAX: usize = 1_000;
/// Bytes of a body: a batch of messages of usual length.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Who posts hears so soon that the broker is away.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a producer is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its name, in answers.
    pub server_name: String,
    /// The brokers.
    pub kafka: String,
    /// Partitions of the topic, if it has to be made.
    pub partitions: i32,
    /// Whether the master may be cut off by a request.
    pub dev_mode: bool,
    /// Who may ask for what.
    pub access: Access,
    /// Whom to believe, and how much to read.
    pub http: http::Settings,
}

impl Settings {
    /// Settings by their names.
    pub fn from_config(config: &mut Config) -> Self {
        let http =
            http::Settings { body_bytes_max: BODY_BYTES_MAX, ..http::Settings::read(config) };
        Self {
            listen: config.value("LISTEN", SocketAddr::from(([127, 0, 0, 1], 8000))),
            server_name: config.text("SERVER_NAME", "unsent-producer"),
            kafka: common::config::kafka(config),
            partitions: config.value("PARTITIONS", topics::PARTITIONS),
            dev_mode: config.value("DEV_MODE", false),
            access: Access::read(config),
            http,
        }
    }
}

/// What requests are answered with.
#[derive(Clone, Debug)]
struct App {
    name: Arc<str>,
    stores: Stores,
    metrics: Metrics,
    live: live::Live,
    dev_mode: bool,
    access: Access,
    tasks: TaskGroup,
    /// Set once the broker was there.
    log: Arc<OnceLock<Log>>,
}

/// What is there once the broker was.
#[derive(Clone, Debug)]
struct Log {
    producer: Producer,
    view: View,
}

/// Starts the service. It listens at once, and answers 503 until the broker was there.
pub async fn start(settings: Settings, stores: Stores) -> anyhow::Result<Running> {
    let tasks = TaskGroup::new("unsent-producer");
    let telemetry = Telemetry::new();
    let app = App {
        name: settings.server_name.as_str().into(),
        stores,
        metrics: Metrics::new(&telemetry),
        live: live::Live::default(),
        dev_mode: settings.dev_mode,
        access: settings.access.clone(),
        tasks: tasks.clone(),
        log: Arc::default(),
    };
    let router = http::guard(routes(app.clone()).merge(telemetry.routes()), &settings.http);
    let seen = telemetry.needs("kafka");
    let running = Running::serve(settings.listen, router, tasks.clone()).await?;
    tasks.spawn("connect", connect(app, settings, seen, tasks.clone()));
    Ok(running)
}

fn routes(app: App) -> Router {
    let sender = "/users/{touser}/unsent/{fromuser}";
    Router::new()
        .route("/health", get(answers::health))
        .route("/messages", post(posts::one))
        .route("/messages/batch", post(posts::batch))
        .route("/users/{touser}/unsent", get(answers::unsent))
        .route(sender, get(answers::messages).delete(posts::hand_over))
        .route(&format!("{sender}/ack"), post(posts::hand_over_some))
        .route("/live", get(live::follow))
        .route("/stats", get(answers::stats))
        .route("/dev/cut-master", post(answers::cut_master))
        .with_state(app)
}

/// Waits for the broker, then follows what changes until the tasks stop.
async fn connect(app: App, settings: Settings, seen: Component, tasks: TaskGroup) {
    let mut patience = Patience::new(&tasks, "reach the broker");
    let (kafka, log) = loop {
        let reached = tokio::select! {
            reached = log_of(&app, &settings) => reached,
            () = tasks.stopping() => return,
        };
        seen.tell(&reached);
        match reached {
            Ok(reached) => break reached,
            Err(error) if patience.after(&error).await.is_some() => {}
            Err(_) => return,
        }
    };
    let producer = log.producer.clone();
    // This task alone sets it, and once.
    let _ = app.log.set(log);
    app.live.follow(&kafka, &tasks).await;
    if let Err(error) = producer.close(PATIENCE).await {
        tracing::warn!(%error, "not everything was sent");
    }
}

async fn log_of(app: &App, settings: &Settings) -> anyhow::Result<(Kafka, Log)> {
    let kafka = topics::connect(&settings.kafka).await?;
    topics::create(&kafka, settings.partitions).await?;
    let partitions = u32::try_from(kafka.topic(&TOPIC.into()).await?.partitions.len())?;
    let view = View::new(app.stores.clone(), app.metrics.clone(), partitions);
    let producer = kafka.producer().linger(Duration::from_millis(2)).max_block(PATIENCE);
    let producer = producer.delivery_timeout(PATIENCE).request_timeout(PATIENCE / 2);
    Ok((kafka, Log { producer: producer.build().await?, view }))
}
