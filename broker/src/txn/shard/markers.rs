//! Telling partitions how a transaction ended.
//!
//! The tasks that do it belong to one reading of the shard's log. When the log is read anew, all
//! that was decided is told anew: were the old tasks still there, each failure would leave more of
//! them, and one that comes late would end the next transaction of a producer that keeps its epoch.

use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::task::TaskGroup;
use tokio::sync::mpsc::WeakSender;

use super::command::Command;
use crate::node::Node;
use crate::partition::Marker;
use crate::shard::mailbox::Sent;
use crate::txn::machine::{Generation, Markers};
use crate::txn::marking::Marking;

/// How long a partition that does not take its marker is left alone.
const REST: Duration = Duration::from_secs(1);

/// The writing of markers, for as long as what was read from the shard's log holds.
#[derive(Clone, Debug)]
pub(super) struct Markings {
    node: Arc<Node>,
    /// Where to tell of markers that are durable.
    mailbox: WeakSender<Sent<Command>>,
    /// The leader epoch of the shard's own partition.
    coordinator_epoch: i32,
    tasks: TaskGroup,
}

impl Markings {
    /// Nothing is to be written yet.
    pub(super) fn new(
        node: &Arc<Node>,
        mailbox: WeakSender<Sent<Command>>,
        coordinator_epoch: i32,
    ) -> Self {
        let tasks = node.tasks.child("markers");
        Self { node: Arc::clone(node), mailbox, coordinator_epoch, tasks }
    }

    /// The same for what will be read from the log next.
    pub(super) fn anew(&self) -> Self {
        Self { tasks: self.node.tasks.child("markers"), ..self.clone() }
    }

    /// Starts to write markers. The task ends when all are durable, when it is told to, or with the
    /// broker.
    pub(super) fn start(&self, transactional_id: Str, markers: Markers) {
        let markings = self.clone();
        self.tasks.spawn("markers", async move {
            let stopping = markings.node.tasks.stopping();
            tokio::select! {
                () = stopping => {}
                () = markings.write_all(transactional_id, markers) => {}
            }
        });
    }

    /// No more markers are begun. Those that have their places are still waited for.
    pub(super) fn stop(&self) {
        self.tasks.stop();
    }

    /// Waits until nobody writes markers.
    pub(super) async fn ended(&self) {
        self.tasks.ended().await;
    }

    /// Writes all markers, those that fail again after a while, and tells the shard of each. What
    /// has begun is waited for, also when no more is to be begun: only then do readers see it.
    async fn write_all(&self, transactional_id: Str, markers: Markers) {
        let (outcome, marker) = (markers.outcome, self.marker(&markers));
        let all = markers.partitions.iter();
        let all = all.flat_map(|(topic, indexes)| indexes.iter().map(|it| (topic.clone(), *it)));
        let mut left: Vec<(Str, i32)> = all.collect();
        while !left.is_empty() && !self.tasks.is_stopping() {
            // All are on their way before one is waited for: they share a sync.
            let mut begun = Vec::with_capacity(left.len());
            for (topic, index) in left.drain(..) {
                if self.tasks.is_stopping() {
                    break;
                }
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
            if !left.is_empty() {
                // Whoever is told to stop has nothing left to do.
                let _ = tokio::time::timeout(REST, self.tasks.stopping()).await;
            }
        }
    }

    fn marker(&self, markers: &Markers) -> Marker {
        Marker {
            producer_id: markers.producer.id,
            producer_epoch: markers.producer.epoch,
            has_new_epoch: markers.generation == Generation::Second,
            coordinator_epoch: self.coordinator_epoch,
            is_own: true,
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
        drop(mailbox.send(Sent::now(marked, &*self.node.clock)).await);
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
