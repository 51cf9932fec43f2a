//! `websock-svc`: a pod, which holds sockets and passes messages on.
//!
//! | task | how many | ends |
//! |---|---|---|
//! | `sock-recv` | one a socket | when the socket does, or the pod stops: first of all |
//! | `kafka-pub` | `worker_count` | when all that was read is published |
//! | `kafka-sub` | `worker_count`, and one for each topic that all pods read | then |
//! | `sock-writer` | `worker_count` | when all that was taken is handed to sockets |
//! | `saves`, `statuses`, `outbox`, `status-feed`, `reap` | one each | last |
//! | `lease` | one | likewise; it says that the pod has left |
//!
//! Receivers are told apart by their names: one worker has all messages of one receiver, so they
//! stay in order. Every queue is bounded.

mod answers;
mod deaths;
mod known;
mod lanes;
mod lease;
mod metrics;
mod mode;
mod outbox;
mod publish;
mod reap;
mod recent;
mod route;
mod run;
mod save;
mod seen;
mod socket;
mod sockets;
mod subscribe;
mod told;
mod topics;
mod unsent;
mod write;

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::FromRef;
use common::auth::{Auth, Limiter};
use common::config::Config;
use common::db::Database;
use common::http;
use common::registry::Registry;
use common::service::Running;
use common::telemetry::Telemetry;
use klamm_utils::clock::{Clock as _, SystemClock};
use klamm_utils::task::TaskGroup;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, watch};
use uuid::Uuid;

use crate::store::{Advance, Store};
use crate::wire::Routed;
use metrics::Metrics;
use mode::SharedTopic;
pub use mode::{Mode, NoMode};
use publish::Job;
use recent::Recent;
use save::Save;
use sockets::Sockets;

/// Messages that wait for a worker, at most.
const QUEUE: usize = 1_024;
/// New tokens of one user within a time: all pages may send theirs together.
const RENEWALS: u32 = 20;
const RENEWALS_WITHIN: Duration = Duration::from_secs(20);
/// The ways of the latest messages that are remembered.
const HOPS: usize = 20;

/// When a message counts as delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveredOn {
    /// When its receiver says so.
    ClientAck,
    /// When it was written to the receiver's socket, as in the original.
    SocketWrite,
}

/// What a pod is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its name: no two pods that live have the same.
    pub pod_id: String,
    /// The brokers.
    pub kafka: String,
    /// Workers of each kind, and partitions of the pod's topic.
    pub worker_count: usize,
    /// How messages find their pod.
    pub mode: Mode,
    /// What stands before a pod's name in that of its topic.
    pub topic_prefix: String,
    /// When a message counts as delivered.
    pub delivered_on: DeliveredOn,
    /// Messages a second of one user; 0 is without limit.
    pub messages_per_second: u32,
    /// Sockets of one user at this pod.
    pub sockets_per_user: usize,
    /// How often a socket is asked whether anybody is there.
    pub ping_every: Duration,
    /// After how long a socket is sent again what it has not acknowledged.
    pub again_after: Duration,
    /// Whether the mode may be changed by a request.
    pub dev_mode: bool,
    /// Whom to believe, and how much to read.
    pub http: http::Settings,
}

impl Settings {
    /// Settings by their names.
    pub fn from_config(config: &mut Config) -> Self {
        let port: u16 = config.value("PORT", 3000);
        let random = format!("pod-{:x}", klamm_utils::random::Random::new().below(1 << 32));
        let delivered_on = match config.text("DELIVERED_ON", "client_ack").as_str() {
            "client_ack" => DeliveredOn::ClientAck,
            "socket_write" => DeliveredOn::SocketWrite,
            other => {
                config.refuse(format!("DELIVERED_ON={other}: client_ack or socket_write"));
                DeliveredOn::ClientAck
            }
        };
        Self {
            listen: config.value("LISTEN", SocketAddr::from(([127, 0, 0, 1], port))),
            pod_id: config.text("POD_ID", &random),
            kafka: crate::config::kafka(config),
            worker_count: config.value("WORKER_COUNT", 10_usize).clamp(1, 100),
            mode: config.value("MODE", Mode::PodId),
            topic_prefix: config.text("TOPIC_PREFIX", "pod."),
            delivered_on,
            messages_per_second: config.value("MESSAGES_PER_SECOND", 10),
            sockets_per_user: config.value("SOCKETS_PER_USER", 5),
            ping_every: socket::PING_EVERY,
            again_after: socket::AGAIN_AFTER,
            dev_mode: config.value("DEV_MODE", false),
            http: http::Settings::read(config),
        }
    }
}

/// What a pod works with.
#[derive(Clone)]
pub struct Backends {
    /// Where messages are.
    pub database: Database,
    /// Who is where.
    pub registry: Registry,
    /// Who somebody is.
    pub auth: Auth,
}

/// A pod. Clones are handles to the same.
#[derive(Clone)]
struct Pod(Arc<Inner>);

