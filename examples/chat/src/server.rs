//! The chat server: one instance of several.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header;
use common::bus::Bus;
use common::config::Config;
use common::db::Database;
use common::service::Running;
use common::telemetry::{Component, Telemetry};
use common::{auth, config, http};
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;

use crate::instance::Instance;
use crate::log::Log;
use crate::{api, attendance, log, pointers, store, tail};

/// How often the broker is asked whether the topic is the same one still.
const SAME_EVERY: Duration = Duration::from_secs(5);

/// How often the database is asked whether it is there.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What a chat server is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Its name, which pages show.
    pub server_name: String,
    /// The brokers.
    pub kafka: String,
    /// The topic of messages.
    pub kafka_topic: String,
    /// The group of the database writers: how far the database has come.
    pub kafka_group: String,
    /// How tokens are made.
    pub auth: auth::Settings,
    /// Whom to believe.
    pub http: http::Settings,
    /// Messages of a user in a second; 0 is without limit.
    pub messages_per_second: u32,
    /// Messages of a user at once.
    pub messages_burst: u32,
    /// Open pages of a user at one instance.
    pub sockets_per_user: usize,
    /// Open pages of an address at one instance.
    pub sockets_per_address: usize,
    /// Rooms that a user may make in an hour at one instance; 0 is without limit.
    pub rooms_per_hour: u32,
    /// Whether `/ws/chat?token=` is taken, as the original has it. Proxies write tokens into logs.
    pub compat_token_in_query: bool,
}

impl Settings {
    /// For a demonstration or a test: on a free port of this machine.
    #[must_use]
    pub fn dev(server_name: &str, kafka: &str) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            server_name: server_name.to_owned(),
            kafka: kafka.to_owned(),
            kafka_topic: "chat_messages".into(),
            kafka_group: "chat_group".into(),
            auth: auth::Settings::dev(auth::SAMPLE_SECRET),
            http: http::Settings::default(),
            messages_per_second: 10,
            messages_burst: 20,
            sockets_per_user: 5,
            sockets_per_address: 1_000,
            rooms_per_hour: 10,
            compat_token_in_query: false,
        }
    }

    /// By the names of the original: see `env.sample`.
    pub fn read(config: &mut Config) -> Self {
        let defaults = Self::dev("", "");
        let host = config.value("SERVER_HOST", std::net::IpAddr::from([127, 0, 0, 1]));
        let port: u16 = config.value("SERVER_PORT", 8080);
        Self {
            listen: SocketAddr::new(host, port),
            server_name: config.text("SERVER_NAME", "Asia"),
            kafka: config::kafka(config),
            kafka_topic: config.text("KAFKA_TOPIC", &defaults.kafka_topic),
            kafka_group: config.text("KAFKA_GROUP_ID", &defaults.kafka_group),
            auth: auth::Settings::read(config),
            http: http::Settings::read(config),
            messages_per_second: config.value("MESSAGES_PER_SECOND", defaults.messages_per_second),
            messages_burst: config.value("MESSAGES_BURST", defaults.messages_burst),
            sockets_per_user: config.value("SOCKETS_PER_USER", defaults.sockets_per_user),
            sockets_per_address: config.value("SOCKETS_PER_ADDRESS", defaults.sockets_per_address),
            rooms_per_hour: config.value("ROOMS_PER_HOUR", defaults.rooms_per_hour),
            compat_token_in_query: config.value("COMPAT_TOKEN_IN_QUERY", false),
        }
    }
}

/// What a chat server uses.
#[derive(Clone, Debug)]
pub struct Backends {
    /// Accounts, rooms, and the history.
    pub database: Database,
    /// What is fleeting.
    pub bus: Bus,
}

/// Starts a chat server. It answers at once, and waits for what is away.
pub async fn start(settings: Settings, backends: Backends) -> anyhow::Result<Running> {
    let (tasks, telemetry) = (TaskGroup::new("chat-server"), Telemetry::new());
    start_with(settings, backends, telemetry, tasks).await
}

/// The same, with metrics and tasks that were made before, such as those of its bus.
pub async fn start_with(
    settings: Settings,
    backends: Backends,
    telemetry: Telemetry,
    tasks: TaskGroup,
) -> anyhow::Result<Running> {
    let (listen, http) = (settings.listen, settings.http.clone());
    let database = telemetry.needs("database");
    let instance = Arc::new(Instance::new(settings, backends, telemetry, tasks.clone()));
    spawn(&instance, "database", |instance| watch_database(instance, database));
    spawn(&instance, "tail", follow_log);
    spawn(&instance, "hear", Instance::hear);
    spawn(&instance, "sessions", Instance::end_sessions);
    spawn(&instance, "pointers", pointers::tell);
    spawn(&instance, "reads", pointers::write);
    spawn(&instance, "presence", attendance::tell);
    let ending = Arc::clone(&instance);
    tasks.spawn("end", async move {
        ending.tasks.stopping().await;
        ending.close_sockets();
        attendance::say_goodbye(&ending).await;
        if let Some((_, writer)) = ending.log.get() {
            writer.clone().close().await;
        }
    });
    let router = http::guard(api::routes(instance), &http);
    Running::serve(listen, router.layer(axum::middleware::from_fn(no_sniffing)), tasks).await
}

/// Answers of an API are no pages, whatever a browser may think.
async fn no_sniffing(
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    let mut response = next.run(request).await;
    let policy = axum::http::HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// A task that is cut short when the tasks stop.
fn spawn<W: Future<Output = ()> + Send + 'static>(
    instance: &Arc<Instance>,
    name: &'static str,
    work: impl FnOnce(Arc<Instance>) -> W,
) {
    let (work, stopping) = (work(Arc::clone(instance)), instance.tasks.stopping());
    instance.tasks.spawn(name, async move {
        tokio::select! {
            () = work => {}
            () = stopping => {}
        }
    });
}

/// Prepares the database when it is there, and looks after it from then on.
async fn watch_database(instance: Arc<Instance>, component: Component) {
    if !instance.database.migrate_patiently(&instance.tasks, &store::migrations()).await {
        return;
    }
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        component.tell(&instance.database.ping().await);
    }
}

/// Connects to the broker when it is there, and shows what comes from it from then on.
async fn follow_log(instance: Arc<Instance>) {
    let Settings { kafka, kafka_topic, .. } = &instance.settings;
    let reached = log::reach((kafka, kafka_topic), &instance.kafka, &instance.tasks).await;
    let Some((log, writer)) = reached else { return };
    let _ = instance.log.set((log.clone(), writer));
    tokio::select! {
        () = tail::follow(&instance, &log) => {}
        () = until_made_anew(&log) => {
            tracing::error!(topic = log.topic, "the topic was made anew: this server ends");
            instance.kafka.away("the topic was made anew");
            instance.tasks.stop();
        }
    }
}

/// Returns when the broker has another topic of this name: no offset that is known here means
/// anything then.
async fn until_made_anew(log: &Log) {
    let topic = log.topic.as_str().into();
    loop {
        tokio::time::sleep(SAME_EVERY).await;
        match log.kafka.topic_heard_after(&topic, clock::now()).await {
            Ok(found) if found.id.to_string() != log.epoch => return,
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "it is not known whether the topic is the same"),
        }
    }
}
