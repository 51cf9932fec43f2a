//! Requests that were dispatched and whose answers have not been written.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use klamm_protocol::api::ApiKey;
use klamm_protocol::wire::Encoded;
use tokio::time::Instant;

use super::connection::ConnectionError;
use super::memory::Reservation;

/// An encoded answer, or the reason why this connection must end once those before it are written.
pub(super) type Answer = Result<Encoded, ConnectionError>;

/// An answer that will come.
pub(super) type LaterAnswer = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What is kept of a request until its answer is written.
pub(super) struct UnderWay {
    pub(super) api: ApiKey,
    /// When its last byte was read.
    pub(super) arrived: Instant,
    /// Held for its drop.
    pub(super) _memory: Option<Reservation>,
}

/// Answers in the order of their requests.
pub(super) struct Pipeline {
    /// As many may wait at a time; then the connection is not read.
    depth_max: usize,
    slots: VecDeque<(Slot, Option<UnderWay>)>,
}

pub(super) enum Slot {
    Ready(Answer),
    Later(LaterAnswer),
}

impl Pipeline {
    pub(super) fn new(depth_max: usize) -> Self {
        Self { depth_max, slots: VecDeque::new() }
    }

    pub(super) fn has_room(&self) -> bool {
        self.slots.len() < self.depth_max
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn push(&mut self, slot: Slot, request: Option<UnderWay>) {
        self.slots.push_back((slot, request));
    }

    /// Waits for the answer that must be written next; for ever if there is none.
    pub(super) async fn next(&mut self) -> (Answer, Option<UnderWay>) {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The next answer, if it is there already.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<(Answer, Option<UnderWay>)> {
        let Some((slot, _)) = self.slots.front_mut() else { return Poll::Pending };
        if let Slot::Later(answer) = slot {
            match answer.as_mut().poll(context) {
                Poll::Ready(answer) => *slot = Slot::Ready(answer),
                Poll::Pending => return Poll::Pending,
            }
        }
        match self.slots.pop_front() {
            Some((Slot::Ready(answer), request)) => Poll::Ready((answer, request)),
            _ => Poll::Pending,
        }
    }
}
