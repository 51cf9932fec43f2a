//! A broker, a producer and a consumer in one process, as a test would have them.
//!
//! `cargo run -p klamm-examples --bin embedded`
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::time::Duration;

use klamm_broker::Broker;
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{ConsumeExt as _, Start};
use klamm_producer::{ProduceExt as _, Record};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Free ports, and a folder that goes with the broker.
    let broker = Broker::builder().ephemeral().start().await?;
    let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await?;

    let producer = kafka.producer().build().await?;
    for number in 0..3 {
        let value = format!("order {number}");
        let stored = producer.send(Record::to("orders").key("customer 7").value(value)).await?;
        println!("stored at offset {}", stored.offset.unwrap_or(-1));
    }
    producer.close(Duration::from_secs(10)).await?;

    let mut consumer = kafka.consumer().assign_topic("orders", Start::Earliest).build().await?;
    let mut seen = 0;
    while seen < 3 {
        let batch = consumer.next_batch().await?;
        for record in &batch {
            let value = record.value.as_deref().unwrap_or_default();
            println!("read {} at offset {}", String::from_utf8_lossy(value), record.offset);
            seen += 1;
        }
    }

    broker.stop().await;
    Ok(())
}
