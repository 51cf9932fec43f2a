//! Telling partitions how a transaction ended.

use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use tokio::sync::mpsc::WeakSender;

use super::command::Command;
use crate::group::OFFSETS_TOPIC;
use crate::group::shard::command::Command as GroupCommand;
use crate::node::Node;
use crate::partition::{Commit, Marker};
use crate::shard::Asked;
use crate::txn::machine::{Generation, Markers};

/// How long a partition that does not take its marker is left alone.
const REST: Duration = Duration::from_secs(1);

/// A marker on its way.
enum Marking {
    Needless,
    Begun(Commit),
    /// Of groups' own partitions, who coordinates them writes the marker.
    Asked(Asked<()>),
    Refused(ErrorCode),
}

impl Marking {
    /// Waits until it is durable. Where a newer producer has written, nothing of this one is open
    /// any more.
    async fn end(self) -> Result<(), ErrorCode> {
        let ended = match self {
            Self::Needless => return Ok(()),
            Self::Begun(commit) => commit.await,
            Self::Asked(asked) => asked.answer().await,
            Self::Refused(code) => Err(code),
        };
        match ended {
            Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::INVALID_PRODUCER_EPOCH) => {
                Ok(())
            }
            ended => ended,
        }
    }
}

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
        let all = markers.partitions.iter();
        let all = all.flat_map(|(topic, indexes)| indexes.iter().map(|it| (topic.clone(), *it)));
        let mut left: Vec<(Str, i32)> = all.collect();
        loop {
            // All are on their way before one is waited for: they share a sync.
            let mut begun = Vec::with_capacity(left.len());
            for (topic, index) in left.drain(..) {
                let marking = self.write(&markers, &topic, index).await;
                begun.push((topic, index, marking));
            }
            for (topic, index, marking) in begun {
                match marking.end().await {
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

    /// Begins to write one marker. A partition that is gone needs none.
    async fn write(&self, markers: &Markers, topic: &str, index: i32) -> Marking {
        let found = self.node.topics.by_name(topic);
        let Some(partition) = found.and_then(|topic| topic.partition(index)) else {
            return Marking::Needless;
        };
        let outcome = markers.outcome;
        let marker = Marker {
            producer_id: markers.producer.id,
            producer_epoch: markers.producer.epoch,
            has_new_epoch: markers.generation == Generation::Second,
            coordinator_epoch: self.coordinator_epoch,
        };
        if topic == OFFSETS_TOPIC {
            let command = |answer| GroupCommand::EndTransaction(marker, outcome, answer);
            return Marking::Asked(
                self.node.groups.ask_partition(&self.node, index, command).await,
            );
        }
        match partition.mark(&marker, outcome, self.node.clock.now_ms()) {
            Ok(commit) => Marking::Begun(commit),
            Err(rejection) => Marking::Refused(rejection.code),
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
