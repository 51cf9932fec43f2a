//! Records of one partition on their way into batches. Pure: no task, no socket, no clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_client::{Error, Result, Subject};
use klamm_protocol::records::{Batch, BatchBuilder, BatchOptions};
use klamm_protocol::wire::Str;

use crate::interceptor::Interceptors;
use crate::ledger::{Hold, Room};
use crate::receipt::{Claim, Delivery, Entry, Receipt};
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
    interceptors: Option<Interceptors>,
    open: Option<Open>,
    sealed: VecDeque<Made>,
    /// Nobody takes what is sealed any more.
    ended: bool,
    last_size: usize,
}

#[derive(Debug)]
struct Open {
    builder: BatchBuilder,
    receipt: Arc<Receipt>,
    claim: Claim,
    began: Instant,
    transaction: u64,
    hold: Hold,
}

/// A batch that takes no more records.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) batch: Batch,
    /// When its first record was accepted.
    pub(crate) began: Instant,
    /// The number of the transaction that it is part of; 0 outside of transactions.
    pub(crate) transaction: u64,
    // Settled before the hold ends: who waits for room or for a flush finds the news told.
    pub(crate) claim: Claim,
    /// Its memory; the halves of a batch that was split share it.
    pub(crate) hold: Arc<Hold>,
}

/// Records that could not be made a batch. Settled by the sender like any other batch, so that a
/// transaction learns of it.
#[derive(Debug)]
pub(crate) struct Spoiled {
    claim: Claim,
    pub(crate) error: Error,
    pub(crate) records: u64,
    _hold: Hold,
}

impl Spoiled {
    /// Tells its records.
    pub(crate) fn settle(self, error: Error) {
        self.claim.settle(Err(error));
    }
}

/// What became of a batch that was filled.
pub(crate) type Made = std::result::Result<Sealed, Spoiled>;

/// What records are appended under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    /// In milliseconds since 1970.
    pub(crate) now_ms: i64,
    /// The number of the transaction; 0 outside of transactions.
    pub(crate) transaction: u64,
}

impl Sealed {
    /// What batches of one partition are in order by.
    pub(crate) fn place(&self) -> (u64, usize) {
        (self.hold.number(), self.claim.first())
    }

    /// How many records it has.
    pub(crate) fn records(&self) -> u64 {
        u64::try_from(self.batch.header().record_count).unwrap_or(0)
    }
}

/// What appending a record changed.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) delivery: Delivery,
    /// What its batch has grown by.
    pub(crate) bytes: usize,
    /// A batch has begun: look again when it has lingered.
    pub(crate) began: bool,
    /// A batch is full: it can be sent now.
    pub(crate) sealed: bool,
}

impl Queue {
    pub(crate) fn new(topic: Str, partition: i32, interceptors: Option<Interceptors>) -> Self {
        let (open, sealed) = (None, VecDeque::new());
        let (ended, last_size) = (false, FIRST_CAPACITY);
        Self { topic, partition, interceptors, open, sealed, ended, last_size }
    }

    /// Takes no more records. Gives what was not taken over, to be given up.
    pub(crate) fn end(&mut self) -> VecDeque<Made> {
        self.ended = true;
        self.seal();
        self.take_sealed()
    }

    /// Writes a record into the open batch, after sealing that one if it has no room or is part of
    /// another transaction, and seals the batch if it is full. The record's memory goes over to
    /// the batch.
    pub(crate) fn append(
        &mut self,
        record: &Record,
        room: Room<'_>,
        shape: &Shape,
        Moment { now, now_ms, transaction }: Moment,
    ) -> Result<Appended> {
        if self.ended {
            return Err(Error::Closed);
        }
        let timestamp = record.timestamp.unwrap_or(now_ms);
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let is_full = |builder: &BatchBuilder| {
            // Seldom near enough to be reckoned exactly.
            builder.estimated_size() + record.size_max() > shape.batch_size
                && builder.estimated_size_with(timestamp, key, value, &record.headers)
                    > shape.batch_size
        };
        let full = |open: &Open| open.transaction != transaction || is_full(&open.builder);
        let mut sealed = self.open.as_ref().is_some_and(full) && self.seal();
        let began = self.open.is_none();
        let capacity = self.last_size.min(shape.batch_size);
        let open = self.open.get_or_insert_with(|| {
            let interceptors = self.interceptors.clone();
            let (receipt, claim) = Receipt::begin(self.topic.clone(), self.partition, interceptors);
            let builder = BatchBuilder::with_capacity(shape.options, capacity);
            Open { builder, receipt, claim, began: now, transaction, hold: room.begin() }
        });
        let before = if began { 0 } else { open.builder.estimated_size() };
        let index = open.builder.len();
        if let Err(source) = open.builder.push(timestamp, key, value, &record.headers) {
            if open.builder.is_empty() {
                self.open = None;
            }
            let subject = Subject::Partition(self.topic.clone(), self.partition);
            return Err(Error::Build { subject, source });
        }
        open.hold.add(room);
        let (key_size, value_size) = (key.map(<[u8]>::len), value.map(<[u8]>::len));
        let delivery = open.receipt.delivery(Entry { index, timestamp, key_size, value_size });
        let after = open.builder.estimated_size();
        if after >= shape.batch_size {
            sealed |= self.seal();
        }
        let began = began && self.open.is_some();
        Ok(Appended { delivery, bytes: after - before, began, sealed })
    }

