//! Trying again while something is away.

use std::fmt::Display;
use std::time::Duration;

use klamm_utils::backoff::Backoff;
use klamm_utils::task::TaskGroup;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// What waits between tries, longer each time, and says so now and then:
///
/// ```
/// # use common::patience::Patience;
/// # use klamm_utils::task::TaskGroup;
/// # async fn attempt() -> std::io::Result<u8> { Ok(7) }
/// async fn reach(tasks: &TaskGroup) -> Option<u8> {
///     let mut patience = Patience::new(tasks, "reach it");
///     loop {
///         match attempt().await {
///             Ok(reached) => return Some(reached),
///             Err(error) => patience.after(&error).await?,
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Patience<'a> {
    tasks: &'a TaskGroup,
    what: &'static str,
    backoff: Backoff,
}

impl<'a> Patience<'a> {
    /// For what somebody cannot do yet. It ends when the tasks are to stop.
    #[must_use]
    pub fn new(tasks: &'a TaskGroup, what: &'static str) -> Self {
        Self { tasks, what, backoff: Backoff::new(FIRST, LONGEST) }
    }

    /// Waits after a failure; none if the tasks are to stop.
    pub async fn after<E: Display>(&mut self, error: &E) -> Option<()> {
        let (what, failures) = (self.what, self.backoff.failures());
        if failures == 0 || failures.is_power_of_two() {
            tracing::warn!(%error, failures, "cannot {what} yet");
        }
        tokio::select! {
            () = tokio::time::sleep(self.backoff.next_pause()) => Some(()),
            () = self.tasks.stopping() => None,
        }
    }
}
