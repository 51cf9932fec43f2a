//! Compaction of a topic while it is in use, through real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klamm_broker::Broker;
use klamm_protocol::records::{BatchBuilder, BatchOptions, batches};
use klamm_storage::disk::{Disk as _, MemoryDisk, OpenMode};
use support::{Client, values};

/// An update of one key whose value is its number and a lot of padding.
fn update(key: u8, number: usize) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let value = format!("{number}{}", " ".repeat(200_000));
    builder.push(1_000, Some(&[key]), Some(value.as_bytes()), &[]).unwrap();
    builder.build(0).unwrap().bytes().clone()
}

/// All records of a topic: offset and number. As every client does, it goes on behind the last
/// batch, which may have lost its records.
async fn read_all(client: &mut Client, topic: &str) -> Vec<(i64, usize)> {
    let (mut from, mut found) = (0, Vec::new());
    loop {
        let answer = client.fetch(topic, from).await;
        if from >= answer.high_watermark {
            return found;
        }
        let number = |value: &str| value.trim_end().parse().unwrap();
        found.extend(values(&answer).iter().map(|(offset, value)| (*offset, number(value))));
        let last = batches(answer.records.unwrap().into_bytes()).last();
        let next = last.expect("there is something").unwrap().header().last_offset() + 1;
        assert!(next > from);
        from = next;
    }
}

const UPDATES: usize = 26;

/// Writes that many updates of three keys to a topic that is compacted at once, and waits until it
/// is: what is left of it.
async fn compacted(client: &mut Client) -> Vec<(i64, usize)> {
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    client.create_topic("t", 1, &configs).await;
    for number in 0..UPDATES {
        client.produce("t", update(number as u8 % 3, number)).await;
    }
    // Five updates fill a segment; those of the active one stay, and of the others one for each key.
    let compacted = async {
        loop {
            let found = read_all(client, "t").await;
            if found.len() <= 3 + 5 {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), compacted).await.unwrap()
}

/// What was kept might be older: a transaction that had ended was open again once its marker had
/// gone.
#[tokio::test]
async fn what_is_known_of_producers_is_kept_for_good_before_records_go() {
    let disk = MemoryDisk::new();
    let builder = Broker::builder().set("log.cleaner.backoff.ms", "1").ephemeral();
    let broker = builder.data_dir("/data").disk(Arc::new(disk.clone())).start().await.unwrap();
    compacted(&mut Client::connect(&broker).await).await;
    let kept = |disk: MemoryDisk| {
        let file = disk.open(Path::new("/data/t-0/producers.klamm"), OpenMode::Existing).unwrap();
        let mut content = [0; 100];
        let read = file.read_at(&mut content, 0).unwrap();
        content[..read].to_vec()
    };
    for seed in 0..32 {
        assert_eq!(kept(disk.after_power_cut(seed)), kept(disk.clone()), "seed {seed}");
    }
    broker.stop().await;
}

#[tokio::test]
async fn of_each_key_the_newest_record_stays() {
    let builder = Broker::builder().set("log.cleaner.backoff.ms", "1");
    let broker = builder.ephemeral().start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    let (found, updates) = (compacted(&mut client).await, UPDATES);
    assert!(found.is_sorted_by_key(|(offset, _)| *offset));
    assert!(found.iter().all(|(offset, number)| *offset == *number as i64));
    for number in updates - 3..updates {
        assert_eq!(found.iter().filter(|(_, found)| *found == number).count(), 1, "{found:?}");
    }
    let next = client.produce("t", update(0, updates)).await;
    assert_eq!(next.base_offset, updates as i64);
    broker.stop().await;
}
