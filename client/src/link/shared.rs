//! What the callers, the reader and the writer of a link share.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::wire::WireError;
use klamm_utils::task::TaskGroup;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::Limits;
use crate::error::{Error, Result};
use crate::tls::{self, TlsError};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) address: Arc<str>,
    pub(super) limits: Limits,
    /// Whether the socket speaks TLS.
    pub(super) secret: bool,
    pub(super) window: Arc<Semaphore>,
    /// They end with the link, and the socket with them.
    pub(super) tasks: TaskGroup,
    next_id: AtomicI32,
    /// Held for a few instructions and never across an await: an owner task would cost every
    /// answer one more hop.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<i32, Waiting>,
    /// How many requests callers have sent.
    asked: u64,
    /// Until when the broker does not listen.
    throttled_until: Option<Instant>,
    /// Why the link is dead. Set once; nothing is sent or believed after it.
    failed: Option<Reason>,
}

/// A request without its answer. It stays when its caller goes, so that the answer is still
/// known when it comes, and missed when it does not.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) api: &'static str,
    /// Dropped when the link fails.
    pub(super) answer: oneshot::Sender<Bytes>,
    /// How long it may take.
    pub(super) after: Duration,
    pub(super) deadline: Instant,
    /// Its place in the window; none if whoever sent it holds the whole window.
    pub(super) slot: Option<OwnedSemaphorePermit>,
}

/// Why a link is dead.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    Told(Arc<str>),
    /// The peer refused TLS before it gave any answer.
    Tls(TlsError),
}

impl Shared {
    pub(super) fn new(address: Arc<str>, limits: Limits, secret: bool, tasks: TaskGroup) -> Self {
        let limits = Limits { in_flight: limits.in_flight.max(1), ..limits };
        let window = Arc::new(Semaphore::new(limits.in_flight));
        let (next_id, state) = (AtomicI32::new(0), Mutex::default());
        Self { address, limits, secret, window, tasks, next_id, state }
    }

    pub(super) fn new_id(&self) -> i32 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn is_alive(&self) -> bool {
        self.lock().failed.is_none()
    }

    /// Notes that a request is about to be sent, and who waits for its answer.
    pub(super) fn expect(&self, id: i32, waiting: Waiting) -> Result<()> {
        let mut state = self.lock();
        if state.failed.is_some() {
            drop(state);
            return Err(self.disconnected(waiting.api, false));
        }
        state.asked += u64::from(waiting.slot.is_some());
        state.waiting.insert(id, waiting);
        Ok(())
    }

    /// Notes that a request is about to be sent for whose answer nobody waits.
    pub(super) fn expect_nothing(&self, api: &'static str) -> Result<()> {
        let mut state = self.lock();
        if state.failed.is_some() {
            drop(state);
            return Err(self.disconnected(api, false));
        }
        state.asked += 1;
        Ok(())
    }

    /// Gives a frame to whoever asked. Fails if nobody did: then the stream makes no sense.
    pub(super) fn deliver(&self, frame: Bytes) -> std::result::Result<(), Reason> {
        let id = frame.first_chunk::<4>().map(|id| i32::from_be_bytes(*id));
        let id = id.ok_or("an answer without a correlation id")?;
        let waiting = self.lock().waiting.remove(&id);
        let waiting = waiting.ok_or_else(|| format!("an answer {id} that nobody asked for"))?;
        let Waiting { answer, slot, .. } = waiting;
        // Whoever hears the answer finds its place free.
        drop(slot);
        // The caller may have gone.
        let _ = answer.send(frame);
        Ok(())
    }

    /// Ends the link for everyone. The first reason stands.
    pub(super) fn fail(&self, reason: Reason) {
        let waiting = {
            let mut state = self.lock();
            state.failed.get_or_insert(reason);
            std::mem::take(&mut state.waiting)
        };
        self.window.close();
        // Whoever waits hears of it by this.
        drop(waiting);
        self.tasks.stop();
    }

    /// Until when the broker does not listen, if it does not now.
    pub(super) fn throttled_until(&self) -> Option<Instant> {
        self.lock().throttled_until.filter(|until| *until > Instant::now())
    }

    /// The broker does not listen before then.
    pub(super) fn throttle(&self, until: Instant) {
        let mut state = self.lock();
        state.throttled_until = state.throttled_until.max(Some(until));
    }

    /// Why the link is to fail if an answer is late by more than `grace`: those who wait for
    /// theirs find that out themselves, and before.
    pub(super) fn overdue(&self, grace: Duration) -> Option<Reason> {
        let now = Instant::now();
        let is_late = |waiting: &&Waiting| now.duration_since(waiting.deadline) > grace;
        self.lock().waiting.values().find(is_late).map(|late| Reason::silent(late.api, late.after))
    }

    /// How many requests callers have sent; nothing while one of them waits for its answer.
    pub(super) fn asked(&self) -> Option<u64> {
        self.lock().asked_if_quiet()
    }

    /// Ends the link unless callers have sent more than `asked` requests, wait for an answer, or
    /// may be waiting until the broker listens.
    /// Nothing is sent after it was looked.
    pub(super) fn fail_if_idle(&self, asked: u64) -> Option<Reason> {
        let mut state = self.lock();
        let is_throttled = state.throttled_until.is_some_and(|until| until > Instant::now());
        let is_idle = state.asked_if_quiet() == Some(asked) && !is_throttled;
        is_idle.then(|| {
            let reason = Reason::from("closed by this client, for nobody used it");
            state.failed.get_or_insert(reason).clone()
        })
    }

    pub(super) fn is_awaited(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    pub(super) fn disconnected(&self, api: &'static str, sent: bool) -> Error {
        let address = Arc::clone(&self.address);
        match self.lock().failed.clone() {
            Some(Reason::Tls(source)) => Error::Tls { address, source },
            Some(Reason::Told(reason)) => Error::Disconnected { address, api, reason, sent },
            None => Error::Disconnected { address, api, reason: "closed".into(), sent },
        }
    }

    pub(super) fn wire(&self, api: &'static str, source: WireError) -> Error {
        Error::Wire { address: Arc::clone(&self.address), api, source }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn asked_if_quiet(&self) -> Option<u64> {
        let waits = self.waiting.values().any(|waiting| waiting.slot.is_some());
        (!waits).then_some(self.asked)
    }
}

impl Reason {
    pub(super) fn silent(api: &str, after: Duration) -> Self {
        format!("no answer to {api} within {after:?}").into()
    }

    pub(super) fn of_io(error: &io::Error) -> Self {
        match Self::of_first(error) {
            Self::Tls(error) => error.to_string().into(),
            told @ Self::Told(_) => told,
        }
    }

    /// What an error means where the first answer should be.
    pub(super) fn of_first(error: &io::Error) -> Self {
        tls::of_io(error).map_or_else(|| error.to_string().into(), Self::Tls)
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        Self::Told(text.into())
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self::Told(text.into())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(text) => f.write_str(text),
            Self::Tls(error) => error.fmt(f),
        }
    }
}
