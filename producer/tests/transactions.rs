//! Transactions against a real cluster.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use klamm_consumer::ConsumeExt as _;
use klamm_producer::{GroupMetadata, ProduceExt as _, Record};

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod place;

use cluster::{Cluster, SOON, create, somewhere_can, topic};
use place::{GENERATIONS, Place};

const TXN_OFFSET_COMMIT: i16 = 28;

#[tokio::test(flavor = "multi_thread")]
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

#[tokio::test(flavor = "multi_thread")]
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

#[tokio::test(flavor = "multi_thread")]
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

#[tokio::test(flavor = "multi_thread")]
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

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_has_gone_on_has_the_transaction_aborted() {
    if !somewhere_can(TXN_OFFSET_COMMIT, 3, "members in transactions").await {
        return;
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_refused_has_the_transaction_aborted() {
    for generation in GENERATIONS {
        let place = Place::new("refused").await;
        let small = format!("{}-small", place.name);
        let topic = topic(&place.kafka, &small, 1).config("max.message.bytes", "1000");
        create(&place.kafka, topic).await;
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

/// Copies numbers from one topic to another, each with the offset that it was read at.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_copies_exactly_once() {
    if !somewhere_can(TXN_OFFSET_COMMIT, 3, "members in transactions").await {
        return;
    }
    let from = Place::new("from").await;
    let to = Place::at("to", Cluster::at(None, from.cluster.address.clone())).await;
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
