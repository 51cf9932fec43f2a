//! Compaction of the topics whose `cleanup.policy` says so.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use klamm_storage::Pace;
use tokio::runtime::Handle;

use crate::node::Node;

/// However often it is asked for, nobody looks more often than this.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// The longest that a pass which is too fast waits before it looks whether its log is still there.
const WAIT_MAX: Duration = Duration::from_millis(50);

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
    let throttle = Throttle::new(cleaner.bytes_per_second);
    let pace = |bytes| {
        let wait = throttle.wait(node.clock.elapsed(), bytes);
        if !wait.is_zero() {
            let stopping = tokio::time::timeout(wait.min(WAIT_MAX), node.tasks.stopping());
            let _ = Handle::current().block_on(stopping);
        }
        if node.tasks.is_stopping() {
            Pace::Stop
        } else if wait.is_zero() {
            Pace::Go
        } else {
            Pace::Wait
        }
    };
    let topics = node.topics.all();
    for topic in topics.iter().filter(|topic| cleaner.enabled && topic.config().cleanup.compact) {
        for partition in topic.partitions().iter() {
            if node.tasks.is_stopping() {
                return;
            }
            partition.compact(&node.storage, node.clock.now_ms(), cleaner.map_bytes_max, &pace);
        }
    }
}

/// Holds a flow of bytes to a rate. Time that was not used is not made up for.
struct Throttle {
    bytes_per_second: f64,
    /// When what was let through until now is paid for.
    paid: Cell<Duration>,
}

impl Throttle {
    fn new(bytes_per_second: f64) -> Self {
        // None is no limit, and not a stop for ever.
        let bytes_per_second = if bytes_per_second > 0.0 { bytes_per_second } else { f64::MAX };
        Self { bytes_per_second, paid: Cell::new(Duration::ZERO) }
    }

    /// How long to wait, at a time, after these bytes.
    fn wait(&self, now: Duration, bytes: u64) -> Duration {
        let price = Duration::try_from_secs_f64(bytes as f64 / self.bytes_per_second);
        let paid = self.paid.get().max(now).saturating_add(price.unwrap_or(Duration::MAX));
        self.paid.set(paid);
        paid - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_let_through_at_the_rate_and_no_faster() {
        let throttle = Throttle::new(1000.0);
        let check = |now_ms, bytes, wait_ms| {
            let wait = throttle.wait(Duration::from_millis(now_ms), bytes);
            assert_eq!(wait, Duration::from_millis(wait_ms), "at {now_ms} ms");
        };
        check(0, 0, 0);
        check(10, 500, 500);
        check(60, 0, 450);
        check(60, 100, 550);
        check(610, 0, 0);
        check(5_000, 1, 1);
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        for limit in [f64::MAX, f64::INFINITY, 0.0, -1.0, f64::NAN] {
            let throttle = Throttle::new(limit);
            assert_eq!(throttle.wait(Duration::ZERO, u64::MAX), Duration::ZERO, "{limit}");
        }
    }
}
