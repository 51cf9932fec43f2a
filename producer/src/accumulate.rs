//! Records of one partition on their way into batches. Pure: no task, no socket, no clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_client::{Error, Result, Subject};
use klamm_protocol::records::{Batch, BatchBuilder, BatchOptions};
use klamm_protocol::wire::Str;

use crate::ledger::{Hold, Room};
use crate::receipt::{Claim, Delivery, Receipt};
use crate::record::Record;

/// Room that a first batch starts with; later ones start with what the last one took.
const FIRST_CAPACITY: usize = 4096;

/// How batches are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) options: BatchOptions,
    /// Bytes at which a batch is full.
    pub(crate) batch_size: usize,
    /// How long one that is not full waits for more.
    pub(crate) linger: Duration,
}

/// The batches of one partition that are not yet in the sender's hands.
#[derive(Debug)]
pub(crate) struct Queue {
    topic: Str,
    partition: i32,
    open: Option<Open>,
    sealed: VecDeque<Sealed>,
    last_size: usize,
}

#[derive(Debug)]
struct Open {
    builder: BatchBuilder,
    receipt: Arc<Receipt>,
    claim: Claim,
    began: Instant,
    hold: Hold,
}

/// A batch that takes no more records.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) batch: Batch,
    /// When its first record was accepted.
    pub(crate) began: Instant,
    // Settled before the hold ends: who waits for room or for a flush finds the news told.
    pub(crate) claim: Claim,
    /// Its memory; the halves of a batch that was split share it.
    pub(crate) hold: Arc<Hold>,
}

impl Sealed {
    /// What batches of one partition are in order by.
    pub(crate) fn place(&self) -> (u64, usize) {
        (self.hold.number(), self.claim.first())
    }
}

/// What appending a record changed.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) delivery: Delivery,
    /// A batch has begun: look again when it has lingered.
    pub(crate) began: bool,
    /// A batch is full: it can be sent now.
    pub(crate) sealed: bool,
}

impl Queue {
    pub(crate) fn new(topic: Str, partition: i32) -> Self {
        let (open, sealed) = (None, VecDeque::new());
        Self { topic, partition, open, sealed, last_size: FIRST_CAPACITY }
    }

    /// Writes a record into the open batch, after sealing that one if it has no room, and seals
    /// the batch if it is full. The record's memory goes over to the batch.
    pub(crate) fn append(
        &mut self,
        record: &Record,
        room: Room,
        shape: &Shape,
        (now, now_ms): (Instant, i64),
    ) -> Result<Appended> {
        let timestamp = record.timestamp.unwrap_or(now_ms);
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let full = |open: &Open| {
            let size = open.builder.estimated_size_with(timestamp, key, value, &record.headers);
            size > shape.batch_size
        };
        let mut sealed = self.open.as_ref().is_some_and(full) && self.seal();
        let began = self.open.is_none();
        let capacity = self.last_size.min(shape.batch_size);
        let open = self.open.get_or_insert_with(|| {
            let (receipt, claim) = Receipt::begin(self.topic.clone(), self.partition);
            let builder = BatchBuilder::with_capacity(shape.options, capacity);
            Open { builder, receipt, claim, began: now, hold: room.begin() }
        });
        let index = open.builder.len();
        if let Err(source) = open.builder.push(timestamp, key, value, &record.headers) {
            if open.builder.is_empty() {
                self.open = None;
            }
            let subject = Subject::Partition(self.topic.clone(), self.partition);
            return Err(Error::Build { subject, source });
        }
        open.hold.add(room);
        let delivery = open.receipt.delivery(index, timestamp);
        if open.builder.estimated_size() >= shape.batch_size {
            sealed |= self.seal();
        }
        Ok(Appended { delivery, began: began && self.open.is_some(), sealed })
    }

    /// Seals the open batch, if there is one; tells whether a batch can be sent now.
    pub(crate) fn seal(&mut self) -> bool {
        let Some(open) = self.open.take() else { return false };
        self.last_size = open.builder.estimated_size().max(FIRST_CAPACITY);
        let Open { builder, claim, began, hold, .. } = open;
        match builder.build(0) {
            Ok(batch) => {
                let hold = Arc::new(hold);
                self.sealed.push_back(Sealed { batch, began, claim, hold });
            }
            Err(source) => {
                let subject = Subject::Partition(self.topic.clone(), self.partition);
                claim.settle(Err(Error::Build { subject, source }));
            }
        }
        true
    }

    /// Seals the open batch if it began at `moment` or before.
    pub(crate) fn seal_if_began_by(&mut self, moment: Instant) -> bool {
        self.open.as_ref().is_some_and(|open| open.began <= moment) && self.seal()
    }

    /// The batches that can be sent, in order.
    pub(crate) fn take_sealed(&mut self) -> VecDeque<Sealed> {
        std::mem::take(&mut self.sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;
    use klamm_utils::clock;

    fn shape(batch_size: usize, linger_ms: u64) -> Shape {
        let linger = Duration::from_millis(linger_ms);
        Shape { options: BatchOptions::default(), batch_size, linger }
    }

    type Held = (Queue, std::sync::Arc<Ledger>);

    fn queue() -> Held {
        (Queue::new("orders".into(), 3), Ledger::new(1_000))
    }

    fn append(queue: &mut Held, value: &str, shape: &Shape) -> Appended {
        let record = Record::to("orders").value(value.to_owned());
        queue
            .0
            .append(&record, queue.1.try_reserve(10).unwrap(), shape, (clock::now(), 1_000))
            .unwrap()
    }

    fn values(sealed: &Sealed) -> Vec<String> {
        let records = sealed.batch.records(usize::MAX).unwrap();
        let value = |record: klamm_protocol::records::Record| record.value.unwrap();
        records.map(|r| String::from_utf8(value(r.unwrap()).to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_batch_lingers_until_it_is_full() {
        let (mut queue, shape) = (queue(), shape(100, 5));
        let first = append(&mut queue, "one", &shape);
        assert!(first.began && !first.sealed);
        let second = append(&mut queue, "two", &shape);
        assert!(!second.began && !second.sealed);
        let third = append(&mut queue, &"x".repeat(60), &shape);
        assert!(third.began || third.sealed);
        let sealed = queue.0.take_sealed();
        assert_eq!(values(&sealed[0]), ["one", "two"]);
        assert_eq!(sealed[0].batch.header().base_timestamp, 1_000);
    }

    #[test]
    fn a_record_larger_than_a_batch_has_one_of_its_own() {
        let (mut queue, shape) = (queue(), shape(100, 5));
        assert!(append(&mut queue, &"x".repeat(500), &shape).sealed);
        assert_eq!(queue.0.take_sealed().len(), 1);
    }

    #[test]
    fn only_what_has_lingered_is_sealed() {
        let (mut queue, shape) = (queue(), shape(100, 5));
        let before = clock::now();
        std::hint::black_box(append(&mut queue, "one", &shape).began);
        assert!(before == clock::now() || !queue.0.seal_if_began_by(before));
        assert!(queue.0.seal_if_began_by(clock::now() + Duration::from_secs(1)));
        assert!(!queue.0.seal());
    }
}
