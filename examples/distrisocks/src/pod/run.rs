//! The life of a pod: what it waits for, and in which order it ends.

use std::time::Duration;

use common::db::Database;
use common::patience::Patience;
use common::telemetry::Component;
use klamm_client::Kafka;
use klamm_producer::{ProduceExt as _, Producer};
use klamm_utils::task::TaskGroup;
use tokio::sync::mpsc;

use super::publish::Job;
use super::save::Save;
use super::subscribe::Reads;
use super::{
    Pod, SharedTopic, Source, lease, outbox, publish, reap, save, subscribe, topics, write,
};
use crate::store::{Advance, MIGRATIONS};
use crate::wire::Routed;

const STOP_WITHIN: Duration = Duration::from_secs(3);
/// Who cannot be reached for so long is taken to be away: the message is tried again, perhaps by
/// another way.
const PATIENCE: Duration = Duration::from_secs(5);

/// The ends that workers read.
pub(super) struct Queues {
    pub(super) jobs: Vec<mpsc::Receiver<Job>>,
    pub(super) deliveries: Vec<mpsc::Receiver<(Routed, Source)>>,
    pub(super) saves: mpsc::Receiver<Save>,
    pub(super) advances: mpsc::Receiver<Advance>,
}

/// What a pod cannot do without.
pub(super) struct Needs {
    pub(super) database: Component,
    pub(super) kafka: Component,
}

pub(super) async fn run(
    pod: Pod,
    queues: Queues,
    database: Database,
    needs: Needs,
    tasks: TaskGroup,
) {
    if !database.migrate_patiently(&tasks, MIGRATIONS).await {
        return;
    }
    needs.database.well();
    let Some((kafka, producer)) = reach(&pod, &tasks, &needs.kafka).await else { return };
    if lease::begin(&pod, &tasks).await.is_none() {
        return;
    }
    tracing::info!(pod = pod.id(), "serves");
    let stages = Stages::new();
    stages.start(&pod, &kafka, &producer, queues);
    tasks.stopping().await;
    stages.stop(&pod).await;
    if let Err(error) = producer.close(STOP_WITHIN).await {
        tracing::warn!(%error, "not everything was sent");
    }
}

/// Hears which sessions ended, and tells the sockets.
pub(super) async fn end_sessions(pod: Pod, tasks: TaskGroup) {
    let mut endings = pod.0.auth.endings();
    loop {
        tokio::select! {
            ended = endings.next() => drop(pod.0.ended.send_replace(ended)),
            () = tasks.stopping() => return,
        }
    }
}

/// Waits for the broker and makes the topics.
async fn reach(pod: &Pod, tasks: &TaskGroup, seen: &Component) -> Option<(Kafka, Producer)> {
    let mut patience = Patience::new(tasks, "reach the broker");
    loop {
        let reached = tokio::select! {
            reached = try_reach(pod) => reached,
            () = tasks.stopping() => return None,
        };
        seen.tell(&reached);
        match reached {
            Ok(reached) => return Some(reached),
            Err(error) => patience.after(&error).await?,
        }
    }
}

async fn try_reach(pod: &Pod) -> klamm_client::Result<(Kafka, Producer)> {
    let kafka = topics::connect(&pod.0.settings).await?;
    let producer = kafka.producer().linger(Duration::from_millis(1)).max_block(PATIENCE);
    let producer = producer.request_timeout(PATIENCE / 2).delivery_timeout(PATIENCE);
    let producer = producer.build().await?;
    Ok((kafka, producer))
}

/// The tasks by the order in which they end.
struct Stages {
    publish: TaskGroup,
    subscribe: TaskGroup,
    write: TaskGroup,
    rest: TaskGroup,
}

impl Stages {
    fn new() -> Self {
        let group = TaskGroup::new;
        let (publish, subscribe) = (group("kafka-pub"), group("kafka-sub"));
        Self { publish, subscribe, write: group("sock-writer"), rest: group("statuses") }
    }

    fn start(&self, pod: &Pod, kafka: &Kafka, producer: &Producer, queues: Queues) {
        let Queues { jobs, deliveries, saves, advances } = queues;
        for jobs in jobs.into_iter().enumerate() {
            let work = publish::work(pod.clone(), producer.clone(), jobs, self.publish.clone());
            self.publish.spawn("kafka-pub", work);
        }
        for deliveries in deliveries.into_iter().enumerate() {
            let work = write::work(pod.clone(), deliveries, self.write.clone());
            self.write.spawn("sock-writer", work);
        }
        let own = (0..pod.0.settings.worker_count).map(|_| Reads::Own);
        for reads in own.chain(SharedTopic::ALL.map(Reads::Shared)) {
            let work = subscribe::work(pod.clone(), kafka.clone(), reads, self.subscribe.clone());
            self.subscribe.spawn("kafka-sub", work);
        }
        let (tasks, rest) = (self.rest.clone(), &self.rest);
        rest.spawn("saves", save::work(pod.clone(), saves, tasks.clone()));
        rest.spawn("statuses", outbox::advance(pod.clone(), advances, tasks.clone()));
        rest.spawn("outbox", outbox::relay(pod.clone(), producer.clone(), tasks.clone()));
        rest.spawn("status-feed", outbox::feed(pod.clone(), kafka.clone(), tasks.clone()));
        rest.spawn("reap", reap::watch(pod.clone(), kafka.clone(), tasks.clone()));
        rest.spawn("lease", lease::keep(pod.clone(), kafka.clone(), tasks));
    }

    async fn stop(&self, pod: &Pod) {
        for stage in [&pod.0.socket_tasks, &self.publish, &self.subscribe, &self.write, &self.rest]
        {
            stage.stop();
            stage.join(STOP_WITHIN).await;
        }
    }
}
