//! What becomes of a batch, told to everyone who put a record into it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use klamm_client::{Error, Result, Subject};
use klamm_protocol::wire::Str;

use crate::interceptor::Interceptors;

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordMetadata {
    /// The topic.
    pub topic: Str,
    /// The partition.
    pub partition: i32,
    /// The place in the partition; none where the broker did not say it, as with acks of 0.
    pub offset: Option<i64>,
    /// In milliseconds since 1970: the broker's where the topic has it so, otherwise the record's.
    pub timestamp: i64,
    /// Bytes of its key; none if it has no key.
    pub key_size: Option<usize>,
    /// Bytes of its value; none if it has no value.
    pub value_size: Option<usize>,
}

/// The acknowledgement of one record, yet to come. Dropping it loses the news, not the record.
#[derive(Debug)]
#[must_use = "whether a record was stored is known only to those who wait for it"]
pub struct Delivery {
    receipt: Arc<Receipt>,
    entry: Entry,
    /// Where its waker is kept, once it has one.
    waker: Option<usize>,
}

/// One record of a batch, as far as its fate needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Its place in the batch.
    pub(crate) index: usize,
    pub(crate) timestamp: i64,
    pub(crate) key_size: Option<usize>,
    pub(crate) value_size: Option<usize>,
}

/// Where the broker put a batch, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) base_offset: Option<i64>,
    pub(crate) append_time: Option<i64>,
}

/// One batch's fate. It is one for all its records: nothing is allocated or sent for each.
#[derive(Debug)]
pub(crate) struct Receipt {
    topic: Str,
    partition: i32,
    interceptors: Option<Interceptors>,
    /// Held for a few instructions: by the sender once, by each waiting record when it looks.
    fate: Mutex<Fate>,
}

#[derive(Debug, Default)]
struct Fate {
    /// The parts that are over, by the index of their first record. A batch has one part unless
    /// it had to be split.
    parts: Vec<(usize, Result<Stored>)>,
    /// Parts that are not over; the fate is told when there is none.
    open: usize,
    wakers: Vec<Waker>,
    /// All its records, where there are interceptors to be told.
    entries: Vec<Entry>,
}

/// The duty to settle a part of a batch: dropping it says that the part was lost.
#[derive(Debug)]
pub(crate) struct Claim {
    receipt: Arc<Receipt>,
    first: usize,
    settled: bool,
}

impl Receipt {
    /// A batch that has just begun, and the duty to settle it.
    pub(crate) fn begin(
        topic: Str,
        partition: i32,
        interceptors: Option<Interceptors>,
    ) -> (Arc<Self>, Claim) {
        let fate = Mutex::new(Fate { open: 1, ..Fate::default() });
        let receipt = Arc::new(Self { topic, partition, interceptors, fate });
        let claim = Claim { receipt: Arc::clone(&receipt), first: 0, settled: false };
        (receipt, claim)
    }

    /// The acknowledgement of a record.
    pub(crate) fn delivery(self: &Arc<Self>, entry: Entry) -> Delivery {
        if self.interceptors.is_some() {
            self.lock().entries.push(entry);
        }
        Delivery { receipt: Arc::clone(self), entry, waker: None }
    }

    /// What became of a record, once all is told.
    fn outcome(&self, fate: &Fate, entry: Entry) -> Result<RecordMetadata> {
        let parts = fate.parts.iter().filter(|(first, _)| *first <= entry.index);
        match parts.max_by_key(|(first, _)| *first) {
            Some((first, Ok(stored))) => {
                let within = i64::try_from(entry.index - first).unwrap_or(0);
                Ok(RecordMetadata {
                    topic: self.topic.clone(),
                    partition: self.partition,
                    offset: stored.base_offset.map(|base| base + within),
                    timestamp: stored.append_time.unwrap_or(entry.timestamp),
                    key_size: entry.key_size,
                    value_size: entry.value_size,
                })
            }
            Some((_, Err(error))) => Err(error.clone()),
            // Not reached: the first part starts at 0, and no part is open.
            None => Err(Error::Closed),
        }
    }

    /// Tells the interceptors of every record, before the fate is told.
    fn tell(&self, interceptors: &Interceptors) {
        let outcomes: Vec<_> = {
            let mut fate = self.lock();
            let entries = std::mem::take(&mut fate.entries);
            entries.into_iter().map(|entry| self.outcome(&fate, entry)).collect()
        };
        outcomes.iter().for_each(|outcome| interceptors.on_ack(outcome));
    }

