//! A member of a group that commits what it has worked on before its partitions go to others.
//! Start it several times and watch the partitions move.
//!
//! `cargo run -p klamm-examples --bin group -- localhost:9092 example-orders`
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{Assignor, ConsumeExt as _, ConsumerEvent, OffsetReset, Position};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "localhost:9092".into());
    let topic = arguments.next().unwrap_or_else(|| "example-orders".into());
    // How many batches to read; without it the program goes on until it is stopped.
    let mut left: u64 = arguments.next().map_or(Ok(u64::MAX), |count| count.parse())?;

    let kafka = Kafka::connect(ClientConfig::new(&address)).await?;
    let mut consumer = kafka
        .consumer()
        .group("example-group")
        .subscribe([topic])
        .assignors([Assignor::CooperativeSticky])
        .auto_offset_reset(OffsetReset::Earliest)
        .auto_commit(false)
        .build()
        .await?;
    let mut events = consumer.events();
    // Worked on and not committed yet, by topic and partition.
    let mut done = HashMap::<_, Position>::new();
    while left > 0 {
        tokio::select! {
            batch = consumer.next_batch() => {
                let batch = batch?;
                let (topic, partition) = (batch.topic(), batch.partition());
                println!("{} records of {topic}-{partition}", batch.records().len());
                done.insert((topic.clone(), partition), batch.end());
                left -= 1;
            }
            Some(event) = events.next() => match event {
                ConsumerEvent::Assigned(places) => println!("got {}", list(&places)),
                ConsumerEvent::Revoking(revocation) => {
                    // They go to others when the revocation is dropped, at the end of this arm.
                    let places = revocation.partitions();
                    println!("giving {} up", list(places));
                    let leaving = places.iter().filter_map(|place| done.remove(place));
                    consumer.commit_offsets(leaving.collect::<Vec<_>>()).await?;
                }
                ConsumerEvent::Lost(places) => done.retain(|place, _| !places.contains(place)),
                _ => {}
            },
        }
    }
    consumer.commit_offsets(done.into_values()).await?;
    consumer.close(Duration::from_secs(30)).await?;
    println!("left the group");
    Ok(())
}

fn list(places: &[(impl std::fmt::Display, i32)]) -> String {
    places.iter().map(|(topic, index)| format!("{topic}-{index}")).collect::<Vec<_>>().join(", ")
}
