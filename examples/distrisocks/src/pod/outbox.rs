//! What has become of messages: into the database, from its outbox into the log, and from there to
//! the screens of senders, wherever these are.

use std::time::Duration;

use common::patience::Patience;
use klamm_client::Kafka;
use klamm_consumer::{ConsumeExt as _, Start};
use klamm_producer::{Producer, Record};
use klamm_utils::task::TaskGroup;
use tokio::sync::mpsc;

use super::told::Told;
use super::{Pod, now_ms, unsent};
use crate::status::Status;
use crate::store::Advance;
use crate::wire::{FrameOut, STATUS_TOPIC, StatusEvent, TypedOut};

/// Statuses of one transaction, at most.
const BATCH: usize = 500;
/// How often the outbox is looked into without having been called: another pod's may be ours now.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Statuses are followed from so long before the last that was heard, or before the pod began:
/// clocks differ, and nobody is told twice.
const BACK_MS: i64 = 30_000;

/// `statuses`: saves what receivers say.
pub(super) async fn advance(pod: Pod, mut advances: mpsc::Receiver<Advance>, tasks: TaskGroup) {
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            count = advances.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return;
                }
            }
            () = tasks.stopping() => return,
        }
        let mut patience = Patience::new(&tasks, "save what was delivered");
        while let Err(error) = pod.0.store.advance(&batch, pod.id(), now_ms()).await {
            if patience.after(&error).await.is_none() {
                return;
            }
        }
        pod.0.outbox.notify_one();
    }
}

/// `outbox`: sends what was saved together with what it tells of.
pub(super) async fn relay(pod: Pod, producer: Producer, tasks: TaskGroup) {
    loop {
        tokio::select! {
            () = pod.0.outbox.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = tasks.stopping() => {
                // A last look; what is left is sent by whoever finds it.
                let _ = empty(&pod, &producer).await;
                return;
            }
        }
        if let Err(error) = empty(&pod, &producer).await {
            tracing::warn!(%error, "statuses are told later");
        }
    }
}

async fn empty(pod: &Pod, producer: &Producer) -> anyhow::Result<()> {
    loop {
        let told = pod.0.store.outbox(pod.id()).await?;
        if told.is_empty() {
            return Ok(());
        }
        let mut records: Vec<_> = told.iter().map(|step| record(&step.event)).collect();
        // Who was away has them now.
        let arrived = told.iter().filter(|step| step.was_unsent).map(|step| &step.event);
        let arrived = arrived.filter(|event| event.status == Status::Delivered);
        records.extend(unsent::arrived(arrived.map(|event| {
            let StatusEvent { reciever_id, sender_id, message_id, .. } = event;
            (reciever_id.as_str(), sender_id.as_str(), *message_id)
        })));
        for stored in producer.send_all(records).await {
            stored?;
        }
        pod.0.store.clear_outbox(&told).await?;
    }
}

fn record(event: &StatusEvent) -> Record {
    let value = serde_json::to_vec(event).expect("a struct of texts and numbers is JSON");
    Record::to(STATUS_TOPIC).key(event.message_id.to_string()).value(value)
}

/// `status-feed`: what any pod tells, to the senders that are here.
pub(super) async fn feed(pod: Pod, kafka: Kafka, tasks: TaskGroup) {
    let mut patience = Patience::new(&tasks, "follow statuses");
    let (mut told, mut heard_ms) = (Told::default(), pod.0.began_ms);
    loop {
        let error = tokio::select! {
            error = follow(&pod, &kafka, &mut told, &mut heard_ms) => error,
            () = tasks.stopping() => return,
        };
        if patience.after(&error).await.is_none() {
            return;
        }
    }
}

async fn follow(
    pod: &Pod,
    kafka: &Kafka,
    told: &mut Told,
    heard_ms: &mut i64,
) -> klamm_consumer::Error {
    // Not from its end: where that is shows only later, and what is told until then is lost.
    let start = Start::Timestamp(heard_ms.saturating_sub(BACK_MS));
    let consumer = kafka.consumer().assign_topic(STATUS_TOPIC, start).build();
    let mut consumer = match consumer.await {
        Ok(consumer) => consumer,
        Err(error) => return error,
    };
    loop {
        let batch = match consumer.next_batch().await {
            Ok(batch) => batch,
            Err(error) => return error,
        };
        for record in batch {
            *heard_ms = record.timestamp.min(now_ms());
            let value = record.value.unwrap_or_default();
            let Ok(event) = serde_json::from_slice::<StatusEvent>(&value) else { continue };
            let StatusEvent { message_id, sender_id, reciever_id, status, at, .. } = event;
            if told.is_news(message_id, status) {
                let client_msg_id = None;
                let news = TypedOut::Status { message_id, client_msg_id, reciever_id, status, at };
                pod.0.sockets.send(&sender_id, &FrameOut::Typed(news));
            }
        }
    }
}
