//! What the broker does unasked: retention, keeping what partitions remember, and opening what
//! could not be opened.

use std::sync::Arc;

use tokio::time::{MissedTickBehavior, interval};

use crate::node::Node;

/// Starts the task, which ends with the broker.
pub(crate) fn start(node: &Arc<Node>) {
    let node_of_task = Arc::clone(node);
    node.tasks.spawn("housekeeping", async move {
        let node = node_of_task;
        let stopping = node.tasks.stopping();
        tokio::pin!(stopping);
        let mut ticks = interval(node.config().retention_check_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, when there is nothing to do yet.
        ticks.tick().await;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = &mut stopping => return,
            }
            // What could not be opened, for want of files perhaps. It is told if it still cannot be.
            let _ = node.follow_catalog().await;
            let node = Arc::clone(&node);
            // Partitions are walked on a thread that may wait for the disk.
            if let Err(error) = tokio::task::spawn_blocking(move || round(&node)).await {
                tracing::error!(%error, "housekeeping failed; it goes on at the next round");
            }
        }
    });
}

fn round(node: &Node) {
    let now_ms = node.clock.now_ms();
    let config = node.config();
    node.storage.free_idle_memory();
    for topic in node.topics.all() {
        for partition in topic.partitions().iter() {
            if node.tasks.is_stopping() {
                return;
            }
            partition.maintain(&node.storage, now_ms, config.producer_expiration);
        }
    }
}
