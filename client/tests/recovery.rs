//! Clients whose brokers are all gone, and come back elsewhere: behind the same bootstrap address.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may fail")]

mod cluster;

use std::sync::{Arc, Mutex};

use klamm_broker::Broker;
use klamm_broker::faults::{ApiKey, ErrorCode, Fault};
use klamm_client::admin::NewTopic;
use klamm_client::{ClientConfig, CoordinatorKind, Error, Kafka};
use klamm_protocol::wire::Str;
use klamm_utils::task::TaskGroup;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use cluster::eventually;

/// An address that leads to one broker or another.
struct Door {
    address: String,
    behind: Arc<Mutex<String>>,
    tasks: TaskGroup,
}

impl Door {
    async fn to(broker: &Broker) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let behind = Arc::new(Mutex::new(broker.bootstrap()));
        let (tasks, leads_to) = (TaskGroup::new("door"), Arc::clone(&behind));
        let forwarding = tasks.clone();
        tasks.spawn("accept", async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let behind = leads_to.lock().unwrap().clone();
                forwarding.spawn("forward", async move {
                    let Ok(mut broker) = TcpStream::connect(behind).await else { return };
                    // One of them has gone.
                    let _ = copy_bidirectional(&mut client, &mut broker).await;
                });
            }
        });
        Self { address, behind, tasks }
    }

    fn lead_to(&self, broker: &Broker) {
        *self.behind.lock().unwrap() = broker.bootstrap();
    }

    fn config(&self) -> ClientConfig {
        ClientConfig::new(&self.address).set("reconnect.backoff.max.ms", "50")
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

async fn start() -> Broker {
    let broker = Broker::builder().ephemeral().start().await.unwrap();
    let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await.unwrap();
    kafka.admin().create_topics(&[NewTopic::new("orders")]).await.unwrap();
    broker
}

fn knows(kafka: &Kafka, broker: &Broker) -> bool {
    let metadata = kafka.metadata();
    let mut addresses = metadata.brokers.values().map(|broker| &*broker.address);
    addresses.next() == Some(&broker.bootstrap()) && addresses.next().is_none()
}

#[tokio::test]
async fn brokers_that_moved_are_found_by_the_bootstrap_address() {
    let orders = Str::from("orders");
    let (group, kind) = (Str::from("billing"), CoordinatorKind::Group);
    let old = start().await;
    let door = Door::to(&old).await;
    let kafka = Kafka::connect(door.config()).await.unwrap();
    let settled = door.config().set("metadata.recovery.strategy", "none");
    let settled = Kafka::connect(settled).await.unwrap();
    let before = kafka.topic(&orders).await.unwrap().id;
    settled.topic(&orders).await.unwrap();
    assert!(knows(&kafka, &old));
    // Both have a connection to the broker's own address, and know a coordinator.
    for client in [&kafka, &settled] {
        let node = *client.metadata().brokers.keys().next().unwrap();
        assert!(client.broker(node).await.is_ok());
        eventually(async || client.coordinator(kind, &group).await.is_ok()).await;
    }

    old.kill().await;
    let new = start().await;
    door.lead_to(&new);
    // The first to ask may find out by that that its connection is cut.
    eventually(async || kafka.refresh(Some(&[])).await.is_ok()).await;
    assert!(knows(&kafka, &new));
    let topic = kafka.topic_heard_after(&orders, klamm_utils::clock::now()).await.unwrap();
    assert_ne!(topic.id, before, "it was deleted and made again");
    eventually(async || match kafka.coordinator(kind, &group).await {
        Ok(node) => kafka.broker(node).await.is_ok(),
        Err(_) => false,
    })
    .await;

    for _ in 0..5 {
        let error = settled.refresh(Some(&[])).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. } | Error::Disconnected { .. }), "{error}");
    }
    assert!(!knows(&settled, &new));
    new.stop().await;
}

#[tokio::test]
async fn a_coordinator_that_moved_is_found_though_nobody_asks_for_topics() {
    let (group, kind) = (Str::from("billing"), CoordinatorKind::Group);
    let old = start().await;
    let door = Door::to(&old).await;
    let kafka = Kafka::connect(door.config()).await.unwrap();
    let node = *kafka.metadata().brokers.keys().next().unwrap();
    old.kill().await;
    let new = start().await;
    door.lead_to(&new);
    eventually(async || kafka.coordinator(kind, &group).await.ok() == Some(node)).await;
    assert!(knows(&kafka, &new), "the answer told where the coordinator is");
    new.stop().await;
}

#[tokio::test]
async fn a_broker_may_ask_for_a_new_start() {
    let (old, new) = (start().await, start().await);
    let door = Door::to(&old).await;
    let kafka = Kafka::connect(door.config()).await.unwrap();
    let settled = door.config().set("metadata.recovery.strategy", "none");
    let settled = Kafka::connect(settled).await.unwrap();
    door.lead_to(&new);
    let code = ErrorCode::REBOOTSTRAP_REQUIRED;
    old.faults().add(Fault::error(ApiKey::Metadata, code)).unwrap();
    kafka.refresh(Some(&[])).await.unwrap();
    assert!(knows(&kafka, &new));
    let refused = settled.refresh(Some(&[])).await.unwrap_err();
    assert_eq!(refused.code(), Some(code));
    old.stop().await;
    new.stop().await;
}

#[tokio::test]
async fn brokers_that_answer_everything_but_that_are_given_up_in_time() {
    let (old, new) = (start().await, start().await);
    let door = Door::to(&old).await;
    let [impatient, patient] = ["1", "300000"].map(|ms| {
        let config = door.config().set("metadata.recovery.rebootstrap.trigger.ms", ms);
        async { Kafka::connect(config).await.unwrap() }
    });
    let (impatient, patient) = (impatient.await, patient.await);
    door.lead_to(&new);
    let cut = old.faults().add(Fault::hang_up(ApiKey::Metadata)).unwrap();
    eventually(async || impatient.refresh(Some(&[])).await.is_ok()).await;
    assert!(cut.strikes() > 0 && knows(&impatient, &new));
    for _ in 0..5 {
        // Open again, so that what is asked next is asked there.
        let node = *patient.metadata().brokers.keys().next().unwrap();
        patient.broker(node).await.unwrap();
        patient.refresh(Some(&[])).await.unwrap_err();
    }
    old.stop().await;
    new.stop().await;
}
