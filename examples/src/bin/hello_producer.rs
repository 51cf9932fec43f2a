//! Sends three records, and says where each was stored.
//!
//! `cargo run -p klamm-examples --bin hello_producer -- localhost:9092 example-hello`
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::time::Duration;

use klamm_client::{ClientConfig, Kafka};
use klamm_producer::{ProduceExt as _, Record};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "localhost:9092".into());
    let topic = arguments.next().unwrap_or_else(|| "example-hello".into());

    // One client for the whole program: everything made from it shares its connections.
    let kafka = Kafka::connect(ClientConfig::new(&address).client_id("hello")).await?;
    let producer = kafka.producer().build().await?;

    // Records with the same key go to the same partition, in the order in which they were sent.
    for name in ["Ada", "Grace", "Ada"] {
        let record = Record::to(topic.as_str()).key(name).value(format!("hello, {name}"));
        // `send` returns once the record is stored as safely as `acks` asks: everywhere, unless
        // it is set otherwise. What fails and may pass is tried again meanwhile.
        let stored = producer.send(record).await?;
        let offset = stored.offset.unwrap_or(-1);
        println!("stored in {}-{} at offset {offset}", stored.topic, stored.partition);
    }

    // Who has many records does not wait for each: `enqueue` returns as soon as there is room,
    // and what it gives can be awaited later.
    let record = Record::to(topic.as_str()).value("hello, everybody").header("language", "en");
    let delivery = producer.enqueue(record).await?;
    let stored = delivery.await?;
    println!("stored in {}-{}, without a key", stored.topic, stored.partition);

    // Sends what is left. A producer that is dropped does so, too, but tells nobody how it went.
    producer.close(Duration::from_secs(30)).await?;
    Ok(())
}
