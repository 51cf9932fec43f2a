//! From one screen to another.

use klamm_consumer::{ConsumeExt as _, Start};
use serde_json::{Value, json};

use crate::harness::World;

/// The original published to the pod of the sender, never set SENT and never saved NONE.
#[tokio::test]
async fn fault_004_a_message_goes_to_the_pod_of_its_receiver_and_each_step_is_told() {
    let world = World::start(3).await;
    let mut alice = world.connect("alice", 0).await;
    let mut bob = world.connect("bob", 1).await;
    alice.write("bob", "hi").await;
    let none = alice.status("NONE").await;
    assert_eq!(none["client_msg_id"], "hi");
    let id = &none["message_id"];
    let message = bob.message().await;
    let fields = ["message", "reciever_id", "sender_id", "message_id"].map(|name| &message[name]);
    assert_eq!(fields, [&json!("hi"), &json!("bob"), &json!("alice"), id]);
    assert_eq!(&alice.status("SENT").await["message_id"], id);
    bob.send(json!({"type": "ack", "message_id": id})).await;
    assert_eq!(&alice.status("DELIVERED").await["message_id"], id);

    let history = world.get(0, "alice", "/messages?with=bob").await;
    assert_eq!(
        (&history[0]["status"], &history[0]["payload"]),
        (&json!("DELIVERED"), &json!("hi"))
    );
    assert!(history[0]["sent_at"].is_number() && history[0]["delivered_at"].is_number());
    let people = world.get(1, "bob", "/conversations").await;
    assert_eq!((&people[0]["username"], &people[0]["waiting"]), (&json!("alice"), &json!(0)));

    let kafka = world.kafka().await;
    let read = async |topic: &'static str, count: usize| {
        let consumer = kafka.consumer().assign_topic(topic, Start::Earliest).build();
        let (mut consumer, mut values) = (consumer.await.unwrap(), Vec::<Value>::new());
        while values.len() < count {
            let batch = consumer.next_batch().await.unwrap();
            values.extend(
                batch.into_iter().map(|r| serde_json::from_slice(&r.value.unwrap()).unwrap()),
            );
        }
        values
    };
    assert_eq!(read("pod.pod-2", 1).await[0]["message"], "hi");
    let events = read("message-status", 2).await;
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["SET_STATUS_TO_SENT", "SET_STATUS_TO_DELIVERED"]);
    world.stop().await;
}

#[tokio::test]
async fn all_tabs_get_everything_in_order_and_each_once() {
    let world = World::start(2).await;
    let mut alice = world.connect("alice", 0).await;
    let mut tabs = [
        world.connect("bob", 1).await,
        world.connect("bob", 1).await,
        world.connect("bob", 0).await,
    ];
    for n in 0..50 {
        alice.write("bob", &n.to_string()).await;
        if n % 10 == 0 {
            // Sent again, as a page does that heard nothing.
            alice.write("bob", &n.to_string()).await;
        }
    }
    let expected: Vec<_> = (0..50).map(|n| n.to_string()).collect();
    for tab in &mut tabs {
        let mut read = Vec::new();
        while read.len() < expected.len() {
            read.push(tab.read().await);
        }
        assert_eq!(read, expected);
    }
    world.stop().await;
}

/// The original dropped what was for somebody who was away.
#[tokio::test]
async fn fault_004_a_message_for_somebody_away_waits_and_is_known_to_wait() {
    let world = World::start(2).await;
    let mut alice = world.connect("alice", 0).await;
    alice.write("bob", "one").await;
    alice.write("bob", "two").await;
    alice.status("NONE").await;
    let kafka = world.kafka().await;
    let consumer = kafka.consumer().assign_topic(unsent::wire::TOPIC, Start::Earliest).build();
    let mut unsent = consumer.await.unwrap();
    let mut records = Vec::<Value>::new();
    while records.len() < 2 {
        let batch = unsent.next_batch().await.unwrap();
        records
            .extend(batch.into_iter().map(|r| serde_json::from_slice(&r.value.unwrap()).unwrap()));
    }
    assert_eq!((&records[0]["touser"], &records[0]["fromuser"]), (&json!("bob"), &json!("alice")));
    let history = world.get(0, "alice", "/messages?with=bob").await;
    assert_eq!((&history[0]["status"], &history[1]["status"]), (&json!("NONE"), &json!("NONE")));

    let mut bob = world.connect("bob", 1).await;
    assert_eq!([bob.read().await, bob.read().await], ["one", "two"]);
    alice.status("DELIVERED").await;
    alice.status("DELIVERED").await;
    // Nothing waits any more.
    let handed_over = unsent.next_batch().await.unwrap().into_iter().next().unwrap();
    let handed_over: Value = serde_json::from_slice(&handed_over.value.unwrap()).unwrap();
    assert_eq!(handed_over, json!({"touser": "bob", "fromuser": "alice", "upto_offset": null}));
    world.stop().await;
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again() {
    let world = World::start(2).await;
    let mut alice = world.connect("alice", 0).await;
    let mut bob = world.connect("bob", 1).await;
    alice.write("bob", "hi").await;
    bob.message().await;
    bob.close().await;
    let mut bob = world.connect("bob", 0).await;
    assert_eq!(bob.read().await, "hi");
    alice.status("DELIVERED").await;
    bob.close().await;
    alice.write("bob", "later").await;
    let mut bob = world.connect("bob", 1).await;
    assert_eq!(bob.read().await, "later");
    world.stop().await;
}
