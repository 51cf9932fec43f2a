//! What the service of unsent messages is told: who was away, and that nothing waits any more.

use std::collections::BTreeSet;

use klamm_producer::{Producer, Record};
use unsent::wire::{HandedOver, Message, TOPIC};

use super::Pod;
use crate::wire::Delivery;

/// A message for somebody who is away.
pub(super) fn record(delivery: &Delivery) -> Record {
    let message = Message {
        touser: delivery.reciever_id.clone(),
        fromuser: delivery.sender_id.clone(),
        message: delivery.message.clone(),
        message_id: delivery.message_id.to_string(),
    };
    let value = serde_json::to_vec(&message).expect("a struct of texts is JSON");
    Record::to(TOPIC).key(delivery.reciever_id.clone()).value(value)
}

/// Says of those of these pairs of receiver and sender between whom nothing is unsent any more that
/// it is so.
pub(super) async fn hand_over(pod: &Pod, producer: &Producer, pairs: BTreeSet<(String, String)>) {
    let done = match pod.0.store.with_nothing_unsent(pairs).await {
        Ok(done) => done,
        // A badge stays until the next message.
        Err(error) => return tracing::warn!(%error, "a badge may stay"),
    };
    for (touser, fromuser) in done {
        let (upto_offset, message_ids) = (None, Vec::new());
        let handed_over = HandedOver { touser: touser.clone(), fromuser, upto_offset, message_ids };
        let value = serde_json::to_vec(&handed_over).expect("a struct of texts is JSON");
        let record = Record::to(TOPIC).key(touser).value(value);
        // If it is lost, a badge stays until the next message.
        drop(producer.enqueue(record).await);
    }
}
