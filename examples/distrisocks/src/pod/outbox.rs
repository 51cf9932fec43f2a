//! What has become of messages: into the database, from its outbox into the log, and from there to
//! the screens of senders, wherever these are.

use std::collections::BTreeSet;
use std::time::Duration;

use common::patience::Patience;
use klamm_client::Kafka;
use klamm_consumer::{ConsumeExt as _, Start};
use klamm_producer::{Producer, Record};
use klamm_utils::task::TaskGroup;
use tokio::sync::mpsc;

use super::{Pod, now_ms};
use crate::store::{Advance, Advanced};
use crate::wire::{FrameOut, STATUS_TOPIC, StatusEvent, TypedOut};

/// Statuses of one transaction, at most.
const BATCH: usize = 500;
/// How often the outbox is looked into without having been called: another pod's may be ours now.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// `statuses`: saves what receivers say.
pub(super) async fn advance(
    pod: Pod,
    producer: Producer,
    mut advances: mpsc::Receiver<Advance>,
    tasks: TaskGroup,
) {
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
        let advanced = loop {
            match pod.0.store.advance(&batch, pod.id(), now_ms()).await {
                Ok(advanced) => break advanced,
                Err(error) if patience.after(&error).await.is_some() => {}
                Err(_) => return,
            }
        };
        pod.0.outbox.notify_one();
        hand_over_unsent(&producer, &advanced).await;
    }
}

/// Who was away has the messages now: they wait no more.
async fn hand_over_unsent(producer: &Producer, advanced: &[Advanced]) {
    let away = advanced.iter().filter(|advanced| advanced.was_away);
    let pairs: BTreeSet<_> =
        away.map(|Advanced { event, .. }| (&event.reciever_id, &event.sender_id)).collect();
    for (touser, fromuser) in pairs {
        let handed_over = unsent::wire::HandedOver {
            touser: touser.clone(),
            fromuser: fromuser.clone(),
            upto_offset: None,
        };
        let value = serde_json::to_vec(&handed_over).expect("a struct of texts is JSON");
        let record = Record::to(unsent::wire::TOPIC).key(touser.clone()).value(value);
        // If it is lost, a badge stays until the next message.
        drop(producer.enqueue(record).await);
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
        let events = pod.0.store.outbox(pod.id()).await?;
        if events.is_empty() {
            return Ok(());
        }
        let records = events.iter().map(record).collect::<Vec<_>>();
        for stored in producer.send_all(records).await {
            stored?;
        }
        pod.0.store.clear_outbox(&events).await?;
    }
}

fn record(event: &StatusEvent) -> Record {
    let value = serde_json::to_vec(event).expect("a struct of texts and numbers is JSON");
    Record::to(STATUS_TOPIC).key(event.message_id.to_string()).value(value)
}

/// `status-feed`: what any pod tells, to the senders that are here.
pub(super) async fn feed(pod: Pod, kafka: Kafka, tasks: TaskGroup) {
    let mut patience = Patience::new(&tasks, "follow statuses");
    loop {
        let error = tokio::select! {
            error = follow(&pod, &kafka) => error,
            () = tasks.stopping() => return,
        };
        if patience.after(&error).await.is_none() {
            return;
        }
    }
}

async fn follow(pod: &Pod, kafka: &Kafka) -> klamm_consumer::Error {
    let consumer = kafka.consumer().assign_topic(STATUS_TOPIC, Start::Latest).build();
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
            let value = record.value.unwrap_or_default();
            let Ok(event) = serde_json::from_slice::<StatusEvent>(&value) else { continue };
            let StatusEvent { message_id, status, at, .. } = event;
            let told = TypedOut::Status { message_id, client_msg_id: None, status, at };
            pod.0.sockets.send(&event.sender_id, &FrameOut::Typed(told));
        }
    }
}
