//! Every public future of a producer, dropped at each of its awaits: nothing is doubled, nothing
//! that was promised is lost, nothing comes that was refused, and the producer goes on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use klamm_client::Kafka;
use klamm_consumer::{ConsumeExt as _, Start};
use klamm_producer::{
    Delivery, GroupMetadata, ProduceExt as _, Producer, ProducerBuilder, Record, Result,
    TransactionalProducer,
};
use klamm_utils::cancel::{Cut, at_every_await, poll_at_most};

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod place;

use cluster::SOON;
use place::{GENERATIONS, Place};

/// More polls than any future here has awaits.
const MOST: usize = 2_000;
/// How often a future must have been done: what a runtime does varies.
const ENOUGH: usize = 3;

/// What was sent to partition 0 of a topic, by numbers that rise.
struct Tried {
    place: Place,
    next: u64,
    /// What must be there.
    promised: BTreeSet<u64>,
    /// What may be there.
    open: BTreeSet<u64>,
    is_ordered: bool,
}

impl Tried {
    async fn new(what: &str) -> Self {
        let place = Place::new(what).await;
        let (promised, open) = (BTreeSet::new(), BTreeSet::new());
        Self { place, next: 0, promised, open, is_ordered: true }
    }

    /// A client that knows nothing yet, and has little room.
    async fn builder(&self) -> ProducerBuilder {
        let kafka = Kafka::connect(self.place.cluster.config()).await.unwrap();
        kafka.producer().buffer_memory(2_000).linger(Duration::ZERO)
    }

    async fn producer(&self) -> Producer {
        self.builder().await.build().await.unwrap()
    }

    fn record(&mut self) -> (u64, Record) {
        self.next += 1;
        let value = format!("{:0600}", self.next);
        (self.next, Record::to(self.place.name.as_str()).partition(0).value(value))
    }

    /// Leaves little room.
    async fn fill(&mut self, producer: &Producer) {
        for _ in 0..3 {
            let (number, record) = self.record();
            drop(producer.enqueue(record).await.unwrap());
            self.promised.insert(number);
        }
    }

    /// What is there is what was promised, and perhaps what is open, once and in order.
    async fn check(mut self, producer: Producer) {
        let (last, record) = self.record();
        producer.send(record).await.unwrap();
        self.promised.insert(last);
        producer.close(SOON).await.unwrap();
        let name = self.place.name.as_str();
        let builder = self.place.kafka.consumer().assign_topic(name, Start::Earliest);
        let mut consumer = builder.build().await.unwrap();
        let (mut seen, mut missing) = (Vec::new(), self.promised.clone());
        while !missing.is_empty() {
            let batch = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap().unwrap();
            for record in batch {
                let value = record.value.unwrap();
                let number = std::str::from_utf8(&value).unwrap().parse().unwrap();
                missing.remove(&number);
                seen.push(number);
            }
        }
        if !self.is_ordered {
            seen.sort_unstable();
        }
        assert!(seen.is_sorted_by(|one, two| one < two), "doubled or reordered: {seen:?}");
        let unasked = seen.iter().find(|n| !self.promised.contains(n) && !self.open.contains(n));
        assert_eq!(unasked, None, "it was not accepted");
        self.place.end().await;
    }

