//! Who leads the partitions that batches wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use klamm_client::{Result, Topic};
use klamm_protocol::wire::Str;
use klamm_utils::clock;

use super::Sender;
use super::report::{Report, report};
use crate::partition_queue::PartitionQueue;

impl Sender {
    /// The lanes that can send, by the brokers that lead their partitions; leaders that are not
    /// known are asked for.
    pub(super) fn by_leader(&mut self, now: Instant) -> BTreeMap<i32, Vec<usize>> {
        let metadata = self.shared.kafka.metadata();
        let (mut led, mut leaderless) = (BTreeMap::<_, Vec<_>>::new(), BTreeSet::new());
        for id in &self.active {
            let Some(place) = self.lanes.get_mut(id).filter(|place| place.is_ready(now)) else {
                continue;
            };
            let Some(transaction) = place.next_transaction() else { continue };
            let PartitionQueue { topic, partition, .. } = &*place.queue;
            match metadata.leader(topic, *partition) {
                Some(_) if !self.shared.admits(transaction, topic, *partition) => {}
                Some(node) => led.entry(node).or_default().push(*id),
                None => {
                    place.lane.retry_at = Some(now + place.backoff.next_pause());
                    leaderless.insert(place.queue.topic.clone());
                }
            }
        }
        for topic in leaderless {
            self.locate(topic);
        }
        led
    }

    /// Asks which partitions a topic has and who leads them, unless that is being asked.
    pub(super) fn locate(&mut self, topic: Str) {
        if !self.locating.insert(topic.clone()) {
            return;
        }
        let (kafka, now) = (self.shared.kafka.clone(), clock::now());
        let locate = async move {
            let located = kafka.topic_heard_after(&topic, now).await;
            Report::Located(topic, located)
        };
        report(&self.tasks, &self.reporter, "locate", locate);
    }

    pub(super) fn located(&mut self, topic: &Str, located: Result<Arc<Topic>>) {
        self.locating.remove(topic);
        match located {
            // It is just being made.
            Ok(topic) if topic.partitions.is_empty() => {}
            Ok(topic) => {
                self.shared.learn(&topic);
            }
            Err(error) => {
                tracing::warn!(%topic, %error, "its partitions and leaders were asked for in vain");
                let metadata = self.shared.kafka.metadata();
                self.blame(error, |queue| {
                    queue.topic == *topic && metadata.leader(topic, queue.partition).is_none()
                });
            }
        }
    }
}
