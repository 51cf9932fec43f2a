//! Transactions where something fails: a coordinator that has moved, a broker that is silent, a
//! producer that is closed in the middle.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use klamm_broker::faults::{ApiKey, ErrorCode, Fault};
use klamm_producer::{Error, GroupMetadata};

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod place;

use cluster::SOON;
use place::{GENERATIONS, Place};

/// A batch that was full before it had lingered leaves word that it lingers. Looked at in the next
/// transaction, that must not have its partition included there.
#[tokio::test(flavor = "multi_thread")]
async fn only_partitions_that_are_written_to_are_included() {
    let place = Place::here("stale").await;
    let linger = Duration::from_millis(300);
    let builder = place.builder("1").batch_size(200).linger(linger);
    let producer = builder.build_transactional().await.unwrap();
    let tx = producer.begin().await.unwrap();
    let small = tx.enqueue(place.record("1").partition(0)).await.unwrap();
    let large = tx.enqueue(place.record("2".repeat(300)).partition(0)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((small.await.unwrap().offset, large.await.unwrap().offset), (Some(0), Some(1)));

    let refuse = Fault::error(ApiKey::AddPartitionsToTxn, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    let refuse = refuse.partition(&place.name, 0);
    let refused = place.broker().faults().add(refuse).unwrap();
    let tx = producer.begin().await.unwrap();
    tx.send(place.record("3").partition(1)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(refused.strikes(), 0);
    place.end().await;
}

/// Every question may find that the coordinator is elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_has_moved_is_found_again() {
    for generation in GENERATIONS {
        let place = Place::here("moved").await;
        let faults = place.broker().faults();
        let moved = |api| Fault::error(api, ErrorCode::NOT_COORDINATOR).times(2);
        let mut asked = vec![faults.add(moved(ApiKey::InitProducerId)).unwrap()];
        let producer = place.producer(generation).await;
        let mut apis = vec![ApiKey::TxnOffsetCommit, ApiKey::EndTxn];
        if generation == "1" {
            apis.extend([ApiKey::AddPartitionsToTxn, ApiKey::AddOffsetsToTxn]);
        }
        asked.extend(apis.into_iter().map(|api| faults.add(moved(api)).unwrap()));
        let group = GroupMetadata::outsider(place.name.as_str());
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("kept")).await.unwrap();
        let offsets = [(place.name.as_str().into(), 0, 1.into())];
        tx.send_offsets(&group, offsets).await.unwrap();
        tx.commit().await.unwrap();
        for fault in &asked {
            assert_eq!(fault.strikes(), 2, "generation {generation}");
        }
        assert_eq!(place.committed().await, ["kept"], "generation {generation}");
        producer.close(SOON).await.unwrap();
        place.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_close_cuts_off_is_undecided() {
    for generation in GENERATIONS {
        let place = Place::here("cut").await;
        let producer = place.producer(generation).await;
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("1")).await.unwrap();
        place.broker().pause();
        let commit = tx.commit();
        let close = producer.close(Duration::from_millis(50));
        let (committed, closed) = tokio::join!(commit, close);
        let error = committed.unwrap_err();
        assert!(matches!(error, Error::Undecided { .. }), "{error}");
        assert!(matches!(closed, Err(Error::Abandoned { .. })), "{closed:?}");
        assert!(matches!(producer.begin().await, Err(Error::Closed)));
        place.broker().resume();
        place.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_nobody_answers_is_undecided_and_then_known() {
    for generation in GENERATIONS {
        let place = Place::here("late").await;
        let builder = place.builder(generation).set("max.block.ms", "300");
        // The producer's id is there before time is short.
        let built = async {
            loop {
                match builder.clone().build_transactional().await {
                    Ok(producer) => break producer,
                    Err(error) => {
                        assert!(error.is_retriable() || error.code().is_some(), "{error}")
                    }
                }
            }
        };
        let producer = tokio::time::timeout(SOON, built).await.unwrap();
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("kept")).await.unwrap();
        place.broker().pause();
        let error = tx.commit().await.unwrap_err();
        assert!(matches!(error, Error::Undecided { .. }), "{error}");
        assert!(matches!(producer.begin().await, Err(Error::Undecided { .. })));
        place.broker().resume();
        // The next one begins when the end of the last is known.
        let known = async {
            loop {
                match producer.begin().await {
                    Ok(next) => break drop(next),
                    Err(error) => assert!(matches!(error, Error::Undecided { .. }), "{error}"),
                }
            }
        };
        tokio::time::timeout(SOON, known).await.unwrap();
        assert_eq!(place.committed().await, ["kept"], "generation {generation}");
        place.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_aborts_what_is_open_and_nothing_begins() {
    for generation in GENERATIONS {
        let place = Place::here("close").await;
        let producer = place.producer(generation).await;
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("lost")).await.unwrap();
        producer.close(SOON).await.unwrap();
        assert!(matches!(producer.begin().await, Err(Error::Closed)));
        assert!(matches!(tx.enqueue(place.record("late")).await, Err(Error::Closed)));
        assert!(matches!(tx.commit().await, Err(Error::Closed)));
        assert!(place.committed().await.is_empty(), "generation {generation}");
        producer.close(SOON).await.unwrap();
        place.end().await;
    }
}

/// Whoever closes may go: what is open is aborted all the same, and nothing begins.
#[tokio::test]
async fn a_close_that_was_dropped_closes_in_the_background() {
    for generation in GENERATIONS {
        let place = Place::here("gone").await;
        let producer = place.producer(generation).await;
        let tx = producer.begin().await.unwrap();
        let lost = tx.enqueue(place.record("lost")).await.unwrap();
        let mut close = Box::pin(producer.close(SOON));
        let polled = close.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        drop(close);
        let lost = tokio::time::timeout(SOON, lost).await.unwrap();
        assert!(matches!(lost, Err(Error::Aborted { .. })));
        assert!(matches!(producer.begin().await, Err(Error::Closed)));
        place.end().await;
    }
}

/// A coordinator that is silent holds nobody up for longer than `max.block.ms`.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_coordinator_is_waited_for_as_long_as_was_said() {
    let place = Place::here("silent").await;
    let builder = place.builder("2").set("max.block.ms", "300");
    let builder = builder.set("request.timeout.ms", "600000").set("delivery.timeout.ms", "700000");
    place.broker().pause();
    let built = tokio::time::timeout(SOON, builder.build_transactional()).await.unwrap();
    let error = built.unwrap_err();
    assert!(error.is_retriable(), "{error}");
    place.broker().resume();
    place.end().await;
}

/// A guard of one transaction has no say in another.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_waited_for_room_is_not_part_of_the_next_transaction() {
    for generation in GENERATIONS {
        let place = Place::here("room").await;
        let builder = place.builder(generation).buffer_memory(1_000);
        let producer =
            builder.linger(Duration::from_secs(600)).build_transactional().await.unwrap();
        let tx = producer.begin().await.unwrap();
        let first = tx.enqueue(place.record("1".repeat(700))).await.unwrap();
        // It waits for room, and gets it when the first is given up, or acknowledged: not before
        // the producer is closed.
        place.broker().pause();
        let second = tx.enqueue(place.record("2".repeat(700)));
        let close = async {
            let mut close = pin!(producer.close(SOON));
            // At once, if the first has not gone out: the coordinator has heard of nothing.
            let closed = poll_fn(|cx| Poll::Ready(close.as_mut().poll(cx))).await;
            place.broker().resume();
            match closed {
                Poll::Ready(closed) => closed,
                Poll::Pending => close.await,
            }
        };
        let (second, closed) = tokio::join!(second, close);
        assert!(matches!(second, Err(Error::Closed)), "{second:?}");
        closed.unwrap();
        // It may have gone out when the second waited for its room.
        let first = first.await;
        assert!(matches!(first, Ok(_) | Err(Error::Aborted { .. })), "{first:?}");
        assert!(place.committed().await.is_empty());
        place.end().await;
    }
}

/// Fatal news between the wish to commit and its fulfilment reaches who waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_told_at_once_that_the_producer_was_fenced_off() {
    let place = Place::here("fatal").await;
    let refuse = Fault::error(ApiKey::AddPartitionsToTxn, ErrorCode::PRODUCER_FENCED);
    place.broker().faults().add(refuse).unwrap();
    let builder = place.builder("1").set("max.block.ms", "600000");
    let producer = builder.build_transactional().await.unwrap();
    let tx = producer.begin().await.unwrap();
    let lost = tx.enqueue(place.record("lost")).await.unwrap();
    let error = tokio::time::timeout(SOON, tx.commit()).await.unwrap().unwrap_err();
    assert!(error.is_fatal(), "{error}");
    assert!(lost.await.unwrap_err().is_fatal());
    place.end().await;
}

/// Version 1: a question that was not answered may yet be read. It must not find its epoch alive.
#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_nobody_acknowledged_are_followed_by_another_epoch() {
    for generation in GENERATIONS {
        let place = Place::here("epoch").await;
        let faults = place.broker().faults();
        let builder = place.builder(generation).set("max.block.ms", "300");
        let producer = builder.build_transactional().await.unwrap();
        let group = GroupMetadata::outsider(place.name.as_str());
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("lost")).await.unwrap();
        let lost = faults.add(Fault::lose_answer(ApiKey::TxnOffsetCommit)).unwrap();
        let offsets = [(place.name.as_str().into(), 0, 1.into())];
        let error = tx.send_offsets(&group, offsets).await.unwrap_err();
        assert!(error.requires_abort() && error.possibly_written(), "{error}");
        lost.remove();
        // Counts the requests and changes nothing.
        let count = Fault::delay(ApiKey::InitProducerId, Duration::ZERO);
        let renewed = faults.add(count).unwrap();
        tx.abort().await.unwrap();
        assert_eq!(renewed.strikes() > 0, generation == "1", "generation {generation}");
        let tx = producer.begin().await.unwrap();
        tx.send(place.record("kept")).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(place.committed().await, ["kept"], "generation {generation}");
        place.end().await;
    }
}
