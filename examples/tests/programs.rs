//! Every program runs and says what it should.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::process::Command;

use klamm_broker::Broker;
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{ConsumeExt as _, IsolationLevel, Start};
use klamm_producer::{ProduceExt as _, Record};

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn embedded() {
    let said = output(env!("CARGO_BIN_EXE_embedded"), &[]);
    assert!(said.ends_with("read order 2 at offset 2\n"), "{said}");
}

#[test]
fn outage() {
    let said = output(env!("CARGO_BIN_EXE_outage"), &[]);
    let wanted = [
        "order 1 is at offset 0, after 2 refusals\n",
        "order 2 is at offset 1, after 1 lost answer\n",
        "order 3 is at offset 2, after a restart\n",
    ];
    assert_eq!(said, wanted.concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn group() {
    let broker = Broker::builder().ephemeral().set("group.initial.rebalance.delay.ms", "0");
    let broker = broker.start().await.unwrap();
    let address = broker.bootstrap();
    let kafka = Kafka::connect(ClientConfig::new(&address)).await.unwrap();
    let producer = kafka.producer().build().await.unwrap();
    producer.send(Record::to("example-orders").value("one")).await.unwrap();
    let said = tokio::task::spawn_blocking(move || {
        output(env!("CARGO_BIN_EXE_group"), &[&address, "example-orders", "1"])
    });
    let said = said.await.unwrap();
    assert!(said.contains("1 records of example-orders-0\n"), "{said}");
    assert!(said.ends_with("left the group\n"), "{said}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_once() {
    let broker = Broker::builder().ephemeral().set("group.initial.rebalance.delay.ms", "0");
    let broker = broker.start().await.unwrap();
    let address = broker.bootstrap();
    let kafka = Kafka::connect(ClientConfig::new(&address)).await.unwrap();
    let producer = kafka.producer().build().await.unwrap();
    // Each copier goes on where the last one has committed.
    for order in ["one", "two"] {
        producer.send(Record::to("orders").value(order)).await.unwrap();
        let address = address.clone();
        let copier = tokio::task::spawn_blocking(move || {
            output(env!("CARGO_BIN_EXE_exactly_once"), &[&address, "orders", "copies", "1", "1"])
        });
        assert_eq!(copier.await.unwrap(), "copied 1 records of orders-0\n");
    }
    let copies = kafka.consumer().assign("copies", 0, Start::Earliest);
    let mut copies = copies.isolation_level(IsolationLevel::ReadCommitted).build().await.unwrap();
    for order in ["one", "two"] {
        let batch = copies.next_batch().await.unwrap();
        assert_eq!(batch.records()[0].value.as_deref(), Some(order.as_bytes()));
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn admin() {
    let broker = Broker::builder().ephemeral().start().await.unwrap();
    let address = broker.bootstrap();
    let said = tokio::task::spawn_blocking(move || {
        output(env!("CARGO_BIN_EXE_admin"), &[address.as_str()])
    });
    let said = said.await.unwrap();
    assert!(said.starts_with("example-topics was made with 3 partitions\n"), "{said}");
    assert!(said.contains("records are kept for 3600000 ms\n"), "{said}");
    assert!(said.ends_with("example-topics was deleted\n"), "{said}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hello() {
    let broker = Broker::builder().ephemeral().set("group.initial.rebalance.delay.ms", "0");
    let broker = broker.start().await.unwrap();
    let address = broker.bootstrap();
    let said = tokio::task::spawn_blocking(move || {
        let sent = output(env!("CARGO_BIN_EXE_hello_producer"), &[&address, "hello"]);
        (sent, output(env!("CARGO_BIN_EXE_hello_consumer"), &[&address, "hello", "4"]))
    });
    let (sent, read) = said.await.unwrap();
    assert!(sent.starts_with("stored in hello-0 at offset 0\n"), "{sent}");
    let greetings: Vec<_> = read.lines().map(|line| line.split(": ").last().unwrap()).collect();
    assert_eq!(greetings, ["hello, Ada", "hello, Grace", "hello, Ada", "hello, everybody"]);
    broker.stop().await;
}
