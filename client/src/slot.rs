//! The places of connections, one for each address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use klamm_utils::backoff::Backoff;
use klamm_utils::clock;

use crate::connection::Connection;
use crate::error::{Error, Result};

/// By address: a broker that moves gets a new one.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// Held for a few instructions and never across an await.
    by_address: Mutex<HashMap<Arc<str>, Arc<Slot>>>,
}

/// The place of one connection.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Held while connecting, so that many callers connect once.
    state: tokio::sync::Mutex<State>,
}

/// How patient one is with a broker that cannot be connected to: ever more.
#[derive(Clone, Debug)]
pub(crate) struct Reconnect {
    /// Before the next try.
    pub(crate) pause: Backoff,
    /// How long connecting may take.
    pub(crate) timeout: Backoff,
}

#[derive(Debug)]
struct State {
    connection: Option<Connection>,
    reconnect: Reconnect,
    /// When connecting failed last, and why; the next try waits until `retry_at`.
    failed: Option<(Instant, Error)>,
    retry_at: Option<Instant>,
}

impl Slots {
    /// The place of an address, made with `reconnect` if there is none yet.
    pub(crate) fn of(&self, address: &Arc<str>, reconnect: &Reconnect) -> Arc<Slot> {
        let mut slots = self.lock();
        let slot = slots.entry(Arc::clone(address)).or_insert_with(|| {
            let reconnect = reconnect.clone();
            let state = State { connection: None, reconnect, failed: None, retry_at: None };
            Arc::new(Slot { state: tokio::sync::Mutex::new(state) })
        });
        Arc::clone(slot)
    }

    /// Gives up the places of other addresses. Requests that are under way on their connections
    /// are answered still.
    pub(crate) fn keep(&self, is_wanted: impl Fn(&str) -> bool) {
        self.lock().retain(|address, _| is_wanted(address));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Slot>>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The connection, if it is open and nobody is busy opening it.
    pub(crate) fn opened(&self) -> Option<Connection> {
        let state = self.state.try_lock().ok()?;
        state.connection.as_ref().filter(|open| open.is_alive()).cloned()
    }

    /// The connection, by `connect` if there is none that is open: after the pause and within the
    /// time that earlier failures ask for, and once for all who wait together.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has opened nothing.
    pub(crate) async fn open(
        &self,
        connect: impl AsyncFnOnce(Duration) -> Result<Connection>,
    ) -> Result<Connection> {
        let asked_at = clock::now();
        let mut state = self.state.lock().await;
        if let Some(connection) = state.connection.as_ref().filter(|open| open.is_alive()) {
            return Ok(connection.clone());
        }
        if let Some((_, error)) = state.failed.as_ref().filter(|(at, _)| *at >= asked_at) {
            // Those who wait together fail together: one try after the other would take too long.
            return Err(error.clone());
        }
        if let Some(retry_at) = state.retry_at {
            tokio::time::sleep_until(retry_at.into()).await;
        }
        let timeout = state.reconnect.timeout.next_pause();
        match connect(timeout).await {
            Ok(connection) => {
                state.reconnect.pause.reset();
                state.reconnect.timeout.reset();
                (state.retry_at, state.failed) = (None, None);
                state.connection = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                let now = clock::now();
                state.retry_at = Some(now + state.reconnect.pause.next_pause());
                state.failed = Some((now, error.clone()));
                state.connection = None;
                Err(error)
            }
        }
    }
}
