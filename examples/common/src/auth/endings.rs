//! Which sessions ended, at whichever instance.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Interval;
use uuid::Uuid;

use super::{Auth, refresh};
use crate::bus::Listener;

/// The channel on which instances tell each other; the payload is the sessions' ids.
const SESSION_ENDED: &str = "session-ended";

/// How often the database is asked.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How far back it is asked: clocks of instances differ, and a ticket that was given before the end
/// opens a socket after it.
const LOOK_BACK_MS: i64 = 60_000;

/// Hears of sessions that end. The bus is quick and may lose it; the database is slower and does
/// not, so that sessions are told more than once.
#[derive(Debug)]
pub struct Endings {
    auth: Auth,
    listener: Listener,
    looks: Interval,
    /// When the database was asked last, and answered.
    looked_ms: i64,
    told: VecDeque<HashSet<Uuid>>,
}

impl Endings {
    pub(super) fn new(auth: Auth) -> Self {
        // A listener of its own: what else is told on the bus crowds nothing out here.
        let listener = auth.0.bus.listener();
        listener.listen_to([SESSION_ENDED.into()].into());
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self { auth, listener, looks, looked_ms: refresh::now_ms(), told: VecDeque::new() }
    }

    /// The next sessions that ended.
    pub async fn next(&mut self) -> HashSet<Uuid> {
        loop {
            if let Some(ended) = self.told.pop_front() {
                return ended;
            }
            tokio::select! {
                Some(heard) = self.listener.next() => self.told.push_back(read(&heard.payload)),
                _ = self.looks.tick() => self.look().await,
            }
        }
    }

    async fn look(&mut self) {
        let now = refresh::now_ms();
        let asked = refresh::ended_since(&self.auth.0.database, self.looked_ms - LOOK_BACK_MS);
        match tokio::time::timeout(LOOK_EVERY, asked).await {
            Ok(Ok(ended)) => {
                self.looked_ms = now;
                if !ended.is_empty() {
                    self.told.push_back(ended.into_iter().collect());
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, "it is not known which sessions ended"),
            Err(_) => tracing::debug!("it is not known which sessions ended: no answer"),
        }
    }
}

/// Tells all instances.
pub(super) async fn tell(auth: &Auth, ended: &[Uuid]) {
    if ended.is_empty() {
        return;
    }
    let ids: Vec<u8> = ended.iter().flat_map(|session| *session.as_bytes()).collect();
    if let Err(error) = auth.0.bus.publish(SESSION_ENDED, Bytes::from(ids)).await {
        tracing::warn!(%error, "open sockets stay open until the database is asked");
    }
}

fn read(payload: &[u8]) -> HashSet<Uuid> {
    payload.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok()).collect()
}
