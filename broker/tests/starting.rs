//! What a start reads, and what it makes of a disk that fails it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::io::ErrorKind;
use std::sync::Arc;

use klamm_broker::{Broker, StartError};
use klamm_storage::disk::{Disk, Fault, FaultyDisk, MemoryDisk};

use support::transaction::{Generation, Producer};
use support::{Client, batch};

async fn start(disk: impl Disk) -> Result<Broker, StartError> {
    Broker::builder().ephemeral().data_dir("/data").disk(Arc::new(disk)).start().await
}

/// A disk on which a topic has so many batches of producers without an id, after a clean stop.
async fn with_batches(count: usize) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let broker = start(disk.clone()).await.unwrap();
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 1, &[]).await;
    for _ in 0..count {
        client.produce("t", batch(&["x".repeat(1_000).as_str()])).await;
    }
    broker.stop().await;
    disk
}

/// It read all of a log of which no producer was known: there was nothing that said so.
#[tokio::test]
async fn a_start_takes_as_long_for_a_large_log_as_for_a_small_one() {
    let mut calls = Vec::new();
    for count in [1, 200] {
        let disk = FaultyDisk::new(Arc::new(with_batches(count).await));
        let broker = start(disk.clone()).await.unwrap();
        calls.push(disk.calls());
        broker.stop().await;
    }
    assert_eq!(calls[0], calls[1]);
}

/// A topic in which one transaction is committed, one aborted and one open, as a kill leaves it.
async fn with_transactions() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let broker = start(disk.clone()).await.unwrap();
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 1, &[]).await;
    let mut producer = Producer::connect(&broker, "tx", Generation::Second).await;
    producer.init().await;
    producer.write("t", 0, "committed").await;
    producer.commit().await;
    producer.settled().await;
    producer.write("t", 0, "aborted").await;
    producer.abort().await;
    producer.settled().await;
    producer.write("t", 0, "open").await;
    let left = disk.after_kill();
    broker.stop().await;
    left
}

async fn committed(broker: &Broker) -> Vec<String> {
    Client::connect(broker).await.committed("t", 0).await.0
}

/// What could not be read was taken for nothing: whatever was aborted or open was shown.
#[tokio::test]
async fn a_disk_that_fails_at_the_start_has_nobody_see_what_was_aborted_or_is_open() {
    let left = with_transactions().await;
    let mut starts = 0;
    for first in 1.. {
        let disk = FaultyDisk::new(Arc::new(left.after_kill()));
        disk.fail(Some(Fault { first, count: 1, kind: ErrorKind::Other }));
        let started = start(disk.clone()).await;
        let calls = disk.calls();
        disk.fail(None);
        if let Ok(broker) = started {
            starts += 1;
            let seen = committed(&broker).await;
            assert!(seen.is_empty() || seen == ["committed"], "call {first}: {seen:?}");
            broker.stop().await;
        }
        if calls < first {
            break;
        }
    }
    assert!(starts > 10, "{starts}");
}

#[tokio::test]
async fn a_full_disk_has_readers_see_what_was_committed_and_no_more() {
    let disk = with_transactions().await;
    disk.set_capacity(0);
    let broker = start(disk).await.unwrap();
    assert_eq!(committed(&broker).await, ["committed"]);
    broker.stop().await;
}
