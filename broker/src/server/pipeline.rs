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
    pub(super) _memory: Reservation,
}

/// With as many bytes of answers no further request is carried out before some are written: small
/// requests may have large answers.
const READY_BYTES_MAX: usize = 1 << 20;

/// Whether the answer waits for what other clients do, and so perhaps for very long.
pub(super) fn waits_for_others(api: ApiKey) -> bool {
    matches!(api, ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup)
}

/// Answers in the order of their requests.
pub(super) struct Pipeline {
    /// As many may wait at a time; then the connection is not read.
    depth_max: usize,
    slots: VecDeque<(Slot, Option<UnderWay>)>,
    /// Bytes of the answers that are there.
    ready_bytes: usize,
    /// How many answers that will come wait for others.
    waiting: usize,
}

pub(super) enum Slot {
    Ready(Answer),
    Later(LaterAnswer),
}

impl Slot {
    /// Bytes of the answer, if it is there.
    fn ready_bytes(&self) -> usize {
        match self {
            Self::Ready(Ok(answer)) => answer.len(),
            Self::Ready(Err(_)) | Self::Later(_) => 0,
        }
    }
}

impl Pipeline {
    pub(super) fn new(depth_max: usize) -> Self {
        Self { depth_max, slots: VecDeque::new(), ready_bytes: 0, waiting: 0 }
    }

    /// Whether another request may be carried out. A large one, for which memory is taken, may not
    /// be held up for long by those before it.
    pub(super) fn has_room(&self, is_large: bool) -> bool {
        let is_held_up = is_large && self.waiting > 0;
        self.slots.len() < self.depth_max && self.ready_bytes < READY_BYTES_MAX && !is_held_up
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn push(&mut self, slot: Slot, request: Option<UnderWay>) {
        self.ready_bytes += slot.ready_bytes();
        self.waiting += usize::from(is_waiting(&slot, request.as_ref()));
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
        let Some((slot, request)) = self.slots.front_mut() else { return Poll::Pending };
        let was_waiting = is_waiting(slot, request.as_ref());
        match slot {
            Slot::Ready(_) => self.ready_bytes -= slot.ready_bytes(),
            Slot::Later(answer) => match answer.as_mut().poll(context) {
                Poll::Ready(answer) => *slot = Slot::Ready(answer),
                Poll::Pending => return Poll::Pending,
            },
        }
        self.waiting -= usize::from(was_waiting);
        match self.slots.pop_front() {
            Some((Slot::Ready(answer), request)) => Poll::Ready((answer, request)),
            _ => Poll::Pending,
        }
    }
}

fn is_waiting(slot: &Slot, request: Option<&UnderWay>) -> bool {
    let waits = |request: &UnderWay| waits_for_others(request.api);
    matches!(slot, Slot::Later(_)) && request.is_some_and(waits)
}

#[cfg(test)]
mod tests {
    use klamm_protocol::wire::Writer;

    use super::*;

    fn answer(bytes: usize) -> Slot {
        let mut writer = Writer::new(0, false);
        writer.put(&vec![0; bytes]);
        Slot::Ready(Ok(writer.finish().unwrap()))
    }

    fn later() -> Slot {
        Slot::Later(Box::pin(async { Ok(Encoded::default()) }))
    }

    fn request(api: ApiKey) -> Option<UnderWay> {
        Some(UnderWay { api, arrived: Instant::now(), _memory: Reservation::default() })
    }

    #[tokio::test]
    async fn large_answers_leave_no_room_until_they_are_taken() {
        let mut pipeline = Pipeline::new(10);
        pipeline.push(answer(10), None);
        assert!(pipeline.has_room(false));
        pipeline.push(answer(READY_BYTES_MAX), None);
        assert!(!pipeline.has_room(false));
        pipeline.push(later(), None);
        for has_room in [false, true, true] {
            pipeline.next().await.0.unwrap();
            assert_eq!(pipeline.has_room(false), has_room);
        }
        assert!(pipeline.is_empty() && pipeline.ready_bytes == 0);
    }

    #[tokio::test]
    async fn no_large_request_is_held_up_by_one_that_waits_for_others() {
        let mut pipeline = Pipeline::new(10);
        pipeline.push(later(), request(ApiKey::Produce));
        pipeline.push(answer(10), request(ApiKey::Fetch));
        assert!(pipeline.has_room(true));
        pipeline.push(later(), request(ApiKey::Fetch));
        assert!(pipeline.has_room(false));
        for has_room in [false, false, true] {
            pipeline.next().await.0.unwrap();
            assert_eq!(pipeline.has_room(true), has_room);
        }
    }
}
