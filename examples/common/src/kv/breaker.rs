//! What keeps callers from waiting, one after the other, for a server that does not answer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// For so long nothing is asked of a server that did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Open for a while after a failure; then one call at a time looks whether the server is back.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// When the next call may look, while the server is away. Never held across an await.
    away_until: Mutex<Option<Instant>>,
}

impl Breaker {
    /// Whether a call may be made. One that looks whether the server is back has a pause's time
    /// for it before the next one may.
    pub(super) fn admits(&self) -> bool {
        let mut away_until = self.lock();
        match *away_until {
            None => true,
            Some(until) => {
                let now = Instant::now();
                let may = now >= until;
                if may {
                    *away_until = Some(now + PAUSE);
                }
                may
            }
        }
    }

    /// The server has answered.
    pub(super) fn close(&self) {
        *self.lock() = None;
    }

    /// The server has not.
    pub(super) fn open(&self) {
        *self.lock() = Some(Instant::now() + PAUSE);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.away_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_one_call_a_pause_looks_whether_the_server_is_back() {
        let breaker = Breaker::default();
        assert!(breaker.admits() && breaker.admits());
        breaker.open();
        assert!(!breaker.admits());
        tokio::time::advance(PAUSE).await;
        assert!(breaker.admits(), "one looks");
        assert!(!breaker.admits(), "the others do not wait for it");
        tokio::time::advance(PAUSE).await;
        assert!(breaker.admits(), "the one that looked was dropped, and is not waited for");
        breaker.close();
        assert!(breaker.admits() && breaker.admits());
    }
}