    fn lock(&self) -> MutexGuard<'_, Fate> {
        self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// The index of its first record in the batch as it was begun.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// The partition, to be named in errors.
    pub(crate) fn subject(&self) -> Subject {
        Subject::Partition(self.receipt.topic.clone(), self.receipt.partition)
    }

    /// Splits off the records from `at` on, counted from the first of this part.
    pub(crate) fn split_off(&self, at: usize) -> Self {
        self.receipt.lock().open += 1;
        Self { receipt: Arc::clone(&self.receipt), first: self.first + at, settled: false }
    }

    /// Says what became of the part.
    pub(crate) fn settle(mut self, outcome: Result<Stored>) {
        self.tell(outcome);
    }

    fn tell(&mut self, outcome: Result<Stored>) {
        self.settled = true;
        let mut fate = self.receipt.lock();
        fate.parts.push((self.first, outcome));
        // Nobody but the last part's claim could split off another.
        let is_last = fate.open == 1;
        if is_last && let Some(interceptors) = &self.receipt.interceptors {
            drop(fate);
            self.receipt.tell(interceptors);
            fate = self.receipt.lock();
        }
        fate.open -= 1;
        let wakers = if is_last { std::mem::take(&mut fate.wakers) } else { Vec::new() };
        drop(fate);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.settled {
            self.tell(Err(Error::Abandoned { subject: self.subject() }));
        }
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let delivery = &mut *self;
        let mut fate = delivery.receipt.lock();
        if fate.open > 0 {
            match delivery.waker.and_then(|place| fate.wakers.get_mut(place)) {
                Some(waker) => waker.clone_from(context.waker()),
                None => {
                    delivery.waker = Some(fate.wakers.len());
                    fate.wakers.push(context.waker().clone());
                }
            }
            return Poll::Pending;
        }
        Poll::Ready(delivery.receipt.outcome(&fate, delivery.entry))
    }
}

impl Delivery {
    /// The news, if they have come.
    pub(crate) fn peek(&self) -> Option<Result<RecordMetadata>> {
        let fate = self.receipt.lock();
        (fate.open == 0).then(|| self.receipt.outcome(&fate, self.entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin() -> (Arc<Receipt>, Claim) {
        Receipt::begin("orders".into(), 3, None)
    }

    fn entry(index: usize, timestamp: i64) -> Entry {
        Entry { index, timestamp, key_size: None, value_size: Some(4) }
    }

    fn stored(base_offset: i64) -> Stored {
        Stored { base_offset: Some(base_offset), append_time: None }
    }

    #[tokio::test]
    async fn one_settlement_answers_every_record() {
        let (receipt, claim) = begin();
        let deliveries: Vec<_> = (0..3).map(|index| receipt.delivery(entry(index, 7))).collect();
        claim.settle(Ok(stored(100)));
        for (delivery, offset) in deliveries.into_iter().zip(100..) {
            let metadata = delivery.await.unwrap();
            assert_eq!((metadata.offset, metadata.timestamp), (Some(offset), 7));
            assert_eq!((metadata.topic.as_str(), metadata.partition), ("orders", 3));
        }
    }

    #[tokio::test]
    async fn parts_answer_for_their_own_records() {
        let (receipt, claim) = begin();
        let second = claim.split_off(2);
        let third = second.split_off(1);
        let mut early = Box::pin(receipt.delivery(entry(0, 0)));
        second.settle(Ok(stored(50)));
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(1), &mut early).await;
        assert!(waiting.is_err(), "a batch is told as a whole");
        third.settle(Err(Error::Closed));
        claim.settle(Ok(stored(10)));
        assert_eq!(early.await.unwrap().offset, Some(10));
        assert_eq!(receipt.delivery(entry(1, 0)).await.unwrap().offset, Some(11));
        assert_eq!(receipt.delivery(entry(2, 0)).await.unwrap().offset, Some(50));
        assert!(receipt.delivery(entry(3, 0)).await.is_err());
    }

    #[tokio::test]
    async fn a_lost_claim_is_told() {
        let (receipt, claim) = begin();
        let waiting = receipt.delivery(entry(0, 0));
        drop(claim);
        assert!(waiting.await.unwrap_err().possibly_written());
    }
}
