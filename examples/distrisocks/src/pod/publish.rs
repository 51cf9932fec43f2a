//! `kafka-pub`: saves what was written, finds the receiver's pods, and publishes to them.
//!
//! A message is saved first and published then. What cannot be published now is kept, in order,
//! and tried again: it is lost by nobody but a pod that dies, and then it is still in the database
//! with the status `NONE`, from where its receiver gets it.

use std::time::Duration;

use common::patience::Patience;
use klamm_producer::{Delivery as Receipt, Producer, Record, RecordMetadata};
use klamm_utils::backoff::Backoff;
use klamm_utils::task::TaskGroup;
use tokio::sync::mpsc;

use super::{Mode, Pod, now_ms, topics};
use crate::status::Status;
use crate::store::{Advance, Message};
use crate::wire::{BROADCAST_TOPIC, Delivery, FrameOut, SINGLE_TOPIC, TypedOut};

/// Messages of one transaction, at most.
const BATCH: usize = 100;
/// How often a message is passed on from pod to pod before its receiver counts as away.
const ATTEMPTS_MAX: u32 = 3;

/// Work for a publisher.
#[derive(Debug)]
pub(super) enum Job {
    /// Somebody wrote: over this connection, which hears what becomes of it.
    New { message: Message, connection: String, client_msg_id: Option<String> },
    /// It is to be passed on.
    Again(Delivery),
}

/// Where a message goes.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    /// To these topics.
    Topics(Vec<String>),
    /// Its receiver is away.
    Away,
}

/// Publishes until the tasks stop and the queue is empty.
pub(super) async fn work(
    pod: Pod,
    producer: Producer,
    mut jobs: mpsc::Receiver<Job>,
    tasks: TaskGroup,
) {
    let mut later: Vec<Delivery> = Vec::new();
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            count = jobs.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return;
                }
            }
            () = tokio::time::sleep(backoff.next_pause()), if !later.is_empty() => {}
            () = tasks.stopping() => return,
        }
        pod.0.metrics.queued("kafka-pub", jobs.len());
        let Some(new) = save(&pod, batch, &tasks).await else { return };
        // Behind those that were tried before: a receiver's messages stay in order.
        later.extend(new);
        later = publish(&pod, &producer, later, &tasks).await;
        if later.is_empty() {
            backoff.reset();
        }
    }
}

/// Saves what is new, tells its senders, and gives what is to be published.
async fn save(pod: &Pod, batch: Vec<Job>, tasks: &TaskGroup) -> Option<Vec<Delivery>> {
    let (mut new, mut from, mut deliveries) = (Vec::new(), Vec::new(), Vec::new());
    for job in batch {
        match job {
            Job::Again(delivery) => deliveries.push(delivery),
            Job::New { message, connection, client_msg_id } => {
                new.push(message);
                from.push((connection, client_msg_id));
            }
        }
    }
    if new.is_empty() {
        return Some(deliveries);
    }
    let mut patience = Patience::new(tasks, "save messages");
    let saved = loop {
        match pod.0.store.save(&new).await {
            Ok(saved) => break saved,
            Err(error) => patience.after(&error).await?,
        }
    };
    for ((message, (connection, client_msg_id)), (status, placed_us)) in
        new.into_iter().zip(from).zip(saved)
    {
        let at = placed_us / 1_000;
        let message_id = message.message_id;
        let told = TypedOut::Status { message_id, client_msg_id, status, at };
        pod.0.sockets.send_to(&message.sender_id, &connection, FrameOut::Typed(told));
        if status == Status::None {
            deliveries.push(Delivery {
                message: message.payload,
                reciever_id: message.reciever_id,
                sender_id: message.sender_id,
                message_id,
                created_at: at,
                attempt: 0,
                from_pod: pod.id().into(),
            });
        }
    }
    Some(deliveries)
}

