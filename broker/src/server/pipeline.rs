//! Requests that were dispatched and whose answers have not been written.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

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

/// As many answers may be awaited at a time that can be of any size: small requests may have large
/// answers. Kafka carries out one request of a connection at a time.
const UNBOUNDED_MAX: usize = 16;

/// Whether the answer waits for what other clients do, and so perhaps for very long.
pub(super) fn waits_for_others(api: ApiKey) -> bool {
    matches!(api, ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup)
}

/// Whether the answer may be much larger than the request, and is kept once it is made. That of a
/// Fetch is made when it is its turn.
fn is_unbounded(api: ApiKey) -> bool {
    !waits_for_others(api) && !matches!(api, ApiKey::Produce | ApiKey::Heartbeat)
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
    /// How many answers that will come can be of any size.
    unbounded: usize,
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
        Self { depth_max, slots: VecDeque::new(), ready_bytes: 0, waiting: 0, unbounded: 0 }
    }

    /// Whether another request may be carried out. A large one, for which memory is taken, may not
    /// be held up for long by those before it.
    pub(super) fn has_room(&self, is_large: bool) -> bool {
        let is_held_up = is_large && self.waiting > 0;
        let is_full = self.slots.len() >= self.depth_max
            || self.ready_bytes >= READY_BYTES_MAX
            || self.unbounded >= UNBOUNDED_MAX;
        !(is_full || is_held_up)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn push(&mut self, slot: Slot, request: Option<UnderWay>) {
        self.ready_bytes += slot.ready_bytes();
        if let Some(count) = self.count_of(&slot, request.as_ref()) {
            *count += 1;
        }
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
        let came = match self.slots.front_mut() {
            None => return Poll::Pending,
            Some((Slot::Ready(_), _)) => None,
            Some((Slot::Later(answer), _)) => Some(ready!(answer.as_mut().poll(context))),
        };
        let Some((slot, request)) = self.slots.pop_front() else { return Poll::Pending };
        self.ready_bytes -= slot.ready_bytes();
        if let Some(count) = self.count_of(&slot, request.as_ref()) {
            *count -= 1;
        }
        match (slot, came) {
            (Slot::Ready(answer), _) | (_, Some(answer)) => Poll::Ready((answer, request)),
            (Slot::Later(_), None) => Poll::Pending,
        }
    }

    /// Where such an answer counts until it is there.
    fn count_of(&mut self, slot: &Slot, request: Option<&UnderWay>) -> Option<&mut usize> {
        match (slot, request?.api) {
            (Slot::Later(_), api) if waits_for_others(api) => Some(&mut self.waiting),
            (Slot::Later(_), api) if is_unbounded(api) => Some(&mut self.unbounded),
            _ => None,
        }
    }
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

    #[tokio::test]
    async fn few_answers_of_any_size_are_awaited_at_a_time() {
        let mut pipeline = Pipeline::new(1_000);
        for _ in 0..100 {
            for api in [ApiKey::Fetch, ApiKey::Produce, ApiKey::Heartbeat] {
                pipeline.push(later(), request(api));
            }
        }
        for _ in 0..UNBOUNDED_MAX {
            assert!(pipeline.has_room(false));
            pipeline.push(later(), request(ApiKey::OffsetFetch));
        }
        for _ in 0..300 {
            assert!(!pipeline.has_room(false));
            pipeline.next().await.0.unwrap();
        }
        pipeline.next().await.0.unwrap();
        assert!(pipeline.has_room(false));
    }
}
