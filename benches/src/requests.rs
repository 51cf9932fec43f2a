//! The requests that are measured.

use bytes::Bytes;
use klamm_protocol::api::{fetch, produce};
use klamm_protocol::records::{Batch, BatchBuilder, BatchOptions};
use klamm_protocol::wire::{Records, Uuid};

/// A batch of so many records with values of `len` bytes that do not compress at once.
#[must_use]
pub fn batch(records: usize, len: usize) -> Batch {
    let value: Vec<u8> = (0..len).map(|at| (at * 31 % 251) as u8).collect();
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for _ in 0..records {
        builder.push(1_700_000_000_000, None, Some(&value), &[]).expect("a batch holds this");
    }
    builder.build(0).expect("a batch has records")
}

/// One batch for each of so many partitions.
#[must_use]
pub fn produce(topic_id: Uuid, partitions: i32, batch: &Bytes) -> produce::Request {
    let partition =
        |index| produce::Partition { index, records: Some(Records::from(batch.clone())) };
    let partitions = (0..partitions).map(partition).collect();
    let topic = produce::Topic { topic_id, partitions, ..Default::default() };
    produce::Request { acks: 1, timeout_ms: 30_000, topics: vec![topic], ..Default::default() }
}

/// What lies from `offset` on in each of so many partitions, `size` bytes of it at most, and
/// without waiting.
#[must_use]
pub fn fetch(topic_id: Uuid, partitions: i32, offset: i64, size: usize) -> fetch::Request {
    let size = i32::try_from(size).expect("a fetch is small");
    let partition = |partition| fetch::Partition {
        partition,
        fetch_offset: offset,
        partition_max_bytes: size,
        ..Default::default()
    };
    let partitions = (0..partitions).map(partition).collect();
    let topic = fetch::Topic { topic_id, partitions, ..Default::default() };
    fetch::Request { max_bytes: size, topics: vec![topic], ..Default::default() }
}

/// The next request of a session in which nothing changes for the client.
#[must_use]
pub fn fetch_on(session_id: i32, session_epoch: i32) -> fetch::Request {
    fetch::Request { session_id, session_epoch, ..Default::default() }
}
