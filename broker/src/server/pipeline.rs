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
    /// With the memory that the request holds until then.
    Later(LaterAnswer, #[expect(dead_code, reason = "held for its drop")] Reservation),
}

impl Slot {
    /// Bytes of the answer, if it is there.
    fn ready_bytes(&self) -> usize {
        match self {
            Self::Ready(Ok(answer)) => answer.len(),
            Self::Ready(Err(_)) | Self::Later(..) => 0,
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

    /// Leaves out the first answer that waits for others, and all behind it: for a client that
    /// does not wait for them.
    pub(super) fn cut(&mut self) {
        let waits = |(slot, request): &(Slot, Option<UnderWay>)| {
            let api = request.as_ref().map(|request| request.api);
            matches!(slot, Slot::Later(..)) && api.is_some_and(waits_for_others)
        };
        let kept = self.slots.iter().position(waits).unwrap_or(self.slots.len());
        for (slot, request) in self.slots.split_off(kept) {
            self.discount(&slot, request.as_ref());
        }
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
            Some((Slot::Later(answer, _), _)) => Some(ready!(answer.as_mut().poll(context))),
        };
        let Some((slot, request)) = self.slots.pop_front() else { return Poll::Pending };
        self.discount(&slot, request.as_ref());
        match (slot, came) {
            (Slot::Ready(answer), _) | (_, Some(answer)) => Poll::Ready((answer, request)),
            (Slot::Later(..), None) => Poll::Pending,
        }
    }

    fn discount(&mut self, slot: &Slot, request: Option<&UnderWay>) {
        self.ready_bytes -= slot.ready_bytes();
        if let Some(count) = self.count_of(slot, request) {
            *count -= 1;
        }
    }

    /// Where such an answer counts until it is there.
    fn count_of(&mut self, slot: &Slot, request: Option<&UnderWay>) -> Option<&mut usize> {
        match (slot, request?.api) {
            (Slot::Later(..), api) if waits_for_others(api) => Some(&mut self.waiting),
            (Slot::Later(..), api) if is_unbounded(api) => Some(&mut self.unbounded),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use klamm_protocol::wire::Writer;

    use super::*;
    use crate::server::memory::RequestMemory;

    fn answer(bytes: usize) -> Slot {
        let mut writer = Writer::new(0, false);
        writer.put(&vec![0; bytes]);
        Slot::Ready(Ok(writer.finish().unwrap()))
    }

    fn later() -> Slot {
        let answer = Box::pin(async { Ok(Encoded::default()) });
        Slot::Later(answer, Reservation::default())
    }

    fn request(api: ApiKey) -> Option<UnderWay> {
        Some(UnderWay { api, arrived: Instant::now() })
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

    /// Whoever read an answer slowly held the memory of its request for as long.
    #[tokio::test]
    async fn the_memory_of_a_request_is_free_once_its_answer_is_there() {
        let memory = RequestMemory::new(Some(1 << 20));
        let mut all = Reservation::default();
        assert!(memory.try_extend(&mut all, 1 << 10));
        let mut pipeline = Pipeline::new(10);
        let answer = Box::pin(async { Ok(Encoded::default()) });
        pipeline.push(Slot::Later(answer, all), request(ApiKey::Produce));
        let _unwritten = pipeline.next().await;
        assert!(memory.try_extend(&mut Reservation::default(), 1 << 10));
    }

    #[tokio::test]
    async fn whoever_does_not_wait_gets_what_is_not_held_up_by_others() {
        let mut pipeline = Pipeline::new(10);
        for (slot, api) in [
            (answer(1), ApiKey::Metadata),
            (later(), ApiKey::Produce),
            (later(), ApiKey::Fetch),
            (answer(READY_BYTES_MAX), ApiKey::Metadata),
            (later(), ApiKey::OffsetFetch),
        ] {
            pipeline.push(slot, request(api));
        }
        pipeline.cut();
        for api in [ApiKey::Metadata, ApiKey::Produce] {
            assert_eq!(pipeline.next().await.1.unwrap().api, api);
        }
        assert!(pipeline.is_empty() && pipeline.has_room(true));
        assert_eq!((pipeline.waiting, pipeline.unbounded, pipeline.ready_bytes), (0, 0, 0));
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