struct Inner {
    settings: Settings,
    registry: Registry,
    store: Store,
    auth: Auth,
    sockets: Sockets,
    metrics: Metrics,
    /// Who writes too fast.
    limiter: Limiter<String>,
    /// Who sends new tokens too fast.
    renewals: Limiter<String>,
    /// The tasks of sockets, which end first.
    socket_tasks: TaskGroup,
    /// To `kafka-pub` workers, by receiver.
    publish: Vec<mpsc::Sender<Job>>,
    /// To `sock-writer` workers, by receiver.
    write: Vec<mpsc::Sender<(Routed, Source)>>,
    /// To `saves`.
    save: mpsc::Sender<Save>,
    /// To `statuses`.
    advance: mpsc::Sender<Advance>,
    /// Wakes `outbox`.
    outbox: Notify,
    mode: watch::Sender<Mode>,
    /// Changes when all sockets are to ask for what they wait for.
    ask_again: watch::Sender<u64>,
    /// The sessions that ended last.
    ended: watch::Sender<HashSet<Uuid>>,
    /// When it began, in milliseconds since 1970.
    began_ms: i64,
    hops: Mutex<VecDeque<Hop>>,
    /// Names of accounts, by what compares them.
    known: Mutex<Recent<String, String>>,
    states: lease::Cache,
    /// The place of the latest message.
    placed_us: AtomicI64,
}

/// The topic that a message came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The pod's own, or that of a dead one: the receiver was to be here.
    Pod,
    /// One that all pods read.
    Shared(SharedTopic),
}

/// The way that a message took.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Hop {
    message_id: Uuid,
    from_pod: String,
    to_pod: String,
    sender_id: String,
    reciever_id: String,
    took_ms: i64,
    at: i64,
}

/// Starts a pod. It listens at once, and waits for what it needs.
pub async fn start(settings: Settings, backends: Backends) -> anyhow::Result<Running> {
    let telemetry = Telemetry::new();
    let tasks = TaskGroup::new("websock-svc");
    let (pod, queues) = new(settings, backends.clone(), &telemetry);
    let routes = answers::routes(pod.clone()).merge(telemetry.routes());
    let router = http::guard(routes, &pod.0.settings.http);
    // Known before anybody can ask whether they are there.
    let needs =
        run::Needs { database: telemetry.needs("database"), kafka: telemetry.needs("kafka") };
    let running = Running::serve(pod.0.settings.listen, router, tasks.clone()).await?;
    // Whatever else is awaited: pages are here already, and ask over HTTP.
    tasks.spawn("sessions", run::end_sessions(pod.clone(), tasks.clone()));
    let work = run::run(pod, queues, backends.database, needs, tasks.clone());
    tasks.spawn("pod", work);
    Ok(running)
}

fn new(settings: Settings, backends: Backends, telemetry: &Telemetry) -> (Pod, run::Queues) {
    let Backends { database, registry, auth } = backends;
    let count = settings.worker_count;
    let (publish, jobs) = (0..count).map(|_| mpsc::channel(QUEUE)).unzip();
    let (write, deliveries) = (0..count).map(|_| mpsc::channel(QUEUE)).unzip();
    let (save, saves) = mpsc::channel(QUEUE);
    let (advance, advances) = mpsc::channel(QUEUE);
    let burst = settings.messages_per_second.saturating_mul(2);
    let pod = Pod(Arc::new(Inner {
        registry,
        store: Store::new(database),
        auth,
        sockets: Sockets::new(settings.sockets_per_user),
        metrics: Metrics::new(telemetry),
        limiter: Limiter::new(burst, Duration::from_secs(2)),
        renewals: Limiter::new(RENEWALS, RENEWALS_WITHIN),
        socket_tasks: TaskGroup::new("sockets"),
        publish,
        write,
        save,
        advance,
        outbox: Notify::new(),
        mode: watch::Sender::new(settings.mode),
        ask_again: watch::Sender::default(),
        ended: watch::Sender::default(),
        began_ms: now_ms(),
        hops: Mutex::default(),
        known: Mutex::new(Recent::new(known::REMEMBERED)),
        states: lease::Cache::default(),
        placed_us: AtomicI64::new(0),
        settings,
    }));
    (pod, run::Queues { jobs, deliveries, saves, advances })
}

impl Pod {
    fn id(&self) -> &str {
        &self.0.settings.pod_id
    }

    /// The worker for a receiver, among those of one kind, however the name is written.
    fn worker<T>(queues: &[T], receiver: &str) -> usize {
        let receiver = common::auth::normal(receiver);
        let hash = klamm_utils::hash::fnv1a_32(receiver.as_bytes()) as usize;
        hash.checked_rem(queues.len()).unwrap_or(0)
    }

    /// The next place of a message: now, or just behind the latest.
    fn place(&self) -> i64 {
        let now_us = now_ms().saturating_mul(1_000);
        let next = |latest: i64| Some(now_us.max(latest.saturating_add(1)));
        let latest = self.0.placed_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let latest = latest.unwrap_or_else(|latest| latest);
        now_us.max(latest.saturating_add(1))
    }

    fn hops(&self) -> MutexGuard<'_, VecDeque<Hop>> {
        self.0.hops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Recent<String, String>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, hop: Hop) {
        let mut hops = self.hops();
        hops.push_front(hop);
        hops.truncate(HOPS);
    }
}

impl FromRef<Pod> for Auth {
    fn from_ref(pod: &Pod) -> Self {
        pod.0.auth.clone()
    }
}

fn now_ms() -> i64 {
    SystemClock::new().now_ms()
}
