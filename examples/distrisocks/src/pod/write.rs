//! `sock-writer`: hands messages to the sockets of their receivers.

use klamm_utils::task::TaskGroup;
use tokio::sync::mpsc;

use super::publish::Job;
use super::{Hop, Pod, Source, lease, now_ms};
use crate::wire::{Delivery, FrameOut};

/// Writes until the tasks stop and the queue is empty.
pub(super) async fn work(
    pod: Pod,
    (worker, mut deliveries): (usize, mpsc::Receiver<(Delivery, Source)>),
    tasks: TaskGroup,
) {
    loop {
        let next = tokio::select! {
            biased;
            next = deliveries.recv() => next,
            () = tasks.stopping() => None,
        };
        let Some((delivery, source)) = next else { return };
        pod.0.metrics.queued("sock-writer", worker, deliveries.len());
        deliver(&pod, delivery, source).await;
    }
}

async fn deliver(pod: &Pod, delivery: Delivery, source: Source) {
    let frame =
        FrameOut::Message(Delivery { attempt: 0, from_pod: String::new(), ..delivery.clone() });
    let taken = pod.0.sockets.send(&delivery.reciever_id, &frame);
    match source {
        _ if taken > 0 => {
            pod.0.metrics.delivered.inc_by(taken as u64);
            pod.remember(hop(pod, &delivery));
        }
        Source::Shared(topic) => pod.0.metrics.was_redundant(topic.mode()),
        Source::Pod => pass_on(pod, pod.id(), delivery).await,
    }
}

/// The receiver has left this pod: it may be elsewhere, or away.
pub(super) async fn pass_on(pod: &Pod, left: &str, mut delivery: Delivery) {
    if let Err(error) = pod.0.registry.correct(&delivery.reciever_id, left).await {
        tracing::debug!(%error, "the registry is away: not corrected");
    }
    // It may have come meanwhile.
    lease::register_again(pod, &delivery.reciever_id).await;
    pod.0.metrics.rerouted.inc();
    delivery.attempt += 1;
    let queues = &pod.0.publish;
    if let Some(queue) = queues.get(Pod::worker(queues, &delivery.reciever_id)) {
        // Publishers wait for the broker and it for nobody here; but one that is full is not
        // waited for: the message is in the database, from where its receiver gets it.
        if queue.try_send(Job::Again(delivery)).is_err() {
            tracing::debug!("a message waits in the database for its receiver");
        }
    }
}

fn hop(pod: &Pod, delivery: &Delivery) -> Hop {
    let at = now_ms();
    Hop {
        message_id: delivery.message_id,
        from_pod: delivery.from_pod.clone(),
        to_pod: pod.id().into(),
        sender_id: delivery.sender_id.clone(),
        reciever_id: delivery.reciever_id.clone(),
        took_ms: (at - delivery.created_at).max(0),
        at,
    }
}
