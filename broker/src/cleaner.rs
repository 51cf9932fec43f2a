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
    let throttle = Throttle::default();
    let topics = node.topics.all();
    for topic in topics.iter().filter(|topic| cleaner.enabled && topic.config().cleanup.compact) {
        for partition in topic.partitions().iter() {
            if node.tasks.is_stopping() {
                return;
            }
            let (now_ms, map_bytes_max) = (node.clock.now_ms(), cleaner.map_bytes_max);
            let pace = |bytes| pace(node, &throttle, bytes);
            partition.compact(&node.storage, now_ms, map_bytes_max, &pace);
        }
    }
}

/// Whether a pass may go on that has read and written so many bytes more. Waits for a moment where
/// it may not yet.
fn pace(node: &Node, throttle: &Throttle, bytes: u64) -> Pace {
    // Asked each time: at a rate that was set too low, the round would come to no end.
    let rate = node.config().cleaner.bytes_per_second;
    let wait = throttle.wait(node.clock.elapsed(), rate, bytes);
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
}

/// Holds a flow of bytes to a rate. Time that was not used is not made up for.
#[derive(Default)]
struct Throttle {
    /// The rate, in bytes a second, at which `paid` was reckoned.
    rate: Cell<f64>,
    /// When what was let through until now is paid for.
    paid: Cell<Duration>,
}

impl Throttle {
    /// How long to wait, at a time, after these bytes. At another rate than before, nothing is owed
    /// for those before them.
    fn wait(&self, now: Duration, rate: f64, bytes: u64) -> Duration {
        if self.rate.replace(rate).total_cmp(&rate).is_ne() {
            self.paid.set(Duration::ZERO);
        }
        let price = Duration::try_from_secs_f64(bytes as f64 / rate);
        let paid = self.paid.get().max(now).saturating_add(price.unwrap_or(Duration::MAX));
        self.paid.set(paid);
        paid - now
    }
}

#[cfg(test)]
mod tests {
    use klamm_utils::clock::ManualClock;

    use super::*;
    use crate::Broker;
    use crate::catalog::{ConfigChange, ConfigOperation, Resource};

    #[test]
    fn bytes_are_let_through_at_the_rate_and_no_faster() {
        let throttle = Throttle::default();
        let check = |now_ms, rate, bytes, wait_ms| {
            let wait = throttle.wait(Duration::from_millis(now_ms), rate, bytes);
            assert_eq!(wait, Duration::from_millis(wait_ms), "at {now_ms} ms");
        };
        check(0, 1000.0, 0, 0);
        check(10, 1000.0, 500, 500);
        check(60, 1000.0, 0, 450);
        check(60, 1000.0, 100, 550);
        check(610, 1000.0, 0, 0);
        check(5_000, 1000.0, 1, 1);
        check(6_000, 1000.0, 9_000, 9_000);
        check(6_000, 2000.0, 1_000, 500);
        check(6_500, 2000.0, 0, 0);
        check(6_500, f64::MAX, u64::MAX, 0);
    }

    const RATE: &str = "log.cleaner.io.max.bytes.per.second";

    async fn set_rate(node: &Node, value: &str) {
        let operation = ConfigOperation::Set;
        let change = ConfigChange { name: RATE.into(), operation, value: Some(value.into()) };
        let set = |planner: &mut crate::catalog::Planner<'_>| {
            planner.alter_configs(&Resource::Broker(None), &[change])
        };
        assert_eq!(node.catalog.change(set).await, Ok(Ok(())));
    }

    /// A rate that was too low held all compaction up until a restart, also once it was taken back.
    #[tokio::test]
    async fn a_round_in_progress_goes_on_at_a_rate_that_is_set_meanwhile() {
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let builder = Broker::builder().set(RATE, "0.001").clock(clock.clone());
        let broker = builder.ephemeral().start().await.unwrap();
        let node = broker.node();
        let mut throttle = Throttle::default();
        let mut check = async |bytes, said| {
            let (node, moved) = (Arc::clone(&node), std::mem::take(&mut throttle));
            let paced = move || (pace(&node, &moved, bytes), moved);
            let (paced, moved) = tokio::task::spawn_blocking(paced).await.unwrap();
            throttle = moved;
            assert_eq!(paced, said, "after {bytes} bytes");
        };
        check(1 << 40, Pace::Wait).await;
        check(0, Pace::Wait).await;
        set_rate(&node, "1000").await;
        check(0, Pace::Go).await;
        check(5_000, Pace::Wait).await;
        clock.advance(Duration::from_secs(5));
        check(0, Pace::Go).await;
        check(1 << 40, Pace::Wait).await;
        set_rate(&node, "0").await;
        check(1 << 40, Pace::Go).await;
    }
}