    fn accepted(&mut self, number: u64, delivery: &Result<Delivery>) {
        if delivery.is_ok() {
            self.promised.insert(number);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn enqueue() {
    let mut tried = Tried::new("enqueue").await;
    let producer = tried.producer().await;
    let cut = at_every_await(MOST, ENOUGH, async |polls| {
        tried.fill(&producer).await;
        let (number, record) = tried.record();
        let outcome = poll_at_most(polls, producer.enqueue(record)).await;
        if let Cut::Done(delivery) = &outcome {
            tried.accepted(number, delivery);
        }
        outcome
    })
    .await;
    assert!(cut > 0);
    tried.check(producer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enqueue_to_a_topic_that_is_not_known_yet() {
    let mut tried = Tried::new("unknown").await;
    let cut = at_every_await(MOST, ENOUGH, async |polls| {
        let producer = tried.producer().await;
        let (number, record) = tried.record();
        let outcome = poll_at_most(polls, producer.enqueue(record)).await;
        if let Cut::Done(delivery) = &outcome {
            tried.accepted(number, delivery);
        }
        producer.close(SOON).await.unwrap();
        outcome
    })
    .await;
    assert!(cut > 0);
    let producer = tried.producer().await;
    tried.check(producer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn send_and_send_all() {
    let mut tried = Tried::new("send").await;
    let producer = tried.producer().await;
    for all in [false, true] {
        let cut = while_it_waits(async |polls| {
            let ((first, one), (second, two)) = (tried.record(), tried.record());
            tried.open.extend([first, second]);
            let outcome = if all {
                let sent = poll_at_most(polls, producer.send_all([one, two])).await;
                sent.map(|results| results.into_iter().for_each(|sent| drop(sent.unwrap())))
            } else {
                poll_at_most(polls, producer.send(one)).await.map(|sent| drop(sent.unwrap()))
            };
            if outcome == Cut::Done(()) {
                tried.promised.insert(first);
                tried.promised.extend(all.then_some(second));
            }
            outcome
        })
        .await;
        assert!(cut > 1);
    }
    tried.check(producer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery() {
    let mut tried = Tried::new("delivery").await;
    let producer = tried.producer().await;
    let cut = at_every_await(MOST, ENOUGH, async |polls| {
        let (number, record) = tried.record();
        let delivery = producer.enqueue(record).await.unwrap();
        tried.promised.insert(number);
        poll_at_most(polls, delivery).await
    })
    .await;
    assert!(cut > 0);
    tried.check(producer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flush_and_close() {
    let mut tried = Tried::new("close").await;
    for closes in [false, true] {
        let cut = while_it_waits(async |polls| {
            let producer = tried.builder().await.linger(SOON).build().await.unwrap();
            tried.fill(&producer).await;
            if closes {
                poll_at_most(polls, producer.close(SOON)).await.map(Result::unwrap)
            } else {
                poll_at_most(polls, producer.flush()).await
            }
        })
        .await;
        assert!(cut > 1);
    }
    // What was left to the background has no order with what came after.
    tried.is_ordered = false;
    let producer = tried.producer().await;
    tried.check(producer).await;
}

/// What a future of a transaction is, of which there is one more open transaction each time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Begin,
    Enqueue,
    Send,
    SendAll,
    SendOffsets,
    Commit,
    Abort,
}

/// What transactions left, by their numbers.
#[derive(Default)]
struct Ended {
    committed: BTreeSet<usize>,
    aborted: BTreeSet<usize>,
}

/// As [`at_every_await`], for what waits, and so is cut off when it was polled once. A thread that was
/// interrupted then may find done what it would have waited for: it is tried again.
async fn while_it_waits<T>(mut attempt: impl AsyncFnMut(usize) -> Cut<T>) -> usize {
    let mut cut = 0;
    for _ in 0..5 {
        cut = at_every_await(MOST, ENOUGH, &mut attempt).await;
        if cut > 1 {
            break;
        }
    }
    cut
}

async fn attempt(
    what: What,
    (number, polls): (usize, usize),
    (place, producer): (&Place, &TransactionalProducer),
    ended: &mut Ended,
) -> Cut<()> {
    let record = |partition: i32| {
        Record::to(place.name.as_str()).partition(partition).value(format!("{number:05}"))
    };
    if what == What::Begin {
        let begun = poll_at_most(polls, producer.begin()).await;
        return begun.map(|begun| drop(begun.unwrap()));
    }
    let tx = producer.begin().await.unwrap();
    drop(tx.enqueue(record(0)).await.unwrap());
    drop(tx.enqueue(record(1)).await.unwrap());
    let group = GroupMetadata::outsider(place.name.as_str());
    let offsets = [(place.name.as_str().into(), 0, 1.into())];
    let outcome = match what {
        What::Begin => unreachable!("it is done above"),
        What::Enqueue => {
            poll_at_most(polls, tx.enqueue(record(2))).await.map(|it| drop(it.unwrap()))
        }
        What::Send => poll_at_most(polls, tx.send(record(2))).await.map(|it| drop(it.unwrap())),
        What::SendAll => poll_at_most(polls, tx.send_all([record(2), record(2)])).await.map(drop),
        What::SendOffsets => {
            poll_at_most(polls, tx.send_offsets(&group, offsets)).await.map(Result::unwrap)
        }
        What::Commit => {
            let committed = poll_at_most(polls, tx.commit()).await.map(Result::unwrap);
            match &committed {
                // It was never polled: the guard was dropped.
                Cut::Dropped if polls == 0 => ended.aborted.insert(number),
                Cut::Dropped => false,
                Cut::Done(()) => ended.committed.insert(number),
            };
            return committed;
        }
        What::Abort => {
            ended.aborted.insert(number);
            return poll_at_most(polls, tx.abort()).await.map(Result::unwrap);
        }
    };
    tx.commit().await.unwrap();
    ended.committed.insert(number);
    outcome
}

/// Whatever was dropped when, the next transaction begins, and none is seen in part.
#[tokio::test(flavor = "multi_thread")]
async fn transactions() {
    for generation in GENERATIONS {
        let place = Place::new("leave").await;
        let producer = place.producer(generation).await;
        let (mut ended, mut number) = (Ended::default(), 0);
        for what in [
            What::Begin,
            What::Enqueue,
            What::Send,
            What::SendAll,
            What::SendOffsets,
            What::Commit,
            What::Abort,
        ] {
            let cut = while_it_waits(async |polls| {
                number += 1;
                attempt(what, (number, polls), (&place, &producer), &mut ended).await
            })
            .await;
            // An abort of what nobody was sent may be over before it is looked at again.
            let waits = !matches!(what, What::Begin | What::Enqueue | What::Abort);
            assert!(cut > usize::from(waits), "{what:?}");
        }
        // The last of them is at its end when the next begins.
        producer.begin().await.unwrap().commit().await.unwrap();
        let mut seen = BTreeMap::<usize, usize>::new();
        for value in place.committed().await {
            *seen.entry(value.parse().unwrap()).or_default() += 1;
        }
        for (number, count) in &seen {
            assert!((2..=4).contains(count), "{number} is seen in part, or twice: {count}");
            assert!(!ended.aborted.contains(number), "{number} was aborted");
        }
        assert!(ended.committed.iter().all(|number| seen.contains_key(number)));
        producer.close(SOON).await.unwrap();
        place.end().await;
    }
}

/// Building one fences off who was there, and closing one leaves nothing open, whoever waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_transactional_producer_is_built_and_closed() {
    for generation in GENERATIONS {
        let place = Place::new("life").await;
        let cut = while_it_waits(async |polls| {
            let built = place.builder(generation).build_transactional();
            poll_at_most(polls, built).await.map(|built| drop(built.unwrap()))
        })
        .await;
        assert!(cut > 1);
        let cut = while_it_waits(async |polls| {
            let producer = place.producer(generation).await;
            let tx = producer.begin().await.unwrap();
            tx.send(place.record("lost")).await.unwrap();
            poll_at_most(polls, producer.close(SOON)).await.map(Result::unwrap)
        })
        .await;
        assert!(cut > 1);
        let producer = place.producer(generation).await;
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("kept")).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(place.committed().await, ["kept"], "generation {generation}");
        producer.close(SOON).await.unwrap();
        place.end().await;
    }
}
