//! `buffer.memory`: who holds how much of it, and what is not settled yet.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// The memory of one producer, and the batches that are not settled.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// A permit for each byte that nobody holds.
    memory: Semaphore,
    capacity: usize,
    /// How many callers wait for memory.
    waiting: AtomicUsize,
    /// Held for a few instructions, when a batch begins or ends.
    batches: Mutex<Batches>,
    /// Rings whenever a batch is settled.
    settled: Notify,
}

#[derive(Debug, Default)]
struct Batches {
    begun: u64,
    unsettled: BTreeSet<u64>,
}

/// Memory of one record that is not in a batch yet. Dropping it gives the memory back.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    ledger: &'a Arc<Ledger>,
    bytes: usize,
}

/// A batch's entry: its memory, and that it is not settled. Dropping it ends both.
#[derive(Debug)]
pub(crate) struct Hold {
    ledger: Arc<Ledger>,
    number: u64,
    bytes: usize,
}

impl Ledger {
    /// So many bytes, of which a semaphore can count 2^32.
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        let capacity = capacity.min(u32::MAX as usize);
        let memory = Semaphore::new(capacity);
        let (waiting, batches, settled) = (AtomicUsize::new(0), Mutex::default(), Notify::new());
        Arc::new(Self { memory, capacity, waiting, batches, settled })
    }

    /// Waits until there is room; the first who waits is the first who gets it. What is larger
    /// than the whole memory gets the whole. Says by `rings` that somebody waits.
    pub(crate) async fn reserve(self: &Arc<Self>, bytes: usize, rings: &Notify) -> Room<'_> {
        if let Some(room) = self.try_reserve(bytes) {
            return room;
        }
        let _waiting = Waiting::begin(self);
        rings.notify_one();
        let permits = self.memory.acquire_many(self.permits(bytes)).await;
        self.room(permits.expect("the semaphore is never closed"))
    }

    /// Takes room if there is some now.
    pub(crate) fn try_reserve(self: &Arc<Self>, bytes: usize) -> Option<Room<'_>> {
        self.memory.try_acquire_many(self.permits(bytes)).ok().map(|permits| self.room(permits))
    }

    fn room(self: &Arc<Self>, permits: SemaphorePermit<'_>) -> Room<'_> {
        let bytes = permits.num_permits();
        // It is given back by what it becomes.
        permits.forget();
        Room { ledger: self, bytes }
    }

    /// Whether somebody waits for memory: then nothing that holds some is to linger.
    pub(crate) fn is_short(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Waits until everything that has begun by now is settled.
    pub(crate) async fn flushed(&self) {
        let begun = self.lock().begun;
        loop {
            let settled = self.settled.notified();
            if self.lock().unsettled.first().is_none_or(|oldest| *oldest >= begun) {
                return;
            }
            settled.await;
        }
    }

    /// How many bytes are taken.
    pub(crate) fn taken(&self) -> usize {
        self.capacity - self.memory.available_permits()
    }

    /// How many batches are not settled.
    pub(crate) fn unsettled(&self) -> usize {
        self.lock().unsettled.len()
    }

    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(self.capacity)).unwrap_or(u32::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Batches> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller waits for memory, until this is dropped.
struct Waiting<'a>(&'a Ledger);

impl<'a> Waiting<'a> {
    fn begin(ledger: &'a Ledger) -> Self {
        ledger.waiting.fetch_add(1, Ordering::SeqCst);
        Self(ledger)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Room<'_> {
    /// The entry of a batch that begins now, without memory yet.
    pub(crate) fn begin(&self) -> Hold {
        let mut batches = self.ledger.lock();
        let number = batches.begun;
        batches.begun += 1;
        batches.unsettled.insert(number);
        Hold { ledger: Arc::clone(self.ledger), number, bytes: 0 }
    }
}

impl Hold {
    /// Rises with each batch.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Takes over a record's memory.
    pub(crate) fn add(&mut self, mut room: Room<'_>) {
        self.bytes += std::mem::take(&mut room.bytes);
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.ledger.memory.add_permits(self.bytes);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Who waited for a flush finds room.
        self.ledger.memory.add_permits(self.bytes);
        self.ledger.lock().unsettled.remove(&self.number);
        self.ledger.settled.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn memory_comes_back_with_the_batch() {
        let ledger = Ledger::new(10);
        let room = ledger.try_reserve(6).unwrap();
        let mut hold = room.begin();
        hold.add(room);
        assert!(ledger.try_reserve(5).is_none());
        hold.add(ledger.try_reserve(4).unwrap());
        let rings = Notify::new();
        let mut waiting = Box::pin(ledger.reserve(99, &rings));
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut waiting).await.is_err());
        assert!(ledger.is_short(), "what lingers is to go");
        rings.notified().await;
        drop(hold);
        assert_eq!(waiting.await.bytes, 10);
        assert!(!ledger.is_short());
    }

    #[tokio::test]
    async fn a_flush_waits_for_what_began_before_it_only() {
        let ledger = Ledger::new(10);
        let room = ledger.try_reserve(1).unwrap();
        let (first, second) = (room.begin(), room.begin());
        let mut flushed = Box::pin(ledger.flushed());
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut flushed).await.is_err());
        let _third = room.begin();
        drop(second);
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut flushed).await.is_err());
        drop(first);
        flushed.await;
        assert_eq!(ledger.unsettled(), 1);
    }
}
