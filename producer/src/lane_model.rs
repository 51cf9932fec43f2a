//! A lane against a model of a broker, under random refusals, cut connections whose requests are
//! served long after, answers that come late and in any order, splits and expiries: nothing is
//! doubled, reordered, or told wrongly.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use klamm_client::{ClientConfig, Error, Origin, Subject};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::BatchProducer;
use klamm_utils::clock;
use klamm_utils::random::Random;

use crate::accumulate::{Moment, Queue};
use crate::judge::judge;
use crate::lane::{Lane, NUMBERED_OUT_MAX, Parcel, Verdict, Way};
use crate::ledger::Ledger;
use crate::receipt::{Delivery, Stored};
use crate::record::Record;
use crate::settings::Settings;

/// What a broker knows of one producer in one partition.
#[derive(Default)]
struct Broker {
    log: Vec<u64>,
    /// The last epoch and the next sequence number, once it has stored a batch.
    place: Option<(i16, i32)>,
    /// First sequence number and base offset of the last batches.
    last: VecDeque<(i32, i64)>,
}

/// A batch as it goes over the wire.
struct Request {
    stamp: BatchProducer,
    numbers: Vec<u64>,
}

impl Request {
    fn of(parcel: &Parcel) -> Self {
        let records = parcel.sealed.batch.records(usize::MAX).unwrap();
        let number = |value: Bytes| u64::from_be_bytes(value[..].try_into().unwrap());
        let numbers = records.map(|record| number(record.unwrap().value.unwrap())).collect();
        Self { stamp: parcel.stamp.unwrap(), numbers }
    }
}

