//! What a publisher has under way: a lane for each receiver, so that one whose topic cannot be
//! written to holds up nobody else.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use klamm_producer::{Delivery as Receipt, Producer, Record, RecordMetadata};
use klamm_utils::backoff::Backoff;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::route::{Found, Route, Whereabouts, route};
use super::{Pod, unsent};
use crate::status::Status;
use crate::store::Advance;
use crate::wire::{Delivery, Routed};

/// Messages that are under way, at most: who has more waits in the queue, which tells senders when
/// it is full.
pub(super) const BATCH: usize = 100;

/// The messages of one receiver that are under way, in order.
struct Lane {
    receiver: String,
    messages: Vec<Routed>,
    backoff: Backoff,
}

/// What came of a lane: those that could not be published are in it still.
struct Ended {
    lane: Lane,
    published: usize,
}

#[derive(Default)]
struct Lanes {
    under_way: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// What waits behind what is under way to the same receiver.
    waiting: HashMap<String, Vec<Routed>>,
    len: usize,
}

/// Publishes what comes until there is nothing more.
pub(super) async fn publish(pod: &Pod, producer: &Producer, mut messages: mpsc::Receiver<Routed>) {
    let mut lanes = Lanes::default();
    let mut is_open = true;
    while is_open || lanes.len > 0 {
        let room = BATCH - lanes.len;
        let mut new = Vec::new();
        tokio::select! {
            biased;
            Some(ended) = lanes.under_way.next() => {
                lanes.len -= ended.published;
                lanes.go_on(pod, producer, ended.lane);
            }
            count = messages.recv_many(&mut new, room), if is_open && room > 0 => {
                is_open = count > 0;
                lanes.len += count;
                lanes.take(pod, producer, new).await;
            }
        }
    }
}

impl Lanes {
    async fn take(&mut self, pod: &Pod, producer: &Producer, new: Vec<Routed>) {
        let mut lanes = Vec::<Lane>::new();
        for routed in new {
            let receiver = &routed.delivery.reciever_id;
            if let Some(waiting) = self.waiting.get_mut(receiver) {
                waiting.push(routed);
            } else if let Some(lane) = lanes.iter_mut().find(|lane| lane.receiver == *receiver) {
                lane.messages.push(routed);
            } else {
                lanes.push(Lane::new(receiver.clone(), vec![routed]));
            }
        }
        // One question for all of them.
        let receivers: BTreeSet<_> = lanes.iter().map(|lane| lane.receiver.clone()).collect();
        let found = Found::ask(pod, &receivers).await;
        for lane in lanes {
            self.waiting.insert(lane.receiver.clone(), Vec::new());
            let at = found.of(&lane.receiver);
            self.under_way.push(Box::pin(lane.run(pod.clone(), producer.clone(), Some(at))));
        }
    }

    /// Goes on with what failed, and with what waits behind it.
    fn go_on(&mut self, pod: &Pod, producer: &Producer, mut lane: Lane) {
        if lane.messages.is_empty() {
            lane.backoff.reset();
        }
        if let Some(waiting) = self.waiting.get_mut(&lane.receiver) {
            lane.messages.append(waiting);
        }
        if lane.messages.is_empty() {
            self.waiting.remove(&lane.receiver);
        } else {
            self.under_way.push(Box::pin(lane.run(pod.clone(), producer.clone(), None)));
        }
    }
}

