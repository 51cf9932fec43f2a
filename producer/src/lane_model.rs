//! A lane against a model of a broker, under random refusals, cut connections, splits and
//! expiries: nothing is doubled, reordered, or told wrongly.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_client::{ClientConfig, Error, Subject};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::BatchProducer;
use klamm_utils::clock;
use klamm_utils::random::Random;

use crate::accumulate::{Moment, Queue};
use crate::judge::judge;
use crate::lane::{Lane, Parcel};
use crate::ledger::Ledger;
use crate::receipt::{Delivery, Stored};
use crate::record::Record;
use crate::settings::Settings;

const IN_FLIGHT_MAX: usize = 5;

/// What a broker knows of one producer in one partition.
#[derive(Default)]
struct Broker {
    log: Vec<u64>,
    epoch: i16,
    /// First sequence number and base offset of the last batches.
    last: VecDeque<(i32, i64)>,
    next: i32,
}

impl Broker {
    fn append(&mut self, parcel: &Parcel) -> Result<i64, ErrorCode> {
        let stamp = parcel.stamp.unwrap();
        if stamp.epoch < self.epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        let expected = if stamp.epoch > self.epoch { 0 } else { self.next };
        if stamp.base_sequence != expected {
            let known = self.last.iter().find(|(sequence, _)| *sequence == stamp.base_sequence);
            let known = known.filter(|_| stamp.epoch == self.epoch);
            return known.map(|(_, base)| *base).ok_or(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        }
        if stamp.epoch > self.epoch {
            self.last.clear();
        }
        let base = i64::try_from(self.log.len()).unwrap();
        for record in parcel.sealed.batch.records(usize::MAX).unwrap() {
            let value = record.unwrap().value.unwrap();
            self.log.push(u64::from_be_bytes(value[..].try_into().unwrap()));
        }
        self.epoch = stamp.epoch;
        self.next = stamp.base_sequence + parcel.sealed.batch.header().record_count;
        self.last.push_back((stamp.base_sequence, base));
        self.last.truncate_front_to(IN_FLIGHT_MAX);
        Ok(base)
    }
}

trait Keep {
    fn truncate_front_to(&mut self, count: usize);
}

impl<T> Keep for VecDeque<T> {
    fn truncate_front_to(&mut self, count: usize) {
        self.drain(..self.len().saturating_sub(count));
    }
}

struct World {
    lane: Lane,
    queue: Queue,
    ledger: Arc<Ledger>,
    broker: Broker,
    wire: VecDeque<Parcel>,
    producer: BatchProducer,
    settings: Settings,
    ends_epoch: bool,
    deliveries: Vec<Delivery>,
}

impl World {
    fn new() -> Self {
        Self {
            lane: Lane::default(),
            queue: Queue::new("orders".into(), 0, None),
            ledger: Ledger::new(1 << 20),
            broker: Broker::default(),
            wire: VecDeque::new(),
            producer: BatchProducer { id: 1, epoch: 0, base_sequence: 0 },
            settings: Settings::of(&ClientConfig::new("a:1")).unwrap(),
            ends_epoch: false,
            deliveries: Vec::new(),
        }
    }

    fn produce(&mut self, records: u64, now: Instant) {
        for _ in 0..records {
            let number = u64::try_from(self.deliveries.len()).unwrap();
            let record = Record::to("orders").value(number.to_be_bytes().to_vec());
            let moment = Moment { now, now_ms: 0, transaction: 0 };
            let room = self.ledger.try_reserve(1).unwrap();
            let appended = self.queue.append(&record, room, &self.settings.shape, moment);
            self.deliveries.push(appended.unwrap().delivery);
        }
        self.queue.seal();
        for sealed in self.queue.take_sealed() {
            self.lane.push(sealed.unwrap());
        }
    }

    fn send(&mut self, now: Instant) {
        self.lane.retry_at = None;
        if self.wire.len() < IN_FLIGHT_MAX {
            self.wire.extend(self.lane.take(now, self.producer, self.ends_epoch));
        }
    }

    /// The oldest request is answered: by the broker, or by a refusal without looking.
    fn answer(&mut self, refusal: Option<ErrorCode>, now: Instant) {
        let Some(parcel) = self.wire.pop_front() else { return };
        let answer = refusal.map_or_else(|| self.broker.append(&parcel), Err);
        match answer {
            Ok(base) => {
                self.lane.stored();
                let stored = Stored { base_offset: Some(base), append_time: None };
                parcel.sealed.claim.settle(Ok(stored));
            }
            Err(code) => self.fail(parcel, &refused(code), now),
        }
    }

    /// The oldest request reaches a leader that stores it, is no leader any more before its
    /// followers have answered, and says no more than that.
    fn depose(&mut self, now: Instant) {
        let Some(parcel) = self.wire.pop_front() else { return };
        // Its successor has it, or had refused it as well.
        let _ = self.broker.append(&parcel);
        self.fail(parcel, &refused(ErrorCode::NOT_LEADER_OR_FOLLOWER), now);
    }

