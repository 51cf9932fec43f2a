//! What becomes of a consumer's partitions, told without callbacks.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use klamm_client::Error;
use tokio::sync::{mpsc, oneshot};

use crate::assignment::Place;

/// Events that may lie unread. Who reads so slowly that there are more misses some, and is not
/// waited for.
const UNREAD_MAX: usize = 256;

/// Something that happens to the partitions of a consumer in a group.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// These partitions were given to it, besides those that it has.
    Assigned(Vec<Place>),
    /// These partitions will go to others as soon as the [`Revocation`] is dropped.
    Revoking(Revocation),
    /// These partitions went to others, or may have: what was read of them can no longer be
    /// committed.
    Lost(Vec<Place>),
    /// The application took longer than `max.poll.interval.ms` to ask for more. All partitions
    /// are lost, which was told before.
    PollIntervalExceeded,
    /// The log of the partition ends before what was read of it, for its leader was lost and the
    /// new one has less (KIP-320). The consumer goes on where the two logs part, as
    /// `auto.offset.reset` lets it; with `none`, [`Error::Truncated`] is told instead.
    Truncated {
        /// The partition.
        place: Place,
        /// Where the consumer was.
        offset: i64,
        /// Where the two logs part.
        end: i64,
    },
    /// The consumer cannot go on; [`next_batch`](crate::Consumer::next_batch) tells the same.
    Fatal(Error),
}

/// Partitions that are about to be taken from a consumer. Nothing more is delivered from them;
/// what was delivered can be worked on and committed until this is dropped, but not quite as long
/// as the rebalance timeout, which is `max.poll.interval.ms`: a quarter of it, or fifteen seconds,
/// is kept for the commit and the way to the coordinator.
pub struct Revocation {
    places: Vec<Place>,
    _done: oneshot::Sender<()>,
}

impl Revocation {
    /// The partitions, by topic and number.
    #[must_use]
    pub fn partitions(&self) -> &[Place] {
        &self.places
    }
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Revocation").field(&self.places).finish()
    }
}

/// The events of one consumer, in their order. It ends with the consumer, or when the events are
/// asked for again.
///
/// Whoever takes this must read it: a rebalance waits until [`ConsumerEvent::Revoking`] was read
/// and dropped.
#[derive(Debug)]
pub struct ConsumerEvents {
    events: mpsc::Receiver<ConsumerEvent>,
}

impl ConsumerEvents {
    /// The next event; none when there will be no more.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has taken nothing.
    pub async fn next(&mut self) -> Option<ConsumerEvent> {
        poll_fn(|context| self.events.poll_recv(context)).await
    }
}

impl Stream for ConsumerEvents {
    type Item = ConsumerEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_recv(context)
    }
}

/// Where events go, if somebody wants them.
#[derive(Debug, Default)]
pub(crate) struct EventSender {
    events: Option<mpsc::Sender<ConsumerEvent>>,
}

impl EventSender {
    /// Events go there from now on, and begin with these partitions.
    pub(crate) fn subscribe(&mut self, assigned: Vec<Place>) -> ConsumerEvents {
        let (sender, events) = mpsc::channel(UNREAD_MAX);
        self.events = Some(sender);
        if !assigned.is_empty() {
            self.tell(ConsumerEvent::Assigned(assigned));
        }
        ConsumerEvents { events }
    }

    pub(crate) fn tell(&self, event: ConsumerEvent) {
        let Some(events) = &self.events else { return };
        if let Err(mpsc::error::TrySendError::Full(event)) = events.try_send(event) {
            tracing::warn!(?event, "nobody reads the events of this consumer");
        }
    }

    /// Tells that partitions are about to go. What it returns resolves when the application has
    /// let go of them; at once if nobody listens.
    pub(crate) fn revoking(&self, places: Vec<Place>) -> oneshot::Receiver<()> {
        let (done, let_go) = oneshot::channel();
        self.tell(ConsumerEvent::Revoking(Revocation { places, _done: done }));
        let_go
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Vec<Place> {
        vec![("t".into(), 0)]
    }

    #[tokio::test]
    async fn a_revocation_waits_for_whoever_listens() {
        let mut sender = EventSender::default();
        assert!(sender.revoking(places()).await.is_err(), "nobody listens");

        let mut events = sender.subscribe(places());
        let mut let_go = sender.revoking(places());
        assert!(matches!(events.next().await, Some(ConsumerEvent::Assigned(_))));
        let Some(ConsumerEvent::Revoking(revocation)) = events.next().await else {
            panic!("no revocation");
        };
        assert_eq!(revocation.partitions(), places());
        assert_eq!(let_go.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        drop(revocation);
        assert_eq!(let_go.try_recv(), Err(oneshot::error::TryRecvError::Closed));

        drop(events);
        assert!(sender.revoking(places()).await.is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn events_end_when_they_are_asked_for_again() {
        let mut sender = EventSender::default();
        let mut first = sender.subscribe(Vec::new());
        for _ in 0..=UNREAD_MAX {
            sender.tell(ConsumerEvent::PollIntervalExceeded);
        }
        let _second = sender.subscribe(Vec::new());
        let mut read = 0;
        while first.next().await.is_some() {
            read += 1;
        }
        assert_eq!(read, UNREAD_MAX);
    }
}
