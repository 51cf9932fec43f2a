//! Searches, which may read all messages: they must not hold up what is shorter.

use std::sync::Arc;
use std::time::Duration;

use common::auth::Limiter;
use klamm_utils::task::TaskGroup;
use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

/// A search that takes longer is given up, its turn included.
pub(crate) const WITHIN: Duration = Duration::from_secs(3);

/// How many go on at a time: each holds a connection to the database.
const AT_ONCE: usize = 2;

/// The searches of one instance.
#[derive(Debug)]
pub(crate) struct Searches {
    /// How often a user may search.
    of_users: Limiter<Uuid>,
    turns: Arc<Semaphore>,
}

impl Default for Searches {
    fn default() -> Self {
        let of_users = Limiter::new(1, Duration::from_secs(1));
        Self { of_users, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Searches {
    /// Counts one; `Err` says how long to wait if it is one too many.
    pub(crate) fn check(&self, user: Uuid) -> Result<(), Duration> {
        self.of_users.check(&user)
    }

    /// What is found; none if that takes too long. Whoever asked does not wait then, but the
    /// database may go on, and until it has ended the turn is taken.
    pub(crate) async fn find<T: Send + 'static>(
        &self,
        tasks: &TaskGroup,
        search: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let found = async {
            let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
            let (tell, told) = oneshot::channel();
            let stopping = tasks.stopping();
            tasks.spawn("search", async move {
                tokio::select! {
                    // That nobody waits any more is no error.
                    found = search => drop(tell.send(found)),
                    () = stopping => {}
                }
                drop(turn);
            });
            told.await.ok()
        };
        tokio::time::timeout(WITHIN, found).await.ok()?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A search that was given up went on, and the next ones took all connections.
    #[tokio::test(start_paused = true)]
    async fn a_search_that_is_given_up_keeps_its_turn_until_it_has_ended() {
        let (searches, tasks) = (Searches::default(), TaskGroup::new("test"));
        let begun = Arc::new(AtomicUsize::new(0));
        let search = |ends: oneshot::Receiver<u8>| {
            let begun = Arc::clone(&begun);
            searches.find(&tasks, async move {
                begun.fetch_add(1, Ordering::Relaxed);
                ends.await
            })
        };
        let (ends, waits): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
        let found = futures_util::future::join_all(waits.into_iter().map(search)).await;
        assert!(found.iter().all(Option::is_none), "{found:?}");
        assert_eq!(begun.load(Ordering::Relaxed), AT_ONCE);
        for end in ends {
            let _ = end.send(0);
        }
        let (end, wait) = oneshot::channel();
        end.send(7).unwrap();
        assert_eq!(search(wait).await, Some(Ok(7)));
    }
}
