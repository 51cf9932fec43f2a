//! Makes a topic, says where its partitions are led, changes a setting, looks at the groups, and
//! deletes the topic.
//!
//! `cargo run -p klamm-examples --bin admin -- localhost:9092`
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;

use klamm_client::admin::{Change, NewTopic, OffsetSpec, Resource};
use klamm_client::{ClientConfig, Kafka};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "localhost:9092".into());
    let kafka = Kafka::connect(ClientConfig::new(&address)).await?;
    let admin = kafka.admin();

    // Calls take many items and give a result for each: one that fails does not hide the others.
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

    let resource = Resource::Topic("example-topics".into());
    let change = Change::Set("retention.ms".into(), "3600000".into());
    for (_, changed) in admin.incremental_alter_configs(&[(resource.clone(), vec![change])]).await?
    {
        changed?;
    }
    for (_, described) in admin.describe_configs(&[resource]).await? {
        let entry = described?.into_iter().find(|entry| entry.name == "retention.ms");
        let value = entry.and_then(|entry| entry.value);
        println!("records are kept for {} ms", value.as_deref().unwrap_or("?"));
    }

    let ends = [("example-topics".into(), 0, OffsetSpec::Latest)];
    for ((name, partition), found) in admin.list_offsets(&ends).await? {
        println!("{name}-{partition} ends at {}", found?.offset.unwrap_or(0));
    }
    for (broker, groups) in admin.list_groups(&[], &[]).await? {
        println!("broker {broker} coordinates {} groups", groups?.len());
    }

    for (name, deleted) in admin.delete_topics(&names).await? {
        deleted?;
        println!("{name} was deleted");
    }
    Ok(())
}
