//! How a program takes a broker that fails: what a test of it would do.
//!
//! `cargo run -p klamm-examples --bin outage`
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::time::Duration;

use klamm_broker::Broker;
use klamm_broker::faults::{ApiKey, ErrorCode, Fault};
use klamm_client::{ClientConfig, Kafka};
use klamm_producer::{ProduceExt as _, Record};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let broker = Broker::builder().ephemeral().start().await?;
    let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await?;
    let producer = kafka.producer().build().await?;
    let send = async |order: &'static str| -> Result<i64, Box<dyn Error>> {
        Ok(producer.send(Record::to("orders").value(order)).await?.offset.unwrap_or(-1))
    };

    // Two requests are refused: the producer tries again.
    let refused = Fault::error(ApiKey::Produce, ErrorCode::NOT_ENOUGH_REPLICAS).topic("orders");
    let refused = broker.faults().add(refused.times(2))?;
    let offset = send("order 1").await?;
    println!("order 1 is at offset {offset}, after {} refusals", refused.strikes());

    // The order is stored and the answer is lost: the producer tries again, and the broker knows
    // the batch.
    let lost = broker.faults().add(Fault::lose_answer(ApiKey::Produce).times(1))?;
    let offset = send("order 2").await?;
    println!("order 2 is at offset {offset}, after {} lost answer", lost.strikes());

    // The broker crashes, and is back at the same address with the same data.
    let broker = broker.kill().await.restart().await?;
    let offset = send("order 3").await?;
    println!("order 3 is at offset {offset}, after a restart");

    producer.close(Duration::from_secs(10)).await?;
    broker.stop().await;
    Ok(())
}
