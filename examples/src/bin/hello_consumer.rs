//! Reads a topic as a member of a group, and goes on where the group has stopped.
//!
//! `cargo run -p klamm-examples --bin hello_consumer -- localhost:9092 example-hello`
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::time::Duration;

use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{ConsumeExt as _, OffsetReset};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "localhost:9092".into());
    let topic = arguments.next().unwrap_or_else(|| "example-hello".into());
    // How many records to read; without it the program goes on until it is stopped.
    let mut left: usize = arguments.next().map_or(Ok(usize::MAX), |count| count.parse())?;

    let kafka = Kafka::connect(ClientConfig::new(&address).client_id("hello")).await?;
    let mut consumer = kafka
        .consumer()
        // Start the program twice: the members of a group share the partitions of its topics.
        .group("example-hello")
        .subscribe([topic])
        // Where to begin in a partition of which the group has not committed anything.
        .auto_offset_reset(OffsetReset::Earliest)
        .build()
        .await?;

    while left > 0 {
        // A batch is of one partition. To ask for the next one says that this one is done: it
        // is committed in the background, every five seconds, unless `auto_commit` is off.
        let batch = consumer.next_batch().await?;
        for record in &batch {
            // A record without a value is a tombstone: its key is to be forgotten.
            let value = record.value.as_deref().unwrap_or(b"(nothing)");
            let value = String::from_utf8_lossy(value);
            println!("{}-{} at {}: {value}", batch.topic(), batch.partition(), record.offset);
        }
        left = left.saturating_sub(batch.records().len());
    }

    // Commits what was read, and leaves the group at once, so that others take over.
    consumer.close(Duration::from_secs(30)).await?;
    Ok(())
}
