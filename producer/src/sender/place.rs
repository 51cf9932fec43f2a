//! A partition as the sender sees it.

use std::sync::Arc;
use std::time::Instant;

use klamm_client::Error;
use klamm_utils::backoff::Backoff;

use crate::lane::{Lane, Parcel};
use crate::partition_queue::PartitionQueue;
use crate::shared::Shared;

/// A partition and its lane.
pub(super) struct Place {
    pub(super) queue: Arc<PartitionQueue>,
    pub(super) lane: Lane,
    pub(super) backoff: Backoff,
    /// What has gone wrong here since something was stored last.
    pub(super) trouble: Option<Arc<Error>>,
    due: Option<Due>,
}

/// The open batch has lingered long enough if it began then or before. It stays open until it can
/// be sent: so batches grow while the broker is busy.
#[derive(Clone, Copy)]
struct Due {
    began: Instant,
    transaction: u64,
}

impl Place {
    pub(super) fn new(queue: Arc<PartitionQueue>, backoff: Backoff) -> Self {
        Self { queue, lane: Lane::default(), backoff, trouble: None, due: None }
    }

    /// The batch that began then, in this transaction, has lingered long enough, if it was not full
    /// before.
    pub(super) fn linger_ends(&mut self, began: Instant, transaction: u64) {
        if self.queue.open_since().is_some_and(|since| since <= began) {
            self.due = Some(Due { began, transaction });
        }
    }

    /// Whether there is a batch that could be sent now.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.next_transaction().is_some() && self.lane.may_send(now)
    }

    /// Whether nothing is left to be done here.
    pub(super) fn is_idle(&self) -> bool {
        self.lane.is_idle() && self.due.is_none()
    }

    /// Of which transaction the batch is that would be sent next, if there is one.
    pub(super) fn next_transaction(&self) -> Option<u64> {
        self.lane.next_transaction().or(self.due.map(|due| due.transaction))
    }

    /// When the oldest batch that could be sent was begun.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.lane.oldest().or(self.due.map(|due| due.began))
    }

    /// Whether a batch that is due began at `moment` or before.
    fn is_due_by(&self, moment: Instant) -> bool {
        self.due.is_some_and(|due| due.began <= moment)
    }

    /// Seals the open batch if it is due and nothing else waits to be sent.
    pub(super) fn fill(&mut self, shared: &Shared) {
        if self.lane.is_empty() {
            self.seal_due(shared);
        }
    }

    /// Seals the open batch if it is due.
    pub(super) fn seal_due(&mut self, shared: &Shared) {
        if let Some(Due { began, .. }) = self.due.take() {
            self.queue.seal_if_began_by(began);
            self.take_sealed(shared);
        }
    }

    /// Gives up what began at `moment` or before and is not out.
    pub(super) fn give_up_until(
        &mut self,
        moment: Instant,
        shared: &Shared,
        why: impl Fn(&Parcel) -> Error,
    ) {
        if self.is_due_by(moment) {
            self.seal_due(shared);
        }
        for parcel in self.lane.expire(moment) {
            let error = shared.lose(why(&parcel), parcel.possibly_written);
            shared.give_up(parcel, error);
        }
    }

    /// Takes over what callers have sealed. Tells whether there is a batch of several records.
    pub(super) fn take_sealed(&mut self, shared: &Shared) -> bool {
        let (made, open_since) = self.queue.take_sealed();
        // What was due may have become full since.
        self.due.take_if(|due| open_since.is_none_or(|began| began > due.began));
        let mut has_several = false;
        for made in made {
            match made {
                Ok(sealed) => {
                    has_several |= sealed.records() > 1;
                    self.lane.push(sealed);
                }
                Err(spoiled) => {
                    shared.metrics.given_up(spoiled.records);
                    let error = shared.lose(spoiled.error.clone(), false);
                    spoiled.settle(error);
                }
            }
        }
        has_several
    }
}