impl Lane {
    fn new(receiver: String, messages: Vec<Routed>) -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        Self { receiver, messages, backoff }
    }

    /// Publishes what it has, after a pause if that has failed before. The registry is asked, if
    /// nobody has done so for it.
    async fn run(mut self, pod: Pod, producer: Producer, asked: Option<Whereabouts>) -> Ended {
        let failures = self.backoff.failures();
        let at = match asked {
            Some(at) => at,
            None => {
                let one = BTreeSet::from([self.receiver.clone()]);
                Found::ask(&pod, &one).await.of(&self.receiver)
            }
        };
        let (mut ways, mut away) = (Vec::new(), Vec::new());
        for routed in &self.messages {
            let way = route(&pod, routed, &at, failures);
            if way == Route::Away {
                away.push(routed.delivery.message_id);
            }
            ways.push(way);
        }
        let failed = self.publish(&pod, &producer, &ways, &away).await;
        let all = std::mem::take(&mut self.messages);
        let count = all.len();
        let has_failed = |routed: &Routed| failed.contains(&routed.delivery.message_id);
        self.messages = all.into_iter().filter(has_failed).collect();
        // Not those that have failed by id: one may lie here twice.
        let published = count - self.messages.len();
        if !self.messages.is_empty() {
            tokio::time::sleep(self.backoff.next_pause()).await;
        }
        Ended { lane: self, published }
    }

    /// Gives the ids of those that the broker does not have.
    async fn publish(
        &self,
        pod: &Pod,
        producer: &Producer,
        ways: &[Route],
        away: &[Uuid],
    ) -> BTreeSet<Uuid> {
        // Before anybody is told: when it is delivered, it is known that this is to be taken back.
        let is_marked = away.is_empty()
            || match pod.0.store.mark_unsent(away).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::debug!(%error, "cannot save that messages are unsent yet");
                    false
                }
            };
        let mut under_way = Vec::with_capacity(self.messages.len());
        for (routed, route) in self.messages.iter().zip(ways) {
            let receipts = match route {
                Route::Topics(topics) => send(producer, topics, routed).await,
                Route::Away if is_marked => {
                    pod.0.metrics.unsent.inc();
                    vec![producer.enqueue(unsent::record(&routed.delivery)).await]
                }
                Route::Away => Vec::new(),
            };
            under_way.push((&routed.delivery, route, receipts));
        }
        let (mut failed, mut told) = (BTreeSet::new(), Vec::new());
        for (delivery, route, receipts) in under_way {
            let message_id = delivery.message_id;
            match (stored(receipts).await, route) {
                (Ok(()), Route::Topics(_)) => {
                    let sent = Advance { message_id, status: Status::Sent, by: None };
                    // Closed only when the pod stops: then it is sent again.
                    let _ = pod.0.advance.send(sent).await;
                }
                // The row stays as it is: whoever looks sees that it was not sent.
                (Ok(()), Route::Away) if is_marked => told.push(delivery),
                (Ok(()), Route::Away) => {
                    failed.insert(message_id);
                }
                (Err(error), _) => {
                    tracing::debug!(%error, message = %message_id, "not published yet");
                    failed.insert(message_id);
                }
            }
        }
        if let Err(error) = take_back(pod, producer, &told).await {
            tracing::debug!(%error, "what waits is told again");
            failed.extend(told.iter().map(|delivery| delivery.message_id));
        }
        failed
    }
}

/// Takes back what was told as unsent and is not: who came and took it before that would see it wait
/// for ever.
async fn take_back(pod: &Pod, producer: &Producer, told: &[&Delivery]) -> anyhow::Result<()> {
    if told.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = told.iter().map(|delivery| delivery.message_id).collect();
    let delivered = pod.0.store.delivered_of(&ids).await?;
    let arrived = told.iter().filter(|delivery| delivered.contains(&delivery.message_id));
    let arrived = arrived.map(|it| (it.reciever_id.as_str(), it.sender_id.as_str(), it.message_id));
    for stored in producer.send_all(unsent::arrived(arrived)).await {
        stored?;
    }
    Ok(())
}

async fn send(
    producer: &Producer,
    topics: &[String],
    routed: &Routed,
) -> Vec<klamm_producer::Result<Receipt>> {
    let value = serde_json::to_vec(routed).expect("a struct of texts and numbers is JSON");
    let mut receipts = Vec::with_capacity(topics.len());
    for topic in topics {
        let record = Record::to(topic.as_str()).key(routed.delivery.reciever_id.clone());
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
