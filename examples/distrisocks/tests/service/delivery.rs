//! From one screen to another.

use std::collections::BTreeSet;

use klamm_consumer::{ConsumeExt as _, Start};
use serde_json::{Value, json};

use crate::harness::{Client, World};

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
    let alone = (&people[0]["username"], &people[0]["last_message"]);
    assert_eq!(alone, (&json!("alice"), &json!("hi")));

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
    world.token("bob").await;
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
    // They wait no more, and whatever else waits does so still.
    let mut arrived = BTreeSet::new();
    while arrived.len() < 2 {
        for record in unsent.next_batch().await.unwrap() {
            let word: Value = serde_json::from_slice(&record.value.unwrap()).unwrap();
            assert_eq!((&word["touser"], &word["fromuser"]), (&json!("bob"), &json!("alice")));
            let ids = word["message_ids"].as_array().unwrap().iter();
            arrived.extend(ids.map(Value::to_string));
        }
    }
    assert_eq!(arrived, records.iter().map(|record| record["message_id"].to_string()).collect());
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

/// It was: what was for nobody was kept for ever, and "Bob" never got what was for "bob".
#[tokio::test]
async fn a_receiver_is_who_has_the_account_however_the_name_is_written() {
    let world = World::start(1).await;
    let mut alice = world.connect("alice", 0).await;
    let mut bob = world.connect("Bob", 0).await;
    alice.write("nobody", "to nobody").await;
    let refused = alice.next().await;
    assert_eq!(
        (&refused["type"], &refused["message"], &refused["client_msg_id"]),
        (&json!("error"), &json!("there is no user called nobody"), &json!("to nobody"))
    );
    alice.write("Alice", "to myself").await;
    assert_eq!(alice.next().await["message"], "reciever_id is sender_id");
    alice.write("bob", "hi").await;
    assert_eq!(alice.status("NONE").await["reciever_id"], "Bob");
    assert_eq!(bob.read().await, "hi");
    alice.status("DELIVERED").await;
    let history = world.get(0, "alice", "/messages?with=BOB").await;
    assert_eq!((history.as_array().unwrap().len(), &history[0]["reciever_id"]), (1, &json!("Bob")));
    world.stop().await;
}

#[tokio::test]
async fn the_senders_other_tab_sees_what_the_first_wrote() {
    let world = World::start(1).await;
    let mut first = world.connect("alice", 0).await;
    let mut second = world.connect("alice", 0).await;
    world.token("bob").await;
    first.write("bob", "hi").await;
    let copy = second.message().await;
    assert_eq!((&copy["message"], &copy["sender_id"]), (&json!("hi"), &json!("alice")));
    assert_eq!(copy["message_id"], first.status("NONE").await["message_id"]);
    world.stop().await;
}

/// It was: pages ended within a millisecond, and the rest of it was never shown.
#[tokio::test]
async fn the_history_goes_on_from_a_cursor() {
    let world = World::start(1).await;
    let mut alice = world.connect("alice", 0).await;
    let mut bob = world.connect("bob", 0).await;
    for text in ["one", "two", "three"] {
        alice.write("bob", text).await;
        assert_eq!(bob.read().await, text);
    }
    let all = world.get(0, "alice", "/messages?with=bob").await;
    let cursor = all[2]["cursor"].as_str().unwrap();
    let before = world.get(0, "alice", &format!("/messages?with=bob&before={cursor}")).await;
    let texts: Vec<_> = before.as_array().unwrap().iter().map(|row| &row["payload"]).collect();
    assert_eq!(texts, ["one", "two"]);
    let url = format!("http://{}/messages?with=bob&before=yesterday", world.pods[0].address());
    let token = world.token("alice").await;
    let answer = world.http.get(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    world.stop().await;
}

/// It was: a client that counted from 1 again after a restart was told that its first message had
/// been delivered, and nobody got it.
#[tokio::test]
async fn an_id_of_the_client_is_that_of_one_message() {
    let world = World::start(1).await;
    let mut alice = world.connect("alice", 0).await;
    let mut bob = world.connect("bob", 0).await;
    let mut carol = world.connect("carol", 0).await;
    let first = async |alice: &mut Client, to: &str, text: &str| {
        let frame = json!({"payload": text, "sender_id": "alice", "reciever_id": to,
            "client_msg_id": "1"});
        alice.send(frame).await;
    };
    first(&mut alice, "bob", "to bob").await;
    assert_eq!(bob.read().await, "to bob");
    let delivered = alice.status("DELIVERED").await;
    // The next day.
    first(&mut alice, "carol", "to carol").await;
    assert_eq!(carol.read().await, "to carol");
    alice.status("DELIVERED").await;
    first(&mut alice, "bob", "something else").await;
    let refused = alice.next().await;
    assert_eq!(
        (&refused["type"], &refused["message"], &refused["client_msg_id"]),
        (&json!("error"), &json!("client_msg_id names another message"), &json!("1"))
    );
    // Sent again, as it was.
    first(&mut alice, "bob", "to bob").await;
    let again = alice.status("DELIVERED").await;
    assert_eq!(again["message_id"], delivered["message_id"]);
    world.stop().await;
}
