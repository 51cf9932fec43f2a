//! Which sessions ended, at whichever instance.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use klamm_utils::clock;
use tokio::time::Interval;
use uuid::Uuid;

use super::{Auth, refresh};
use crate::bus::Listener;

/// The channel on which instances tell each other; the payload is the sessions' ids.
const SESSION_ENDED: &str = "session-ended";

/// How often the database is asked.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How much longer than a token lasts it is known that its session ended: clocks of instances
/// differ, and a ticket that was given before the end opens a socket after it.
const LONGER: Duration = Duration::from_secs(60);

/// The sessions that ended and of which a token may still be good. Whoever hears of endings fills
/// it, so that no request has to ask the database.
#[derive(Debug)]
pub(super) struct Ended {
    /// When each was heard of last. Held to look or note only.
    heard: Mutex<HashMap<Uuid, Instant>>,
    known_for: Duration,
}

impl Ended {
    pub(super) fn new(access_lifetime: Duration) -> Self {
        Self { heard: Mutex::default(), known_for: access_lifetime + LONGER }
    }

    /// Whether this session is known to have ended.
    pub(super) fn has(&self, session: Uuid) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&session)
    }

    fn note<'a>(&self, ended: impl IntoIterator<Item = &'a Uuid>) {
        let now = clock::now();
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.extend(ended.into_iter().map(|session| (*session, now)));
        heard.retain(|_, at| now.saturating_duration_since(*at) < self.known_for);
    }

    fn known_for_ms(&self) -> i64 {
        i64::try_from(self.known_for.as_millis()).unwrap_or(i64::MAX / 2)
    }
}

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
                self.auth.0.ended.note(&ended);
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
        // As far back as a token may be from: whoever was let in while the database was away may
        // be of a session that had ended before.
        let since = self.looked_ms - self.auth.0.ended.known_for_ms();
        let asked = refresh::ended_since(&self.auth.0.database, since);
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
    auth.0.ended.note(ended);
    let ids: Vec<u8> = ended.iter().flat_map(|session| *session.as_bytes()).collect();
    if let Err(error) = auth.0.bus.publish(SESSION_ENDED, Bytes::from(ids)).await {
        tracing::warn!(%error, "open sockets stay open until the database is asked");
    }
}

fn read(payload: &[u8]) -> HashSet<Uuid> {
    payload.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok()).collect()
}