    /// Seals the open batch, if there is one; tells whether a batch can be sent now.
    pub(crate) fn seal(&mut self) -> bool {
        let Some(open) = self.open.take() else { return false };
        self.last_size = open.builder.estimated_size().max(FIRST_CAPACITY);
        let Open { builder, claim, began, transaction, hold, .. } = open;
        let records = builder.len() as u64;
        self.sealed.push_back(match builder.build(0) {
            Ok(batch) => Ok(Sealed { batch, began, transaction, claim, hold: Arc::new(hold) }),
            Err(source) => {
                let error = Error::Build { subject: claim.subject(), source };
                Err(Spoiled { claim, error, records, _hold: hold })
            }
        });
        true
    }

    /// When the open batch began, if there is one.
    pub(crate) fn open_since(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.began)
    }

    /// Seals the open batch if it began at `moment` or before.
    pub(crate) fn seal_if_began_by(&mut self, moment: Instant) -> bool {
        self.open_since().is_some_and(|began| began <= moment) && self.seal()
    }

    /// What was sealed, in order.
    pub(crate) fn take_sealed(&mut self) -> VecDeque<Made> {
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
        (Queue::new("orders".into(), 3, None), Ledger::new(1_000))
    }

    fn append(queue: &mut Held, value: &str, shape: &Shape) -> Appended {
        append_in(queue, value, shape, 0)
    }

    fn append_in(queue: &mut Held, value: &str, shape: &Shape, transaction: u64) -> Appended {
        let record = Record::to("orders").value(value.to_owned());
        let moment = Moment { now: clock::now(), now_ms: 1_000, transaction };
        queue.0.append(&record, queue.1.try_reserve(10).unwrap(), shape, moment).unwrap()
    }

    fn take(queue: &mut Held) -> Vec<Sealed> {
        queue.0.take_sealed().into_iter().map(|made| made.unwrap()).collect()
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
        let sealed = take(&mut queue);
        assert_eq!(values(&sealed[0]), ["one", "two"]);
        assert_eq!(sealed[0].batch.header().base_timestamp, 1_000);
    }

    #[test]
    fn a_batch_that_has_no_room_has_grown_by_what_it_may_hold() {
        let (mut queue, shape) = (queue(), shape(100, 5));
        let mut grown = 0;
        loop {
            let appended = append(&mut queue, "twelve bytes", &shape);
            grown += appended.bytes;
            if appended.sealed {
                break;
            }
            assert!(grown < shape.batch_size);
        }
        assert!(grown >= shape.batch_size);
    }

    #[test]
    fn a_record_larger_than_a_batch_has_one_of_its_own() {
        let (mut queue, shape) = (queue(), shape(100, 5));
        assert!(append(&mut queue, &"x".repeat(500), &shape).sealed);
        assert_eq!(queue.0.take_sealed().len(), 1);
    }

    #[test]
    fn a_batch_is_part_of_one_transaction() {
        let (mut queue, shape) = (queue(), shape(100, 5));
        append_in(&mut queue, "one", &shape, 1);
        let next = append_in(&mut queue, "two", &shape, 2);
        assert!(next.began && next.sealed);
        queue.0.seal();
        let sealed = take(&mut queue);
        let told: Vec<_> = sealed.iter().map(|it| (it.transaction, values(it))).collect();
        assert_eq!(told, [(1, vec!["one".to_owned()]), (2, vec!["two".to_owned()])]);
    }

    #[tokio::test]
    async fn what_cannot_be_built_is_given_to_the_sender_and_holds_flushes_up() {
        let (mut queue, mut shape) = (queue(), shape(100, 5));
        shape.options.compression = klamm_protocol::records::Compression::Zstd;
        shape.options.level = Some(1_000);
        let appended = append(&mut queue, "one", &shape);
        assert!(queue.0.seal());
        let spoiled = queue.0.take_sealed().pop_front().unwrap().unwrap_err();
        assert_eq!(queue.1.unsettled(), 1);
        let error = spoiled.error.clone();
        spoiled.settle(error);
        assert_eq!(queue.1.unsettled(), 0);
        assert!(matches!(appended.delivery.await, Err(Error::Build { .. })));
    }

    #[tokio::test]
    async fn a_queue_that_has_ended_gives_up_what_it_has_and_takes_no_more() {
        let (mut queue, shape) = (queue(), shape(100, 5));
        let open = append(&mut queue, "one", &shape);
        assert_eq!(queue.0.end().len(), 1);
        assert!(matches!(open.delivery.await, Err(Error::Abandoned { .. })));
        let moment = Moment { now: clock::now(), now_ms: 0, transaction: 0 };
        let (record, room) = (Record::to("orders"), queue.1.try_reserve(10).unwrap());
        let late = queue.0.append(&record, room, &shape, moment);
        assert!(matches!(late, Err(Error::Closed)));
        assert_eq!((queue.1.taken(), queue.1.unsettled()), (0, 0));
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
