//! Transactions against a real broker, in this process; or against another one that
//! `KLAMM_TEST_BOOTSTRAP` names.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use klamm_broker::Broker;
use klamm_client::admin::NewTopic;
use klamm_client::config::keys;
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{ConsumeExt as _, Start};
use klamm_producer::{GroupMetadata, ProduceExt as _, Record, TransactionalProducer};
use klamm_utils::random::Random;

mod proxy;

const SOON: Duration = Duration::from_secs(60);
/// The generations of the protocol, as `transaction.version.max` names them.
const GENERATIONS: [&str; 2] = ["1", "2"];

/// A broker, a client of it, and a name for everything that a test makes there.
struct Place {
    broker: Option<Broker>,
    kafka: Kafka,
    name: String,
}

impl Place {
    async fn new(what: &str) -> Self {
        let (broker, address) = match std::env::var("KLAMM_TEST_BOOTSTRAP") {
            Ok(address) => (None, address),
            Err(_) => {
                let builder = Broker::builder().ephemeral();
                let builder = builder.set("group.initial.rebalance.delay.ms", "0");
                let broker = builder.start().await.unwrap();
                let address = broker.bootstrap();
                (Some(broker), address)
            }
        };
        Self::at(what, broker, &address).await
    }

    /// A broker of this process behind a proxy.
    async fn behind(proxy: &proxy::Proxy) -> Self {
        Self::at("cut", Some(proxy.broker().await), &proxy.address()).await
    }

    async fn at(what: &str, broker: Option<Broker>, address: &str) -> Self {
        let config = ClientConfig::new(address).set("retry.backoff.ms", "5");
        let kafka = Kafka::connect(config.set("reconnect.backoff.ms", "1")).await.unwrap();
        let place = Self { broker, kafka, name: format!("{what}-{}", Random::new().bits()) };
        let topics = [NewTopic::new(place.name.as_str()).partitions(3)];
        for (_, created) in place.kafka.admin().create_topics(&topics).await.unwrap() {
            created.unwrap();
        }
        place
    }

    async fn producer(&self, generation: &str) -> TransactionalProducer {
        let builder = self.kafka.producer().transactional_id(&self.name);
        let builder = builder.set("transaction.version.max", generation);
        builder.build_transactional().await.unwrap()
    }

    fn record(&self, value: impl ToString) -> Record {
        Record::to(self.name.as_str()).value(value.to_string())
    }

    /// What readers of committed records see, partition by partition, up to the last record of
    /// each: an untransactional one that is written now.
    async fn committed(&self) -> Vec<String> {
        let end = self.kafka.producer().build().await.unwrap();
        for partition in 0..3 {
            end.send(self.record("end").partition(partition)).await.unwrap();
        }
        let builder = self.kafka.consumer().assign_topic(self.name.as_str(), Start::Earliest);
        let builder = builder.set("isolation.level", "read_committed");
        let mut consumer = builder.build().await.unwrap();
        let (mut seen, mut ends) = (Vec::new(), 0);
        while ends < 3 {
            let batch = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap().unwrap();
            for record in batch {
                match String::from_utf8(record.value.unwrap().to_vec()).unwrap().as_str() {
                    "end" => ends += 1,
                    value => seen.push(value.to_owned()),
                }
            }
        }
        seen.sort_unstable();
        seen
    }

    async fn end(self) {
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
    }
}

#[tokio::test]
async fn what_is_committed_is_seen_and_what_is_aborted_is_not() {
    for generation in GENERATIONS {
        let place = Place::new("ends").await;
        let producer = place.producer(generation).await;
        for round in 0..6 {
            let tx = producer.begin().await.unwrap();
            for partition in 0..3 {
                let record = place.record(format!("{round}-{partition}")).partition(partition);
                tx.send(record).await.unwrap();
            }
            let lingers = place.record(format!("{round}-z"));
            let delivery = tx.enqueue(lingers).await.unwrap();
            if round % 2 == 0 {
                tx.commit().await.unwrap();
                delivery.await.unwrap();
            } else {
                tx.abort().await.unwrap();
            }
        }
        producer.begin().await.unwrap().commit().await.unwrap();
        producer.begin().await.unwrap().abort().await.unwrap();
        let rounds = [0, 2, 4].into_iter();
        let expected: Vec<_> =
            rounds.flat_map(|round| ["0", "1", "2", "z"].map(|n| format!("{round}-{n}"))).collect();
        assert_eq!(place.committed().await, expected, "generation {generation}");
        producer.close(SOON).await.unwrap();
        place.end().await;
    }
}

#[tokio::test]
async fn dropping_a_transaction_aborts_it() {
    for generation in GENERATIONS {
        let place = Place::new("drop").await;
        let producer = place.producer(generation).await;
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("lost")).await.unwrap();
        let error = producer.begin().await.unwrap_err();
        assert!(matches!(error, klamm_producer::Error::InTransaction { .. }), "{error}");
        drop(tx);
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("kept")).await.unwrap();
        tx.commit().await.unwrap();
        // The guard outlives the producer, and its end is seen to though both are gone.
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("lost too")).await.unwrap();
        drop(producer);
        drop(tx);
        assert_eq!(place.committed().await, ["kept"], "generation {generation}");
        place.end().await;
    }
}