/// Publishes, and gives back what could not be.
async fn publish(
    pod: &Pod,
    producer: &Producer,
    deliveries: Vec<Delivery>,
    tasks: &TaskGroup,
) -> Vec<Delivery> {
    let mut under_way = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        let route = route(pod, &delivery).await;
        let receipts = match &route {
            Route::Topics(topics) => send(producer, topics, &delivery).await,
            Route::Away => {
                pod.0.metrics.unsent.inc();
                vec![producer.enqueue(unsent_record(&delivery)).await]
            }
        };
        under_way.push((delivery, route, receipts));
    }
    let (mut sent, mut failed) = (Vec::new(), Vec::new());
    for (delivery, route, receipts) in under_way {
        match (stored(receipts).await, route) {
            (Ok(()), Route::Topics(_)) => {
                let message_id = delivery.message_id;
                sent.push(Advance { message_id, status: Status::Sent, by: None });
            }
            // The row stays as it is: whoever looks sees that it was not sent.
            (Ok(()), Route::Away) => {}
            (Err(error), _) => {
                tracing::debug!(%error, message = %delivery.message_id, "not published yet");
                failed.push(delivery);
            }
        }
    }
    if !sent.is_empty() {
        let mut patience = Patience::new(tasks, "save that messages were sent");
        while let Err(error) = pod.0.store.advance(&sent, pod.id(), now_ms()).await {
            if patience.after(&error).await.is_none() {
                break;
            }
        }
        pod.0.outbox.notify_one();
    }
    failed
}

async fn send(
    producer: &Producer,
    topics: &[String],
    delivery: &Delivery,
) -> Vec<klamm_producer::Result<Receipt>> {
    let value = serde_json::to_vec(delivery).expect("a struct of texts and numbers is JSON");
    let mut receipts = Vec::with_capacity(topics.len());
    for topic in topics {
        let record = Record::to(topic.as_str()).key(delivery.reciever_id.clone());
        receipts.push(producer.enqueue(record.value(value.clone())).await);
    }
    receipts
}

/// Whether the broker has all of them.
async fn stored(receipts: Vec<klamm_producer::Result<Receipt>>) -> klamm_producer::Result<()> {
    for receipt in receipts {
        let _: RecordMetadata = receipt?.await?;
    }
    Ok(())
}

/// To the pods of the receiver, as the registry has them; to all, if it does not answer.
async fn route(pod: &Pod, delivery: &Delivery) -> Route {
    let mode = *pod.0.mode.borrow();
    let to_all = |topic: &str| Route::Topics(vec![topic.to_owned()]);
    if delivery.attempt >= ATTEMPTS_MAX {
        return Route::Away;
    }
    match (pod.0.registry.pods_of(&delivery.reciever_id).await, mode) {
        (Ok(pods), _) if pods.is_empty() => Route::Away,
        (Ok(pods), Mode::PodId) => {
            let topics = pods.iter().map(|pod_id| topics::of_pod(&pod.0.settings, pod_id));
            Route::Topics(topics.collect())
        }
        (_, Mode::Broadcast) => to_all(BROADCAST_TOPIC),
        (_, Mode::SingleTopic) => to_all(SINGLE_TOPIC),
        (Err(error), Mode::PodId) => {
            tracing::debug!(%error, "the registry is away: to all pods");
            pod.0.metrics.fallbacks.inc();
            to_all(BROADCAST_TOPIC)
        }
    }
}

/// For the service that tells who wrote to somebody who was away.
fn unsent_record(delivery: &Delivery) -> Record {
    let message = unsent::wire::Message {
        touser: delivery.reciever_id.clone(),
        fromuser: delivery.sender_id.clone(),
        message: delivery.message.clone(),
        message_id: delivery.message_id.to_string(),
    };
    let value = serde_json::to_vec(&message).expect("a struct of texts is JSON");
    Record::to(unsent::wire::TOPIC).key(delivery.reciever_id.clone()).value(value)
}
