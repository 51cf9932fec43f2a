//! Makes a topic, says where its partitions are led, and deletes it.
//!
//! `cargo run -p klamm-examples --bin topics -- localhost:9092`
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;

use klamm_client::admin::NewTopic;
use klamm_client::{ClientConfig, Kafka};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "localhost:9092".into());
    let kafka = Kafka::connect(ClientConfig::new(&address)).await?;
    let admin = kafka.admin();

    let topic = NewTopic::new("example-topics").partitions(3).config("retention.ms", "60000");
    for (name, made) in admin.create_topics(&[topic]).await? {
        println!("{name} was made with {} partitions", made?.partitions.unwrap_or(3));
    }
    let names = ["example-topics".into()];
    for (name, topic) in admin.describe_topics(&names).await? {
        for partition in &topic?.partitions {
            let leader = partition.leader.map_or("nobody".into(), |id| format!("broker {id}"));
            println!("{name}-{} is led by {leader}", partition.index);
        }
    }
    for (name, deleted) in admin.delete_topics(&names).await? {
        deleted?;
        println!("{name} was deleted");
    }
    Ok(())
}
