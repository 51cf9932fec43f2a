//! Who has the sender do its rounds: whoever has something for it, and a task that hears answers,
//! reports and the time.
//!
//! A batch is sent by whom it was filled by, unless another is at it just then: so nobody is woken
//! for it. Where batches of several records fill one after the other and records may linger, the
//! task sends those of a moment together.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use klamm_client::Connection;
use klamm_protocol::api::produce::Produce;
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::Sender;
use super::report::Report;
use crate::shared::Shared;

/// Reports that may wait for the sender; further reporters wait.
const REPORTS: usize = 64;
/// How long batches that fill one after the other wait for each other, if records may linger that
/// long: to wake a broker, and be woken by it, for each costs more than the batch.
const COMPANY: Duration = Duration::from_millis(1);

/// See the [module](self).
pub(crate) struct Post {
    shared: Arc<Shared>,
    /// Held for a round, which waits for nothing.
    desk: Mutex<Desk>,
    /// Where its tasks run, whatever thread calls.
    runtime: Handle,
}

/// The sender, and when its task will look.
struct Desk {
    sender: Sender,
    /// When the task wakes though nothing happens.
    wakes_at: Instant,
    /// The task wakes in a moment, and sends what is filled until then.
    gathers: bool,
}

impl Post {
    /// Starts the task, which ends when the producer is closed and everything is settled, or when
    /// the tasks are stopped: then what is left is given up.
    pub(crate) fn open(shared: Arc<Shared>, tasks: &TaskGroup) -> Arc<Self> {
        let (reporter, reports) = mpsc::channel(REPORTS);
        let sender = Sender::new(Arc::clone(&shared), tasks.clone(), reporter);
        let desk = Mutex::new(Desk { sender, wakes_at: clock::now(), gathers: false });
        let post = Arc::new(Self { shared, desk, runtime: Handle::current() });
        let (serving, stopping) = (Serving(Arc::clone(&post)), tasks.stopping());
        tasks.spawn("send", async move {
            tokio::select! {
                () = stopping => {}
                () = serving.0.serve(reports) => {}
            }
        });
        post
    }

    /// Has the sender see that a batch has begun, or that one is full: it sends what can be sent
    /// now, unless the task does.
    pub(crate) fn send(&self, is_full: bool) {
        let wake = Wake(&self.shared);
        let is_done = self.desk.try_lock().is_ok_and(|mut desk| {
            if desk.gathers {
                return true;
            }
            let linger = self.shared.linger();
            if !is_full && !linger.is_zero() {
                return clock::now() + linger >= desk.wakes_at;
            }
            let _runtime = self.runtime.enter();
            let next = desk.sender.round();
            let goes_on = desk.sender.congested.is_empty() && !self.shared.is_closed();
            next >= desk.wakes_at && goes_on
        });
        if is_done {
            std::mem::forget(wake);
        }
    }

    async fn serve(&self, mut reports: mpsc::Receiver<Report>) {
        let mut heard = Vec::new();
        loop {
            let (answers, wakes_at, congested) = {
                // Whoever panicked in a round has left it half done.
                let Ok(mut desk) = self.desk.lock() else { return };
                desk.sender.hear(std::mem::take(&mut heard));
                desk.wakes_at = desk.sender.round();
                let company = COMPANY.min(self.shared.settings.shape.linger);
                desk.gathers = std::mem::take(&mut desk.sender.fills) && !company.is_zero();
                if desk.gathers {
                    desk.wakes_at = desk.wakes_at.min(clock::now() + company);
                }
                if self.shared.is_closed() && desk.sender.is_done() {
                    return;
                }
                let Desk { sender, wakes_at, .. } = &*desk;
                (Arc::clone(&sender.answers), *wakes_at, sender.congested.clone())
            };
            tokio::select! {
                () = answers.come() => {}
                _ = reports.recv_many(&mut heard, REPORTS) => {}
                () = self.shared.wake.notified() => {}
                () = tokio::time::sleep_until(wakes_at.into()) => {}
                () = room(&congested) => {}
            }
        }
    }
}

/// Waits until one of these has room again, or has failed.
async fn room(congested: &[Connection]) {
    let mut turns: Vec<_> =
        congested.iter().map(|connection| Box::pin(connection.turn::<Produce>())).collect();
    poll_fn(|cx| {
        let is_ready = turns.iter_mut().any(|turn| turn.as_mut().poll(cx).is_ready());
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Wakes the task when it is dropped: by a panic, too.
struct Wake<'a>(&'a Shared);

impl Drop for Wake<'_> {
    fn drop(&mut self) {
        self.0.wake.notify_one();
    }
}

/// Serves. However that ends, nobody is left waiting.
struct Serving(Arc<Post>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner).sender.end();
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").finish_non_exhaustive()
    }
}
