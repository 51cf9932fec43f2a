//! `sock-writer`: hands messages to the sockets of their receivers.

use klamm_utils::task::TaskGroup;
use tokio::sync::mpsc;

use super::publish::Job;
use super::{Hop, Pod, Source, lease, now_ms};
use crate::wire::{FrameOut, Routed};

/// Writes until the tasks stop and the queue is empty.
pub(super) async fn work(
    pod: Pod,
    (worker, mut deliveries): (usize, mpsc::Receiver<(Routed, Source)>),
    tasks: TaskGroup,
) {
    loop {
        let next = tokio::select! {
            biased;
            next = deliveries.recv() => next,
            () = tasks.stopping() => None,
        };
        let Some((routed, source)) = next else { return };
        pod.0.metrics.queued("sock-writer", worker, deliveries.len());
        deliver(&pod, routed, source).await;
    }
}

async fn deliver(pod: &Pod, routed: Routed, source: Source) {
    let frame = FrameOut::Message(routed.delivery.clone());
    let taken = pod.0.sockets.send(&routed.delivery.reciever_id, &frame);
    match source {
        _ if taken > 0 => {
            pod.0.metrics.delivered.inc_by(taken as u64);
            pod.remember(hop(pod, &routed));
        }
        Source::Shared(topic) => pod.0.metrics.was_redundant(topic.mode()),
        Source::Pod => pass_on(pod, pod.id(), routed).await,
    }
}

/// The receiver has left this pod: it may be elsewhere, or away.
pub(super) async fn pass_on(pod: &Pod, left: &str, mut routed: Routed) {
    let receiver = &routed.delivery.reciever_id;
    if let Err(error) = pod.0.registry.correct(receiver, left).await {
        tracing::debug!(%error, "the registry is away: not corrected");
    }
    // It may have come meanwhile.
    lease::register_again(pod, receiver).await;
    pod.0.metrics.rerouted.inc();
    let queues = &pod.0.publish;
    let worker = Pod::worker(queues, receiver);
    routed.attempt += 1;
    if let Some(queue) = queues.get(worker) {
        // Publishers wait for the broker and it for nobody here; but one that is full is not
        // waited for: the message is in the database, from where its receiver gets it.
        if queue.try_send(Job::Again(routed)).is_err() {
            tracing::debug!("a message waits in the database for its receiver");
        }
    }
}

fn hop(pod: &Pod, routed: &Routed) -> Hop {
    let Routed { delivery, from_pod, .. } = routed;
    let at = now_ms();
    Hop {
        message_id: delivery.message_id,
        from_pod: from_pod.clone(),
        to_pod: pod.id().into(),
        sender_id: delivery.sender_id.clone(),
        reciever_id: delivery.reciever_id.clone(),
        took_ms: (at - delivery.created_at).max(0),
        at,
    }
}