impl Broker {
    /// As Apache Kafka does it: of a producer that it does not know it takes any number.
    fn append(&mut self, Request { stamp, numbers }: &Request) -> Result<i64, ErrorCode> {
        if let Some((epoch, next)) = self.place {
            if stamp.epoch < epoch {
                return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
            }
            let known = self.last.iter().find(|(sequence, _)| *sequence == stamp.base_sequence);
            if let Some((_, base)) = known.filter(|_| stamp.epoch == epoch) {
                return Ok(*base);
            }
            if stamp.base_sequence != if stamp.epoch > epoch { 0 } else { next } {
                return Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
            }
            if stamp.epoch > epoch {
                self.last.clear();
            }
        }
        let base = i64::try_from(self.log.len()).unwrap();
        self.log.extend(numbers);
        let count = i32::try_from(numbers.len()).unwrap();
        self.place = Some((stamp.epoch, stamp.base_sequence + count));
        self.last.push_back((stamp.base_sequence, base));
        self.last.truncate_front_to(NUMBERED_OUT_MAX);
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
    random: Random,
    lane: Lane,
    queue: Queue,
    ledger: Arc<Ledger>,
    broker: Broker,
    way: Way,
    /// What the broker has not served yet, by the connection of now.
    wire: VecDeque<Parcel>,
    /// The same, by each connection that was cut.
    late: Vec<VecDeque<Request>>,
    /// What the sender has not heard yet.
    answers: Vec<(Parcel, Result<i64, Error>)>,
    producer: BatchProducer,
    settings: Settings,
    ends_epoch: bool,
    epochs_asked: usize,
    deliveries: Vec<Delivery>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::seeded(seed),
            lane: Lane::default(),
            queue: Queue::new("orders".into(), 0, None),
            ledger: Ledger::new(1 << 20),
            broker: Broker::default(),
            way: Way::default(),
            wire: VecDeque::new(),
            late: Vec::new(),
            answers: Vec::new(),
            producer: BatchProducer { id: 1, epoch: 0, base_sequence: 0 },
            settings: Settings::of(&ClientConfig::new("a:1")).unwrap(),
            ends_epoch: false,
            epochs_asked: 0,
            deliveries: Vec::new(),
        }
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.random.below(count as u64)).unwrap()
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
        if self.wire.len() + self.answers.len() < NUMBERED_OUT_MAX {
            let taken = self.lane.take(now, self.way, self.producer, self.ends_epoch);
            self.wire.extend(taken);
        }
    }

    /// The oldest request is answered: by the broker, or by a refusal without looking.
    fn serve(&mut self, refusal: Option<ErrorCode>) {
        let Some(parcel) = self.wire.pop_front() else { return };
        let answer = refusal.map_or_else(|| self.broker.append(&Request::of(&parcel)), Err);
        self.answers.push((parcel, answer.map_err(refused)));
    }

    /// The oldest request reaches a leader that stores it, is no leader any more before its
    /// followers have answered, and says no more than that.
    fn depose(&mut self) {
        let Some(parcel) = self.wire.pop_front() else { return };
        // Its successor has it, or had refused it as well.
        let _ = self.broker.append(&Request::of(&parcel));
        self.answers.push((parcel, Err(refused(ErrorCode::NOT_LEADER_OR_FOLLOWER))));
    }

    /// The connection is cut. The broker may yet serve what it has received by it.
    fn cut(&mut self) {
        let received = self.below(self.wire.len() + 1);
        self.late.push(self.wire.iter().take(received).map(Request::of).collect());
        self.way = Way(self.way.0 + 1);
        for parcel in std::mem::take(&mut self.wire) {
            let (address, reason) = ("a:1".into(), "cut".into());
            let error = Error::Disconnected { address, api: "Produce", reason, sent: true };
            self.answers.push((parcel, Err(error)));
        }
    }

    /// A request is served, or refused, whose connection was cut: nobody hears of it.
    fn serve_late(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let connection = self.below(self.late.len());
        let Some(request) = self.late[connection].pop_front() else {
            self.late.swap_remove(connection);
            return;
        };
        if self.below(4) > 0 {
            let _ = self.broker.append(&request);
        }
    }

    /// The sender hears one of the answers.
    fn hear(&mut self, now: Instant) {
        if self.answers.is_empty() {
            return;
        }
        let heard = self.below(self.answers.len());
        let (parcel, answer) = self.answers.remove(heard);
        match answer {
            Ok(base) => {
                self.lane.stored(&parcel);
                let stored = Stored { base_offset: Some(base), append_time: None };
                parcel.sealed.claim.settle(Ok(stored));
            }
            Err(error) => self.fail(parcel, &error, now),
        }
    }

    fn fail(&mut self, mut parcel: Parcel, error: &Error, now: Instant) {
        parcel.learn(error);
        let follows = self.lane.follows_another(&parcel);
        let verdict = judge(error, &parcel, follows, &self.settings, now);
        self.epochs_asked += usize::from(matches!(verdict, Verdict::NewEpoch));
        self.lane.returned(parcel, verdict);
    }

    fn expire(&mut self, moment: Instant) {
        for parcel in self.lane.expire(moment) {
            let (subject, possibly_written) =
                (parcel.sealed.claim.subject(), parcel.possibly_written);
            let (after, last) = (Duration::ZERO, None);
            parcel.give_up(Error::DeliveryTimeout { subject, after, possibly_written, last });
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
    let origin = Origin { api: "Produce", address: "a:1".into() };
    origin.error(code, Subject::Partition("orders".into(), 0))
}

/// What is to happen beside sending, serving and hearing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Any,
    /// Nothing for which a batch would have to be given up.
    Passing,
}

