//! Telling partitions how a transaction ended.

use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use tokio::sync::mpsc::WeakSender;

use super::command::Command;
use crate::node::Node;
use crate::partition::Marker;
use crate::txn::machine::{Generation, Markers};
use crate::txn::marking::Marking;

/// How long a partition that does not take its marker is left alone.
const REST: Duration = Duration::from_secs(1);

/// Where to tell of markers that are durable.
#[derive(Clone, Debug)]
pub(super) struct Markings {
    pub(super) node: Arc<Node>,
    pub(super) mailbox: WeakSender<Command>,
    /// The leader epoch of the shard's own partition.
    pub(super) coordinator_epoch: i32,
}

impl Markings {
    /// Starts to write markers. The task ends when all are durable, or with the broker.
    pub(super) fn start(&self, transactional_id: Str, markers: Markers) {
        let markings = self.clone();
        self.node.tasks.spawn("markers", async move {
            let stopping = markings.node.tasks.stopping();
            tokio::select! {
                () = stopping => {}
                () = markings.write_all(transactional_id, markers) => {}
            }
        });
    }

    /// Writes all markers, those that fail again after a while, and tells the shard of each.
    async fn write_all(&self, transactional_id: Str, markers: Markers) {
        let (outcome, marker) = (markers.outcome, self.marker(&markers));
        let all = markers.partitions.iter();
        let all = all.flat_map(|(topic, indexes)| indexes.iter().map(|it| (topic.clone(), *it)));
        let mut left: Vec<(Str, i32)> = all.collect();
        loop {
            // All are on their way before one is waited for: they share a sync.
            let mut begun = Vec::with_capacity(left.len());
            for (topic, index) in left.drain(..) {
                let place = (topic.as_str(), index);
                let marking = Marking::begin(&self.node, place, marker, outcome).await;
                begun.push((topic, index, marking));
            }
            for (topic, index, marking) in begun {
                match settled(marking.end().await) {
                    Ok(()) => self.tell(&transactional_id, &markers, topic, index).await,
                    Err(code) => {
                        let name = code.name();
                        tracing::warn!(%transactional_id, %topic, index, name, "a marker failed");
                        left.push((topic, index));
                    }
                }
            }
            if left.is_empty() {
                return;
            }
            tokio::time::sleep(REST).await;
        }
    }

    fn marker(&self, markers: &Markers) -> Marker {
        Marker {
            producer_id: markers.producer.id,
            producer_epoch: markers.producer.epoch,
            has_new_epoch: markers.generation == Generation::Second,
            coordinator_epoch: self.coordinator_epoch,
        }
    }

    async fn tell(&self, transactional_id: &Str, markers: &Markers, topic: Str, index: i32) {
        // Without a mailbox the shard has ended.
        let Some(mailbox) = self.mailbox.upgrade() else { return };
        let marked = Command::Marked {
            transactional_id: transactional_id.clone(),
            producer: markers.producer,
            topic,
            partition: index,
        };
        drop(mailbox.send(marked).await);
    }
}

/// What is to be done about a marker. A partition that is gone needs none, and where a newer
/// producer has written, nothing of this one is open any more.
fn settled(ended: Result<(), ErrorCode>) -> Result<(), ErrorCode> {
    match ended {
        Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::INVALID_PRODUCER_EPOCH) => Ok(()),
        ended => ended,
    }
}
