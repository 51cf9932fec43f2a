//! Compaction of the topics whose `cleanup.policy` says so.

use std::sync::Arc;
use std::time::Duration;

use crate::node::Node;

/// However often it is asked for, nobody looks more often than this.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Starts the task, which ends with the broker.
pub(crate) fn start(node: &Arc<Node>) {
    let node_of_task = Arc::clone(node);
    node.tasks.spawn("cleaner", async move {
        let node = node_of_task;
        let stopping = node.tasks.stopping();
        tokio::pin!(stopping);
        loop {
            tokio::select! {
                () = tokio::time::sleep(node.config().cleaner.interval.max(INTERVAL_MIN)) => {}
                () = &mut stopping => return,
            }
            let node = Arc::clone(&node);
            // Reading and writing whole segments belongs on a thread that may wait for the disk.
            if let Err(error) = tokio::task::spawn_blocking(move || round(&node)).await {
                tracing::error!(%error, "compaction failed; it goes on at the next round");
            }
        }
    });
}

fn round(node: &Node) {
    let cleaner = node.config().cleaner;
    let goes_on = || !node.tasks.is_stopping();
    let topics = node.topics.all();
    for topic in topics.iter().filter(|topic| cleaner.enabled && topic.config().cleanup.compact) {
        for partition in topic.partitions().iter() {
            if !goes_on() {
                return;
            }
            partition.compact(node.clock.now_ms(), cleaner.map_bytes_max, &goes_on);
        }
    }
}
