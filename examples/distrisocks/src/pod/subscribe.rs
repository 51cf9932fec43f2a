//! `kafka-sub`: hands messages from topics to the workers that write to sockets.
//!
//! To ask for the next batch says that the one before was handed over, and what was handed over is
//! committed in the background. What is lost between here and a socket is in the database still.

use std::time::Duration;

use common::patience::Patience;
use klamm_client::Kafka;
use klamm_consumer::{ConsumeExt as _, Consumer, OffsetReset, Start};
use klamm_utils::task::TaskGroup;

use super::{Pod, SharedTopic, Source, topics};
use crate::wire::Routed;

const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// A pod that has died and comes back under its name waits for no longer than this.
const SESSION: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(2);

/// What a worker reads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reads {
    /// A share of the pod's own topic.
    Own,
    /// A topic that all pods read.
    Shared(SharedTopic),
}

/// Reads until the tasks stop.
pub(super) async fn work(pod: Pod, kafka: Kafka, reads: Reads, tasks: TaskGroup) {
    let mut patience = Patience::new(&tasks, "read messages");
    loop {
        let error = match consumer(&pod, &kafka, reads).await {
            Ok(mut consumer) => {
                let outcome = tokio::select! {
                    error = follow(&pod, &mut consumer, reads) => Some(error),
                    () = tasks.stopping() => None,
                };
                if let Err(error) = consumer.close(LEAVE_WITHIN).await {
                    tracing::debug!(%error, "did not take leave of the group");
                }
                match outcome {
                    Some(error) => error,
                    None => return,
                }
            }
            Err(error) => error,
        };
        if patience.after(&error).await.is_none() {
            return;
        }
    }
}

async fn consumer(pod: &Pod, kafka: &Kafka, reads: Reads) -> klamm_consumer::Result<Consumer> {
    let id = pod.id();
    let consumer = kafka.consumer().session_timeout(SESSION).heartbeat_interval(HEARTBEAT);
    let consumer = match reads {
        // What lies there when nobody has read yet came before this pod was known to anybody
        // else: it is for this pod all the same.
        Reads::Own => consumer
            .group(&topics::group_of(id))
            .subscribe([topics::of_pod(&pod.0.settings, id)])
            .auto_offset_reset(OffsetReset::Earliest),
        // From the end: what was before this pod is not played again.
        Reads::Shared(topic) => kafka.consumer().assign_topic(topic.name(), Start::Latest),
    };
    consumer.build().await
}

async fn follow(pod: &Pod, consumer: &mut Consumer, reads: Reads) -> klamm_consumer::Error {
    let source = match reads {
        Reads::Own => Source::Pod,
        Reads::Shared(topic) => Source::Shared(topic),
    };
    loop {
        let batch = match consumer.next_batch().await {
            Ok(batch) => batch,
            Err(error) => return error,
        };
        for record in batch {
            match serde_json::from_slice::<Routed>(&record.value.unwrap_or_default()) {
                Ok(routed) => hand_over(pod, routed, source).await,
                Err(error) => tracing::warn!(%error, record.offset, "not a message"),
            }
        }
    }
}

/// Waits for room. Nobody who makes room waits for this.
async fn hand_over(pod: &Pod, routed: Routed, source: Source) {
    let queues = &pod.0.write;
    if let Some(queue) = queues.get(Pod::worker(queues, &routed.delivery.reciever_id)) {
        // It is closed only after all who read have ended.
        let _ = queue.send((routed, source)).await;
    }
}