#[tokio::test]
async fn who_comes_later_fences_off_who_was_there() {
    for generation in GENERATIONS {
        let place = Place::new("fence").await;
        let old = place.producer(generation).await;
        let tx = old.begin().await.unwrap();
        tx.send(place.record("lost")).await.unwrap();
        let new = place.producer(generation).await;
        let late = tx.send(place.record("late")).await.unwrap_err();
        assert!(late.requires_abort() || late.is_fatal(), "{late}");
        let error = tx.commit().await.unwrap_err();
        assert!(error.is_fatal(), "{error}");
        assert!(old.begin().await.unwrap_err().is_fatal());
        let tx = new.begin().await.unwrap();
        tx.send(place.record("kept")).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(place.committed().await, ["kept"], "generation {generation}");
        place.end().await;
    }
}

#[tokio::test]
async fn offsets_count_when_the_transaction_does() {
    for generation in GENERATIONS {
        let place = Place::new("offsets").await;
        let producer = place.producer(generation).await;
        let group = GroupMetadata::outsider(place.name.as_str());
        for (offset, commits) in [(3, true), (5, false)] {
            let tx = producer.begin().await.unwrap();
            tx.send(place.record(offset)).await.unwrap();
            let offsets = [(place.name.as_str().into(), 1, offset.into())];
            tx.send_offsets(&group, offsets).await.unwrap();
            if commits {
                tx.commit().await.unwrap();
            } else {
                tx.abort().await.unwrap();
            }
        }
        let admin = place.kafka.admin();
        let committed = admin.group_offsets(&[place.name.as_str().into()]).await.unwrap();
        let offsets = committed.into_iter().next().unwrap().1.unwrap();
        let (at, offset) = offsets.into_iter().next().unwrap();
        assert_eq!((at.1, offset.unwrap().unwrap().offset), (1, 3), "generation {generation}");
        assert_eq!(place.committed().await, ["3"]);
        place.end().await;
    }
}

#[tokio::test]
async fn a_group_that_has_gone_on_has_the_transaction_aborted() {
    for generation in GENERATIONS {
        let place = Place::new("gone").await;
        let producer = place.producer(generation).await;
        let mut group = GroupMetadata::outsider(place.name.as_str());
        (group.committer.generation, group.committer.member) = (7, "nobody".into());
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("lost")).await.unwrap();
        let offsets = [(place.name.as_str().into(), 1, 5.into())];
        let error = tx.send_offsets(&group, offsets).await.unwrap_err();
        assert!(error.requires_abort() && !error.is_fatal(), "{error}");
        assert!(tx.enqueue(place.record("late")).await.unwrap_err().requires_abort());
        assert!(tx.commit().await.unwrap_err().requires_abort());
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("kept")).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(place.committed().await, ["kept"], "generation {generation}");
        place.end().await;
    }
}

#[tokio::test]
async fn cut_connections_change_nothing_of_what_is_seen() {
    for generation in GENERATIONS {
        let proxy = proxy::Proxy::bind().await;
        let place = Place::behind(&proxy).await;
        let producer = place.producer(generation).await;
        let group = GroupMetadata::outsider(place.name.as_str());
        proxy.cut_after(800..3_000);
        let mut expected = Vec::new();
        for round in 0..60 {
            let tx = producer.begin().await.unwrap();
            for number in 0..5 {
                let value = format!("{round:02}-{number}");
                let record = place.record(&value).partition(number % 3);
                let delivery = tx.enqueue(record).await.unwrap();
                if number == 2 {
                    delivery.await.unwrap();
                }
                expected.extend((round % 3 != 0).then_some(value));
            }
            let offsets = [(place.name.as_str().into(), 0, i64::from(round).into())];
            tx.send_offsets(&group, offsets).await.unwrap();
            match round % 3 {
                0 if round % 2 == 0 => drop(tx),
                0 => tx.abort().await.unwrap(),
                _ => tx.commit().await.unwrap(),
            }
        }
        assert!(proxy.cuts() > 5, "{} cuts", proxy.cuts());
        proxy.heal();
        assert_eq!(place.committed().await, expected, "generation {generation}");
        producer.close(SOON).await.unwrap();
        place.end().await;
    }
}

