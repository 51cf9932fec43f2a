//! The memory that requests may hold, all connections together.
//!
//! - A request of up to [`FREE_BYTES`] takes nothing of it: every connection may hold as much. So
//!   heartbeats and the like get through, whatever others do.
//! - A larger one takes its share in steps, as its bytes arrive. A claim alone takes nothing.
//! - One at a time of those who find nothing left may go beyond the budget, by no more than its
//!   own request. So somebody always gets on, though requests that are half there hold all of it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests of as many bytes are not counted.
pub(super) const FREE_BYTES: usize = 4 * 1024;
/// What a larger request takes at the least, unless it is smaller than that.
const STEP: usize = 64 * 1024;
/// Counted in units, so that the count fits the semaphore's 32 bits.
const UNIT: usize = 1024;

/// A budget of bytes. When it is used up, the sockets of those who need more are not read.
#[derive(Clone, Debug)]
pub(crate) struct RequestMemory {
    free: Arc<Semaphore>,
    units: usize,
    /// Whoever holds it may go beyond the budget.
    beyond: Arc<Semaphore>,
}

/// The share of one request; returned when dropped.
#[derive(Debug, Default)]
pub(super) struct Reservation {
    share: Option<OwnedSemaphorePermit>,
    beyond: Option<OwnedSemaphorePermit>,
}

impl RequestMemory {
    /// `None` sets no limit.
    pub(crate) fn new(bytes: Option<usize>) -> Self {
        let bytes = bytes.unwrap_or(usize::MAX);
        let units = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self { free: Arc::new(Semaphore::new(units)), units, beyond: Arc::new(Semaphore::new(1)) }
    }

    /// The units that a request lacks to go on arriving, and if it is whole, to be carried out.
    pub(super) fn missing(&self, held: &Reservation, length: usize, arrived: usize) -> u32 {
        if length <= FREE_BYTES || arrived <= FREE_BYTES || held.beyond.is_some() {
            return 0;
        }
        let units = held.units();
        let is_ahead = arrived < length && (units as usize).saturating_mul(UNIT) > arrived;
        let due = length.min(STEP.max(arrived.saturating_mul(2)));
        if is_ahead { 0 } else { self.share(due).saturating_sub(units) }
    }

    /// Adds to a share at once, if there is enough. Says whether there was.
    pub(super) fn try_extend(&self, held: &mut Reservation, units: u32) -> bool {
        if units == 0 {
            return true;
        }
        let share = Arc::clone(&self.free).try_acquire_many_owned(units).ok();
        let beyond = match share {
            None => Arc::clone(&self.beyond).try_acquire_owned().ok(),
            Some(_) => None,
        };
        let is_enough = share.is_some() || beyond.is_some();
        held.add(Reservation { share, beyond });
        is_enough
    }

    /// Waits for more; those who wait are served in order.
    pub(super) async fn wait_for(&self, units: u32) -> Reservation {
        tokio::select! {
            biased;
            share = Arc::clone(&self.free).acquire_many_owned(units) => {
                Reservation { share: share.ok(), beyond: None }
            }
            beyond = Arc::clone(&self.beyond).acquire_owned() => {
                Reservation { share: None, beyond: beyond.ok() }
            }
        }
    }

    /// A request larger than the whole budget takes the whole: it passes alone.
    fn share(&self, bytes: usize) -> u32 {
        bytes.div_ceil(UNIT).clamp(1, self.units) as u32
    }
}

impl Reservation {
    fn units(&self) -> u32 {
        self.share.as_ref().map_or(0, |share| share.num_permits() as u32)
    }

    /// Makes another share a part of this one.
    pub(super) fn add(&mut self, more: Self) {
        match (&mut self.share, more.share) {
            (Some(share), Some(more)) => share.merge(more),
            (share, more) => *share = share.take().or(more),
        }
        self.beyond = self.beyond.take().or(more.beyond);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a request that has arrived whole finds at once.
    fn whole(memory: &RequestMemory, bytes: usize) -> Option<Reservation> {
        let mut held = Reservation::default();
        let missing = memory.missing(&held, bytes, bytes);
        memory.try_extend(&mut held, missing).then_some(held)
    }

    #[tokio::test]
    async fn a_share_comes_back_when_dropped() {
        let memory = RequestMemory::new(Some(40 * UNIT));
        let first = whole(&memory, 30 * UNIT).unwrap();
        let beyond = whole(&memory, 20 * UNIT).unwrap();
        assert!(whole(&memory, 20 * UNIT).is_none());
        let waiting = memory.wait_for(memory.share(100 * UNIT));
        drop(first);
        assert_eq!(waiting.await.units(), 40);
        drop(beyond);
        assert!(whole(&memory, 20 * UNIT).is_some());
    }

    #[test]
    fn one_at_a_time_goes_beyond_the_budget() {
        let memory = RequestMemory::new(Some(40 * UNIT));
        let all = whole(&memory, 100 * UNIT).unwrap();
        let beyond = whole(&memory, 50 * UNIT).unwrap();
        assert!(whole(&memory, 50 * UNIT).is_none());
        drop(beyond);
        let beyond = whole(&memory, 50 * UNIT).unwrap();
        drop(all);
        assert_eq!((beyond.units(), memory.free.available_permits()), (0, 40));
    }

    #[test]
    fn a_small_request_takes_nothing_and_neither_does_a_claim() {
        let memory = RequestMemory::new(Some(UNIT));
        let _all = whole(&memory, 100 * UNIT).unwrap();
        let _beyond = whole(&memory, 100 * UNIT).unwrap();
        assert!(whole(&memory, FREE_BYTES).is_some());
        assert_eq!(memory.missing(&Reservation::default(), 100 << 20, FREE_BYTES), 0);
    }

    #[test]
    fn a_share_grows_with_what_arrives() {
        let memory = RequestMemory::new(Some(1 << 30));
        let (mut held, length) = (Reservation::default(), 1_000_001);
        let mut steps = Vec::new();
        for arrived in (0..).map(|read| read * 1_000).take_while(|&arrived| arrived < length) {
            let missing = memory.missing(&held, length, arrived);
            if missing > 0 {
                assert!(memory.try_extend(&mut held, missing));
                steps.push(held.units());
            }
        }
        let missing = memory.missing(&held, length, length);
        assert!(memory.try_extend(&mut held, missing));
        assert_eq!(steps, [64, 129, 260, 522, 977]);
        assert_eq!((held.units(), memory.missing(&held, length, length)), (977, 0));
    }
}
