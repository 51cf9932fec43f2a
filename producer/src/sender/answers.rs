//! What is out, and waits for its answer.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use klamm_client::{Answer, Going, Metadata, Pending, Result};
use klamm_protocol::api::produce::{self, Produce};

use crate::request::Sent;

/// The requests that are out. One task waits for all their answers: a task for each would cost a
/// hop more.
#[derive(Default)]
pub(super) struct Answers(Mutex<Out>);

#[derive(Default)]
struct Out {
    awaited: Vec<Awaited>,
    /// Of the task that waits.
    waker: Option<Waker>,
}

struct Awaited {
    node: i32,
    metadata: Arc<Metadata>,
    sent: Vec<Sent>,
    coming: Coming,
    /// What it has become, if nobody has taken it yet.
    come: Option<Heard>,
}

/// What a broker answered; nothing where it does not answer and all has gone.
pub(super) type Heard = Result<Option<Answer<produce::Response>>>;

/// What will be heard. To be heard when it comes, whoever has sent the request, and whatever else
/// that task has done.
pub(super) type Coming = Pin<Box<dyn Future<Output = Heard> + Send>>;

/// What is heard of a request that is answered.
pub(super) fn one(pending: Pending<Produce>) -> Coming {
    Box::pin(tokio::task::unconstrained(async { pending.answer().await.map(Some) }))
}

/// What is heard of a request that is not answered.
pub(super) fn none(going: Going) -> Coming {
    Box::pin(tokio::task::unconstrained(async { going.gone().await.map(|()| None) }))
}

/// What a broker said of what was sent to it.
pub(super) struct Answered {
    /// By which its topics were named. What is known now may be another.
    pub(super) metadata: Arc<Metadata>,
    pub(super) sent: Vec<Sent>,
    pub(super) answer: Heard,
}

impl Answers {
    /// Has this one awaited, too, whoever sends it: the task that waits need not be woken for that.
    pub(super) fn expect(
        &self,
        node: i32,
        metadata: Arc<Metadata>,
        sent: Vec<Sent>,
        coming: Coming,
    ) {
        let mut awaited = Awaited { node, metadata, sent, coming, come: None };
        let mut out = self.lock();
        if let Some(waker) = &out.waker
            && awaited.look(&mut Context::from_waker(waker))
        {
            waker.wake_by_ref();
        }
        out.awaited.push(awaited);
    }

    /// How many requests to a broker are out.
    pub(super) fn count(&self, node: i32) -> usize {
        self.lock().awaited.iter().filter(|awaited| awaited.node == node).count()
    }

    /// Waits until one has come.
    ///
    /// # Cancel safety
    /// May be dropped at any time, and asked again.
    pub(super) async fn come(&self) {
        poll_fn(|cx| {
            let mut out = self.lock();
            if out.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                out.waker = Some(cx.waker().clone());
            }
            let mut has_come = false;
            // All are looked at: whichever comes next is to wake the task.
            for awaited in &mut out.awaited {
                has_come |= awaited.look(cx);
            }
            if has_come { Poll::Ready(()) } else { Poll::Pending }
        })
        .await
    }

    /// Those that have come, in the order in which they were asked for. Until they are taken their
    /// requests count as out.
    pub(super) fn take(&self) -> Vec<Answered> {
        let mut out = self.lock();
        let come = out.awaited.extract_if(.., |awaited| awaited.come.is_some());
        come.filter_map(Awaited::taken).collect()
    }

    /// Waits for none of them any more, and gives up what was sent.
    pub(super) fn forget(&self) {
        let given_up = std::mem::take(&mut self.lock().awaited);
        // Whoever hears of it may ask for anything.
        drop(given_up);
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Awaited {
    /// Whether it has come.
    fn look(&mut self, cx: &mut Context<'_>) -> bool {
        if self.come.is_none()
            && let Poll::Ready(answer) = self.coming.as_mut().poll(cx)
        {
            self.come = Some(answer);
        }
        self.come.is_some()
    }

    fn taken(self) -> Option<Answered> {
        Some(Answered { metadata: self.metadata, sent: self.sent, answer: self.come? })
    }
}
