//! What a consumer tells of itself: interceptors and metrics, against a real broker.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use klamm_consumer::{ConsumerBatch, ConsumerInterceptor, Position};

use support::{World, next, protocols, read};

/// Leaves out the first batch and every record but the first of others, and notes commits.
#[derive(Clone, Default)]
struct Auditor {
    committed: Arc<Mutex<Vec<i64>>>,
}

impl ConsumerInterceptor for Auditor {
    fn on_consume(&self, batch: &mut ConsumerBatch) {
        let is_first = batch.end_offset() == 10;
        batch.records_mut().truncate(usize::from(!is_first));
        for record in batch.records_mut() {
            record.value = Some(Bytes::from_static(b"seen"));
        }
    }

    fn on_commit(&self, positions: &[Position]) {
        self.committed.lock().unwrap().extend(positions.iter().map(|position| position.offset));
    }
}

/// Does everything wrong.
struct Clumsy;

impl ConsumerInterceptor for Clumsy {
    fn on_consume(&self, _: &mut ConsumerBatch) {
        panic!("of a test");
    }
}

#[tokio::test]
async fn interceptors_see_batches_and_commits() {
    let world = World::start(1).await;
    let auditor = Auditor::default();
    let builder = world.member().auto_commit(false).interceptor(Clumsy);
    let mut consumer = builder.interceptor(auditor.clone()).build().await.unwrap();
    let batch = next(&mut consumer).await;
    assert_eq!((batch.records().len(), batch.records()[0].offset), (1, 10));
    assert_eq!(batch.records()[0].value.as_deref(), Some(&b"seen"[..]));
    consumer.commit(batch.end()).await.unwrap();
    consumer.commit(Position::new("nobody's", 0, 7)).await.unwrap_err();
    assert_eq!(*auditor.committed.lock().unwrap(), [20]);
    world.stop().await;
}

#[tokio::test]
async fn metrics_count_what_was_done() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let mut consumer = world.member().auto_commit(false).build().await.unwrap();
        read(&mut consumer, 30).await;
        consumer.commit_delivered().await.unwrap();
        consumer.commit(Position::new("nobody's", 0, 7)).await.unwrap_err();
        let seen = consumer.metrics();
        assert_eq!((seen.records, seen.batches), (30, 3));
        assert!(seen.bytes > 30 && seen.fetches > 0 && seen.rebalances > 0, "{seen:?}");
        assert_eq!((seen.commits, seen.commit_errors, seen.fetch_errors), (1, 1, 0));
        assert_eq!(seen.lags, [(world.place(0), Some(70))]);
        assert_eq!((seen.fetch_us.count(), seen.commit_us.count()), (seen.fetches, 2));
        assert!(seen.poll_idle.is_some());
        let _ = tokio::time::timeout(Duration::ZERO, consumer.next_batch()).await;
        world.stop().await;
    }
}
