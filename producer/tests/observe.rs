//! What an application sees of a producer: its interceptors and its figures.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use klamm_broker::faults::{ApiKey, ErrorCode, Fault};
use klamm_consumer::{ConsumeExt as _, Start};
use klamm_producer::{
    ProduceExt as _, ProducerInterceptor, Record, RecordMetadata, Result, TraceParent,
    TryEnqueueError,
};

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod place;

use cluster::SOON;
use place::Place;

/// Notes what it hears, and signs what goes out.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Result<RecordMetadata>>>>);

impl ProducerInterceptor for Notes {
    fn on_send(&self, record: &mut Record) {
        record.push_header("signed", None);
    }

    fn on_ack(&self, outcome: &Result<RecordMetadata>) {
        self.0.lock().unwrap().push(outcome.clone());
    }
}

impl Notes {
    fn take(&self) -> Vec<Result<RecordMetadata>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Fails at everything.
struct Panics;

impl ProducerInterceptor for Panics {
    fn on_send(&self, _: &mut Record) {
        resume_unwind(Box::new("on purpose, and without a word in the log"));
    }

    fn on_ack(&self, _: &Result<RecordMetadata>) {
        resume_unwind(Box::new("on purpose, and without a word in the log"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interceptors_see_every_record_once() {
    let place = Place::new("seen").await;
    let notes = Notes::default();
    let builder = place.kafka.producer().interceptor(Panics).interceptor(notes.clone());
    let builder = builder.interceptor(TraceParent::new(|| Some("00-1-2-01".to_owned())));
    let producer = builder.buffer_memory(3_000).max_request_size(2_000).build().await.unwrap();
    let record = |number: i32| place.record(number).partition(0).key("k");
    let unknown = producer.try_enqueue(record(0)).unwrap_err();
    assert_eq!(unknown.into_record(), record(0), "it is given back as it came");
    for stored in producer.send_all((0..10).map(record)).await {
        let stored = stored.unwrap();
        assert_eq!((stored.key_size, stored.value_size), (Some(1), Some(1)));
    }
    let told: Vec<_> = notes.take().into_iter().map(|it| it.unwrap().offset.unwrap()).collect();
    assert_eq!(told, (0..10).collect::<Vec<_>>());

    // There is room again.
    producer.flush().await;
    let large = place.record("x".repeat(2_500)).partition(0);
    let Err(TryEnqueueError::Refused(refused)) = producer.try_enqueue(large.clone()) else {
        panic!("it is too large")
    };
    assert_eq!(refused.record, large);
    assert!(matches!(&notes.take()[..], [Err(_)]));
    assert!(producer.enqueue(large).await.is_err());
    assert!(matches!(&notes.take()[..], [Err(_)]));

    let builder = place.kafka.consumer().assign_topic(place.name.as_str(), Start::Earliest);
    let mut consumer = builder.build().await.unwrap();
    let mut seen = 0;
    while seen < 10 {
        let batch = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap().unwrap();
        for record in batch {
            let headers: Vec<_> = record.headers.iter().map(|it| it.key.clone()).collect();
            assert_eq!(headers, ["signed", "traceparent"]);
            seen += 1;
        }
    }
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_tell_what_was_done() {
    let place = Place::here("figures").await;
    let producer = place.kafka.producer().linger(SOON).build().await.unwrap();
    let mut deliveries = Vec::new();
    for number in 0..100 {
        let record = place.record(number).partition(number % 2);
        deliveries.push(producer.enqueue(record).await.unwrap());
    }
    let waiting = producer.metrics();
    assert_eq!((waiting.records, waiting.queue_batches), (0, 2));
    assert!(waiting.queue_bytes > 100);
    let refuse = Fault::error(ApiKey::Produce, ErrorCode::NOT_ENOUGH_REPLICAS).times(1);
    place.broker().faults().add(refuse).unwrap();
    producer.flush().await;
    let done = producer.metrics();
    assert_eq!((done.records, done.batches, done.errors), (100, 2, 0));
    assert_eq!((done.queue_batches, done.queue_bytes), (0, 0));
    assert!(done.retries >= 1 && done.requests >= 2, "{done:?}");
    assert_eq!((done.latency_us.count(), done.batch_bytes.sum()), (2, done.bytes));

    let refuse = Fault::error(ApiKey::Produce, ErrorCode::INVALID_RECORD);
    place.broker().faults().add(refuse).unwrap();
    let lost = producer.enqueue(place.record("lost")).await.unwrap();
    producer.flush().await;
    assert!(lost.await.is_err());
    assert_eq!(producer.metrics().errors, 1);
    producer.close(Duration::ZERO).await.unwrap();
    place.end().await;
}

/// Who gives a record up says whether it may be there.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_timeout_tells_whether_the_record_may_be_there() {
    let place = Place::here("late").await;
    for (fault, possibly_written) in [
        (Fault::error(ApiKey::Produce, ErrorCode::NOT_ENOUGH_REPLICAS), false),
        (Fault::lose_answer(ApiKey::Produce), true),
    ] {
        let short = Duration::from_millis(200);
        let builder = place.kafka.producer().delivery_timeout(short).request_timeout(short);
        let producer = builder.linger(Duration::ZERO).build().await.unwrap();
        let fault = place.broker().faults().add(fault).unwrap();
        // Where time is over before it was sent at all, it is tried with the next one.
        let error = loop {
            let strikes = fault.strikes();
            let error = producer.send(place.record("late").partition(0)).await.unwrap_err();
            if fault.strikes() > strikes {
                break error;
            }
        };
        assert_eq!(error.possibly_written(), possibly_written, "{error}");
        fault.remove();
        producer.close(SOON).await.unwrap();
    }
    place.end().await;
}
