//! `unsent-consumer`: works the log into the stores, as a member of a group.

use std::net::SocketAddr;
use std::time::Duration;

use common::config::Config;
use common::kv::Stores;
use common::patience::Patience;
use common::service::Running;
use common::telemetry::{Component, Telemetry};
use klamm_client::Kafka;
use klamm_consumer::{ConsumeExt as _, Consumer, OffsetReset};
use klamm_producer::ProduceExt as _;
use klamm_utils::task::TaskGroup;

use crate::metrics::Metrics;
use crate::partition::{Shared, work};
use crate::reports::Reports;
use crate::topics;
use crate::wire::TOPIC;

/// The group of all consumers.
pub const GROUP: &str = "unsent-precompute";

/// While the master is away a partition may rest for long, and is nobody else's to take.
const REST_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What a consumer is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where `/metrics`, `/livez` and `/readyz` are.
    pub listen: SocketAddr,
    /// Its name, in logs.
    pub server_name: String,
    /// The brokers.
    pub kafka: String,
    /// Partitions of the topic, if it has to be made.
    pub partitions: i32,
}

impl Settings {
    /// Settings by their names.
    pub fn from_config(config: &mut Config) -> Self {
        Self {
            listen: config.value("LISTEN", SocketAddr::from(([127, 0, 0, 1], 0))),
            server_name: config.text("SERVER_NAME", "unsent-consumer"),
            kafka: common::config::kafka(config),
            partitions: config.value("PARTITIONS", topics::PARTITIONS),
        }
    }
}

/// Starts a consumer. It waits for the broker and the master.
pub async fn start(settings: Settings, stores: Stores) -> anyhow::Result<Running> {
    let tasks = TaskGroup::new("unsent-consumer");
    let telemetry = Telemetry::new();
    let kafka = telemetry.needs("kafka");
    let running = Running::serve(settings.listen, telemetry.routes(), tasks.clone()).await?;
    let work = consume(settings, stores, (telemetry, kafka), tasks.clone());
    tasks.spawn("consume", work);
    Ok(running)
}

async fn consume(
    settings: Settings,
    stores: Stores,
    (telemetry, kafka_seen): (Telemetry, Component),
    tasks: TaskGroup,
) {
    let metrics = Metrics::new(&telemetry);
    let mut patience = Patience::new(&tasks, "join the group");
    loop {
        let joined = tokio::select! {
            joined = join(&settings, &stores, &metrics, &tasks) => joined,
            () = tasks.stopping() => return,
        };
        kafka_seen.tell(&joined);
        let outcome = match joined {
            Ok((shared, consumer)) => {
                tracing::info!(name = settings.server_name, "joined the group");
                patience = Patience::new(&tasks, "stay in the group");
                work_all(&shared, consumer).await.map_err(anyhow::Error::from)
            }
            Err(error) => Err(error),
        };
        let Err(error) = outcome else { return };
        kafka_seen.away(&error);
        if patience.after(&error).await.is_none() {
            return;
        }
    }
}

/// A task for each partition, until the tasks stop or the group is lost.
async fn work_all(shared: &Shared, mut consumer: Consumer) -> klamm_consumer::Result<()> {
    let workers = TaskGroup::new("partitions");
    let outcome = loop {
        let stream = tokio::select! {
            stream = async { consumer.partitions().next().await } => stream,
            () = shared.tasks.stopping() => break Ok(()),
        };
        match stream {
            Ok(stream) => drop(workers.spawn("partition", work(shared.clone(), stream))),
            Err(error) => break Err(error),
        }
    };
    leave(consumer, &workers).await;
    outcome
}

async fn leave(consumer: Consumer, workers: &TaskGroup) {
    // They end when their partitions do, which the consumer takes from them as it leaves.
    let (left, _) = tokio::join!(consumer.close(STOP_WITHIN), workers.join(STOP_WITHIN));
    if let Err(error) = left {
        tracing::debug!(%error, "did not take leave of the group");
    }
}

async fn join(
    settings: &Settings,
    stores: &Stores,
    metrics: &Metrics,
    tasks: &TaskGroup,
) -> anyhow::Result<(Shared, Consumer)> {
    let kafka = topics::connect(&settings.kafka).await?;
    topics::create(&kafka, settings.partitions).await?;
    let log = kafka.topic(&TOPIC.into()).await?.id.to_string();
    let producer = kafka.producer().linger(Duration::from_millis(2));
    let reports = Reports::new(producer.max_block(Duration::from_secs(1)).build().await?);
    let consumer = subscribe(&kafka).await?;
    let (stores, metrics, tasks) = (stores.clone(), metrics.clone(), tasks.clone());
    Ok((Shared { stores, reports, metrics, tasks, log }, consumer))
}

async fn subscribe(kafka: &Kafka) -> klamm_consumer::Result<Consumer> {
    kafka
        .consumer()
        .group(GROUP)
        .subscribe([TOPIC])
        .auto_offset_reset(OffsetReset::Earliest)
        .auto_commit(false)
        .max_poll_interval(REST_MAX)
        .build()
        .await
}
