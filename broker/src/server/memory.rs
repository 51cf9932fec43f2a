//! The memory that requests may hold, all connections together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counted in units, so that the count fits the semaphore's 32 bits.
const UNIT: usize = 1024;

/// A budget of bytes: a request takes its share before its body is read and returns it when its
/// answer is written. When the budget is used up, sockets are not read.
#[derive(Clone, Debug)]
pub(crate) struct RequestMemory {
    free: Arc<Semaphore>,
    units: usize,
}

/// The share of one request; returned when dropped.
#[derive(Debug)]
pub(crate) struct Reservation(
    #[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit,
);

impl RequestMemory {
    /// `None` sets no limit.
    pub(crate) fn new(bytes: Option<usize>) -> Self {
        let bytes = bytes.unwrap_or(usize::MAX);
        let units = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self { free: Arc::new(Semaphore::new(units)), units }
    }

    /// Takes a share at once, if there is one.
    pub(super) fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let free = Arc::clone(&self.free);
        free.try_acquire_many_owned(self.share(bytes)).ok().map(Reservation)
    }

    /// Waits for a share; those who wait are served in order.
    pub(super) async fn reserve(self, bytes: usize) -> Option<Reservation> {
        let share = self.share(bytes);
        self.free.acquire_many_owned(share).await.ok().map(Reservation)
    }

    /// A request larger than the whole budget takes the whole: it passes alone.
    fn share(&self, bytes: usize) -> u32 {
        bytes.div_ceil(UNIT).clamp(1, self.units) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_share_comes_back_when_dropped() {
        let memory = RequestMemory::new(Some(4 * UNIT));
        let first = memory.try_reserve(3 * UNIT).unwrap();
        assert!(memory.try_reserve(2 * UNIT).is_none());
        let waiting = memory.clone().reserve(100 * UNIT);
        drop(first);
        assert!(waiting.await.is_some());
        assert!(memory.try_reserve(1).is_some());
    }
}