#[tokio::test]
async fn a_record_that_is_refused_has_the_transaction_aborted() {
    for generation in GENERATIONS {
        let place = Place::new("refused").await;
        let small = format!("{}-small", place.name);
        let topic = NewTopic::new(&small).config("max.message.bytes", "1000");
        for (_, created) in place.kafka.admin().create_topics(&[topic]).await.unwrap() {
            created.unwrap();
        }
        let record = |bytes| Record::to(small.as_str()).value(vec![b'x'; bytes]);
        let producer = place.producer(generation).await;
        for _ in 0..2 {
            let tx = producer.begin().await.unwrap();
            tx.send(record(10)).await.unwrap();
            tx.send(place.record("lost")).await.unwrap();
            // Nobody waits for it: the commit tells.
            drop(tx.enqueue(record(2_000)).await.unwrap());
            let error = tx.commit().await.unwrap_err();
            assert!(error.requires_abort() && !error.is_fatal(), "{error}");
        }
        let tx = producer.begin().await.unwrap();
        tx.send(record(10)).await.unwrap();
        tx.send(place.record("kept")).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(place.committed().await, ["kept"], "generation {generation}");
        place.end().await;
    }
}

#[tokio::test]
async fn a_record_whose_fate_is_unknown_is_not_seen_and_the_next_ones_are() {
    for generation in GENERATIONS {
        let proxy = proxy::Proxy::bind().await;
        let place = Place::behind(&proxy).await;
        let builder = place.kafka.producer().transactional_id(&place.name);
        let builder = builder.set("transaction.version.max", generation);
        let builder = builder.delivery_timeout(Duration::from_millis(300)).linger(Duration::ZERO);
        let producer = builder.build_transactional().await.unwrap();
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("lost").partition(0)).await.unwrap();
        proxy.cut_after(0..1);
        let error = tx.send(place.record("unknown").partition(0)).await.unwrap_err();
        assert!(error.requires_abort() && error.possibly_written(), "{error}");
        proxy.heal();
        assert!(tx.commit().await.unwrap_err().requires_abort());
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("kept").partition(0)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(place.committed().await, ["kept"], "generation {generation}");
        place.end().await;
    }
}

/// Polls `future` so many times, then drops it; tells whether it was done.
async fn poll_and_drop<T>(polls: u64, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if let std::task::Poll::Ready(done) = polled {
            return Some(done);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Whatever was dropped when, the next transaction begins, and none is seen in part.
#[tokio::test]
async fn a_caller_may_go_at_any_await() {
    for generation in GENERATIONS {
        let place = Place::new("leave").await;
        let producer = place.producer(generation).await;
        let group = GroupMetadata::outsider(place.name.as_str());
        let mut must_be_seen = Vec::new();
        for polls in 0..40 {
            poll_and_drop(polls, producer.begin()).await;
            let tx = producer.begin().await.unwrap();
            for partition in 0..2 {
                let value = format!("{polls:02}-{partition}");
                drop(tx.enqueue(place.record(&value).partition(partition)).await.unwrap());
            }
            let offsets = [(place.name.as_str().into(), 0, 1.into())];
            poll_and_drop(polls, tx.send_offsets(&group, offsets)).await;
            if polls % 3 == 0 {
                poll_and_drop(polls, tx.abort()).await;
            } else if poll_and_drop(polls, tx.commit()).await.is_some_and(|done| done.is_ok()) {
                must_be_seen.push(polls);
            }
        }
        let seen = place.committed().await;
        for pair in seen.chunks(2) {
            assert_eq!(pair[0][..2], pair[1][..2], "generation {generation}: {seen:?}");
            assert_ne!(pair[0][..2].parse::<u64>().unwrap() % 3, 0, "it was aborted");
        }
        for polls in must_be_seen {
            assert!(seen.contains(&format!("{polls:02}-0")), "{polls}: {seen:?}");
        }
        place.end().await;
    }
}

/// Copies numbers from one topic to another, each with the offset that it was read at.
#[tokio::test]
async fn a_group_copies_exactly_once() {
    let from = Place::new("from").await;
    let address = from.kafka.config().get(&keys::BOOTSTRAP_SERVERS).join(",");
    let to = Place::at("to", None, &address).await;
    let writer = from.kafka.producer().build().await.unwrap();
    for stored in writer.send_all((0..30).map(|n| from.record(n).partition(n % 3))).await {
        stored.unwrap();
    }
    let copier = to.producer("2").await;
    let mut copied = 0;
    // Every second transaction is lost, and so is the consumer.
    for round in 0.. {
        if copied == 30 {
            break;
        }
        let builder = from.kafka.consumer().group(&from.name).subscribe([from.name.as_str()]);
        let builder = builder.auto_commit(false).set("auto.offset.reset", "earliest");
        let mut consumer = builder.build().await.unwrap();
        let batch = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap().unwrap();
        let tx = copier.begin().await.unwrap();
        let (end, count) = (batch.end(), batch.records().len());
        for record in batch {
            let value = record.value.unwrap();
            drop(tx.enqueue(Record::to(to.name.as_str()).value(value)).await.unwrap());
        }
        tx.send_offsets(&consumer.group_metadata().unwrap(), [end]).await.unwrap();
        if round % 2 == 1 {
            tx.commit().await.unwrap();
            copied += count;
        }
        consumer.close(SOON).await.unwrap();
    }
    let mut expected: Vec<_> = (0..30).map(|number| number.to_string()).collect();
    expected.sort_unstable();
    assert_eq!(to.committed().await, expected);
    from.end().await;
}