    /// The connection is cut after the broker has seen `seen` of the requests.
    fn cut(&mut self, seen: usize, now: Instant) {
        for (index, parcel) in std::mem::take(&mut self.wire).into_iter().enumerate() {
            if index < seen {
                // Stored or refused: nobody hears it.
                let _ = self.broker.append(&parcel);
            }
            let (address, reason) = ("a:1".into(), "cut".into());
            let error = Error::Disconnected { address, api: "Produce", reason, sent: true };
            self.fail(parcel, &error, now);
        }
    }

    fn fail(&mut self, mut parcel: Parcel, error: &Error, now: Instant) {
        parcel.learn(error);
        let follows = self.lane.follows_a_failure();
        let verdict = judge(error, &parcel, follows, &self.settings, now);
        self.lane.returned(parcel, verdict);
    }

    fn expire(&mut self, moment: Instant) {
        for parcel in self.lane.expire(moment) {
            let (subject, possibly_written) =
                (parcel.sealed.claim.subject(), parcel.possibly_written);
            let after = Duration::ZERO;
            parcel.give_up(Error::DeliveryTimeout { subject, after, possibly_written });
        }
    }

    fn renew(&mut self) {
        self.ends_epoch |= self.lane.is_broken();
        if self.ends_epoch && !self.lane.is_out() && !self.lane.needs_this_epoch() {
            self.ends_epoch = false;
            self.producer.epoch += 1;
            for parcel in self.lane.begin_epoch() {
                let subject = parcel.sealed.claim.subject();
                parcel.give_up(Error::Abandoned { subject });
            }
        }
    }
}

fn refused(code: ErrorCode) -> Error {
    Error::check(code, None, Subject::Partition("orders".into(), 0)).unwrap_err()
}

async fn run(seed: u64) -> usize {
    let mut random = Random::seeded(seed);
    let mut world = World::new();
    let begin = clock::now();
    for step in 0..400 {
        let now = begin + Duration::from_millis(step);
        match random.below(40) {
            0..8 => world.produce(1 + random.below(3), now),
            8..24 => world.send(now),
            24..33 => world.answer(None, now),
            33 => world.answer(Some(ErrorCode::NOT_ENOUGH_REPLICAS), now),
            34 => world.answer(Some(ErrorCode::NOT_LEADER_OR_FOLLOWER), now),
            35 => world.depose(now),
            36 => world.answer(Some(ErrorCode::MESSAGE_TOO_LARGE), now),
            37 => world.answer(Some(ErrorCode::INVALID_TIMESTAMP), now),
            38 => {
                let seen = random.below(1 + world.wire.len() as u64);
                world.cut(usize::try_from(seen).unwrap(), now);
            }
            _ => world.expire(now.checked_sub(Duration::from_millis(100)).unwrap_or(begin)),
        }
        world.renew();
    }
    let now = begin + Duration::from_millis(400);
    for _ in 0..2_000 {
        world.send(now);
        world.answer(None, now);
        world.renew();
    }
    assert!(world.lane.is_idle(), "seed {seed}: everything is settled in the end");

    let log = &world.broker.log;
    assert!(log.is_sorted_by(|one, two| one < two), "seed {seed}: doubled or reordered: {log:?}");
    let stored: BTreeSet<_> = log.iter().copied().collect();
    let mut acknowledged = 0;
    for (number, delivery) in (0..).zip(std::mem::take(&mut world.deliveries)) {
        match delivery.await {
            Ok(metadata) => {
                let offset = usize::try_from(metadata.offset.unwrap()).unwrap();
                assert_eq!(log.get(offset), Some(&number), "seed {seed}: told a wrong offset");
                acknowledged += 1;
            }
            Err(error) => assert!(
                error.possibly_written() || !stored.contains(&number),
                "seed {seed}: record {number} is stored, and was told not to be: {error}"
            ),
        }
    }
    acknowledged
}

#[tokio::test]
async fn nothing_is_doubled_reordered_or_told_wrongly() {
    let mut acknowledged = 0;
    for seed in 0..2_000 {
        acknowledged += run(seed).await;
    }
    assert!(acknowledged > 100_000, "{acknowledged}");
}

/// What a leader stored that was deposed, and that was given up since, must not lend its sequence
/// number to the next batch: the broker would take that for the repeat of the first.
#[tokio::test]
async fn a_number_that_a_deposed_leader_has_seen_is_not_given_again() {
    let mut world = World::new();
    let now = clock::now();
    world.produce(1, now);
    world.send(now);
    world.depose(now);
    world.expire(now);
    world.renew();
    world.produce(1, now);
    world.send(now);
    world.answer(None, now);
    let mut deliveries = std::mem::take(&mut world.deliveries).into_iter();
    let given_up = deliveries.next().unwrap().await.unwrap_err();
    assert!(given_up.possibly_written(), "{given_up}");
    assert_eq!(deliveries.next().unwrap().await.unwrap().offset, Some(1));
    assert_eq!(world.broker.log, [0, 1]);
}
