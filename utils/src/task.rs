//! The only way to start a task: with a name, an owner and an end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The tasks of one owner, and the word that ends them.
///
/// Cloning gives another handle to the same group. A task that panics is logged and ends alone;
/// its siblings go on.
#[derive(Clone, Debug)]
pub struct TaskGroup {
    name: Arc<str>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl TaskGroup {
    /// An empty group.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), stop: CancellationToken::new(), tasks: TaskTracker::new() }
    }

    /// A group that stops when this one does, and may be stopped alone.
    ///
    /// Waiting for this group does not wait for the child.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let name = format!("{}/{name}", self.name).into();
        Self { name, stop: self.stop.child_token(), tasks: TaskTracker::new() }
    }

    /// Starts `work`. It must end soon after [`stopping`](Self::stopping) resolves.
    #[expect(clippy::disallowed_methods, reason = "this is the replacement the lint names")]
    pub fn spawn<F>(&self, task: &'static str, work: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let log = PanicLog { group: Arc::clone(&self.name), task };
        let work = async move {
            let _log = log;
            work.await;
        };
        // It may live longer than whatever it is started by.
        let span = tracing::trace_span!(parent: None, "task", group = %self.name, name = task);
        tokio::spawn(self.tasks.track_future(work.instrument(span)))
    }

    /// Tells every task to end.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Whether the tasks have been told to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Resolves when the tasks are told to end; at once if they were.
    pub fn stopping(&self) -> WaitForCancellationFutureOwned {
        self.stop.clone().cancelled_owned()
    }

    /// How many tasks have not ended yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether every task has ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits until every task has ended.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Waits until every task has ended, but no longer than `deadline`; tells whether they did.
    pub async fn join(&self, deadline: Duration) -> bool {
        let joined = tokio::time::timeout(deadline, self.ended()).await.is_ok();
        if !joined {
            tracing::warn!(group = %self.name, tasks = self.tasks.len(), "tasks did not end in time");
        }
        joined
    }
}

/// Says so when a panic drops it.
struct PanicLog {
    group: Arc<str>,
    task: &'static str,
}

impl Drop for PanicLog {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(group = %self.group, task = self.task, "task panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stopped_group_joins() {
        let group = TaskGroup::new("test");
        let stopping = group.stopping();
        group.spawn("waits", stopping);
        assert_eq!(group.len(), 1);
        group.stop();
        assert!(group.join(Duration::from_secs(10)).await);
        assert!(group.is_empty());
    }

    #[tokio::test]
    async fn stopping_a_parent_stops_its_children() {
        let parent = TaskGroup::new("parent");
        let child = parent.child("child");
        parent.stop();
        assert!(child.is_stopping());
    }

    #[tokio::test]
    async fn a_panic_ends_one_task_only() {
        let group = TaskGroup::new("test");
        let panics = group.spawn("panics", async { panic!("on purpose") });
        assert!(panics.await.is_err());
        let lives = group.spawn("lives", async {});
        assert!(lives.await.is_ok());
    }
}
