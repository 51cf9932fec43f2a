//! The second step of an append: a future that says what became of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored as the durability of the log promises.
    Committed,
    /// It is surely not stored, and never will be; it may be tried again.
    Void,
    /// A writer of a later epoch has taken over.
    Fenced,
    /// A sync failed after the write: the append may or may not be there once the log is
    /// recovered. Who tries again must expect to store it twice, unless sequence numbers tell.
    Unknown,
}

/// An append whose place in the order is fixed: its offsets are known at once, and awaiting the
/// ticket says what became of it. Needs no runtime. Dropping it changes nothing for the append.
#[derive(Debug)]
#[must_use = "an append counts only once its ticket resolved"]
pub struct Ticket {
    base_offset: i64,
    last_offset: i64,
    append_time_ms: Option<i64>,
    /// `None`: committed at once.
    cell: Option<Arc<TicketCell>>,
}

impl Ticket {
    pub(crate) fn new(offsets: (i64, i64), append_time_ms: Option<i64>) -> Self {
        Self { base_offset: offsets.0, last_offset: offsets.1, append_time_ms, cell: None }
    }

    /// Makes the ticket wait, and gives what resolves it.
    pub(crate) fn pending(mut self) -> (Self, Arc<TicketCell>) {
        let cell = Arc::new(TicketCell::default());
        self.cell = Some(cell.clone());
        (self, cell)
    }

    /// Offset of the first record.
    #[must_use]
    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// Offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.last_offset
    }

    /// The time the log gave the records, where they were appended with it.
    #[must_use]
    pub fn append_time_ms(&self) -> Option<i64> {
        self.append_time_ms
    }

    /// The outcome, if it is known already.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match &self.cell {
            None => Some(Outcome::Committed),
            Some(cell) => cell.lock().outcome,
        }
    }
}

impl Future for Ticket {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let Some(cell) = &self.cell else { return Poll::Ready(Outcome::Committed) };
        let mut state = cell.lock();
        match state.outcome {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// The end of a ticket that the log holds.
#[derive(Debug, Default)]
pub(crate) struct TicketCell(Mutex<TicketState>);

#[derive(Debug, Default)]
struct TicketState {
    outcome: Option<Outcome>,
    /// Whoever polled last.
    waker: Option<Waker>,
}

impl TicketCell {
    /// Says what became of the append, once; later calls change nothing. Must be called without
    /// the lock of the log, since it runs the waker.
    pub(crate) fn resolve(&self, outcome: Outcome) {
        let waker = {
            let mut state = self.lock();
            state.outcome.get_or_insert(outcome);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, TicketState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
