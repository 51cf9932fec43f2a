//! Compaction of a topic while it is in use, through real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use klamm_broker::Broker;
use klamm_protocol::records::{BatchBuilder, BatchOptions, batches};
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

#[tokio::test]
async fn of_each_key_the_newest_record_stays() {
    let builder = Broker::builder().set("log.cleaner.backoff.ms", "1");
    let broker = builder.ephemeral().start().await.unwrap();
    let mut client = Client::connect(&broker).await;
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    client.create_topic("t", 1, &configs).await;
    let updates = 26;
    for number in 0..updates {
        client.produce("t", update(number as u8 % 3, number)).await;
    }
    // Five updates fill a segment; those of the active one stay, and of the others one for each key.
    let compacted = async {
        loop {
            let found = read_all(&mut client, "t").await;
            if found.len() <= 3 + 5 {
                return found;
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), compacted).await.unwrap();
    assert!(found.is_sorted_by_key(|(offset, _)| *offset));
    assert!(found.iter().all(|(offset, number)| *offset == *number as i64));
    for number in updates - 3..updates {
        assert_eq!(found.iter().filter(|(_, found)| *found == number).count(), 1, "{found:?}");
    }
    let next = client.produce("t", update(0, updates)).await;
    assert_eq!(next.base_offset, updates as i64);
    broker.stop().await;
}