async fn run(seed: u64, trouble: Trouble) -> usize {
    let mut world = World::new(seed);
    let begin = clock::now();
    for step in 0..600 {
        let now = begin + Duration::from_millis(step);
        let happens = if trouble == Trouble::Any { 62 } else { 58 };
        match world.below(happens) {
            0..8 => {
                let records = 1 + world.random.below(3);
                world.produce(records, now);
            }
            8..24 => world.send(now),
            24..33 => world.serve(None),
            33..50 => world.hear(now),
            50..54 => world.serve_late(),
            54 => world.serve(Some(ErrorCode::NOT_ENOUGH_REPLICAS)),
            55 => world.serve(Some(ErrorCode::NOT_LEADER_OR_FOLLOWER)),
            56 => world.depose(),
            57 => world.cut(),
            58 | 59 => world.serve(Some(ErrorCode::MESSAGE_TOO_LARGE)),
            60 => world.serve(Some(ErrorCode::INVALID_TIMESTAMP)),
            _ => world.expire(now.checked_sub(Duration::from_millis(100)).unwrap_or(begin)),
        }
        world.renew();
    }
    let now = begin + Duration::from_millis(600);
    let mut rounds = 0;
    while !world.lane.is_idle() && rounds < 2_000 {
        rounds += 1;
        world.send(now);
        world.serve(None);
        world.hear(now);
        world.renew();
    }
    while !world.late.is_empty() {
        world.serve_late();
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
    if trouble == Trouble::Passing {
        assert_eq!(acknowledged, stored.len(), "seed {seed}: all is told to be stored");
        assert_eq!(world.epochs_asked, 0, "seed {seed}: the broker missed none");
    }
    acknowledged
}

#[tokio::test]
async fn nothing_is_doubled_reordered_or_told_wrongly() {
    let mut acknowledged = 0;
    for seed in 0..2_000 {
        acknowledged += run(seed, Trouble::Any).await;
    }
    assert!(acknowledged > 100_000, "{acknowledged}");
}

/// Answers lost, leaders deposed and requests refused for a while: every record is stored.
#[tokio::test]
async fn what_passes_costs_no_record() {
    for seed in 0..1_000 {
        run(seed, Trouble::Passing).await;
    }
}

/// The first batch is cut off. By the new connection a later one would reach a broker that does not
/// know the producer: it would be stored, and the first refused for ever.
#[tokio::test]
async fn the_first_batch_that_is_cut_off_is_sent_before_any_other() {
    let mut world = World::new(0);
    let now = clock::now();
    world.produce(1, now);
    world.send(now);
    world.cut();
    world.late.clear();
    world.produce(1, now);
    world.send(now);
    assert!(world.wire.is_empty(), "the first one's fate is not known");
    world.hear(now);
    world.send(now);
    world.send(now);
    assert_eq!(world.wire.len(), 1, "the broker may not know the producer");
    for _ in 0..2 {
        world.serve(None);
        world.hear(now);
        world.send(now);
    }
    assert_eq!(world.broker.log, [0, 1]);
}

/// What a broker calls out of order is not in its log, even if that was in doubt: it is sent again
/// in a new epoch.
#[tokio::test]
async fn a_place_that_the_broker_has_lost_is_found_in_a_new_epoch() {
    let mut world = World::new(0);
    let now = clock::now();
    world.produce(1, now);
    world.send(now);
    world.cut();
    world.hear(now);
    world.broker.place = Some((0, 7));
    world.send(now);
    world.serve(None);
    world.hear(now);
    world.renew();
    world.send(now);
    world.serve(None);
    world.hear(now);
    assert_eq!(world.deliveries.pop().unwrap().await.unwrap().offset, Some(0));
}

/// What a leader stored that was deposed, and that was given up since, must not lend its sequence
/// number to the next batch: the broker would take that for the repeat of the first.
#[tokio::test]
async fn a_number_that_a_deposed_leader_has_seen_is_not_given_again() {
    let mut world = World::new(0);
    let now = clock::now();
    world.produce(1, now);
    world.send(now);
    world.depose();
    world.hear(now);
    world.expire(now);
    world.renew();
    world.produce(1, now);
    world.send(now);
    world.serve(None);
    world.hear(now);
    let mut deliveries = std::mem::take(&mut world.deliveries).into_iter();
    let given_up = deliveries.next().unwrap().await.unwrap_err();
    assert!(given_up.possibly_written(), "{given_up}");
    assert_eq!(deliveries.next().unwrap().await.unwrap().offset, Some(1));
    assert_eq!(world.broker.log, [0, 1]);
}
