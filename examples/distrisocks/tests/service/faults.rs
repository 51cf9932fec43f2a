//! What may break, and who may not be believed.

use futures_util::StreamExt as _;
use klamm_producer::{ProduceExt as _, Record};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;

use crate::harness::{World, open, until};

#[tokio::test]
async fn without_the_registry_messages_go_to_all_pods() {
    let world = World::start(2).await;
    let mut alice = world.connect("alice", 0).await;
    let mut bob = world.connect("bob", 1).await;
    world.backends.registry.kv().cut(true);
    for n in 0..5 {
        alice.write("bob", &n.to_string()).await;
        assert_eq!(bob.read().await, n.to_string());
        alice.status("DELIVERED").await;
    }
    world.backends.registry.kv().cut(false);
    alice.write("bob", "back").await;
    assert_eq!(bob.read().await, "back");
    world.stop().await;
}

/// The original's mapping stayed for ever: whoever had been at a pod that died got nothing.
#[tokio::test]
async fn fault_004_what_lies_at_a_dead_pod_arrives_elsewhere_and_once() {
    let world = World::start(2).await;
    let registry = &world.backends.registry;
    // A pod that has died a moment ago: it has a lease, users and a topic, and nobody reads that.
    let kafka = world.kafka().await;
    let producer = kafka.producer().build().await.unwrap();
    let lost = json!({"message": "lost", "reciever_id": "carol", "sender_id": "alice"});
    let record = Record::to("pod.pod-9").key("carol").value(lost.to_string());
    producer.send(record).await.unwrap();
    registry.keep_alive("pod-9").await.unwrap();
    registry.register("bob", "bob-1", "pod-9").await.unwrap();
    let mut alice = world.connect("alice", 0).await;
    alice.write("bob", "to the dead pod").await;
    alice.status("SENT").await;
    let mut bob = world.connect("bob", 1).await;
    let mut carol = world.connect("carol", 1).await;
    assert_eq!(bob.read().await, "to the dead pod");
    alice.status("DELIVERED").await;
    // What was on its way to somebody who came elsewhere is passed on.
    assert_eq!(carol.read().await, "lost");
    until("the dead pod is forgotten", async || {
        let topics = kafka.admin().list_topics().await.unwrap();
        let gone = topics.iter().all(|topic| topic.name.as_str() != "pod.pod-9");
        gone && registry.pods().await.unwrap().dead.is_empty()
    })
    .await;
    alice.write("bob", "after it").await;
    assert_eq!(bob.read().await, "after it", "and the first came once");
    world.stop().await;
}

/// A pod that stops says so; its users go elsewhere, and nothing is lost on the way.
#[tokio::test]
async fn a_pod_that_stops_leaves_nothing_behind() {
    let mut world = World::start(3).await;
    let mut alice = world.connect("alice", 0).await;
    let mut bob = world.connect("bob", 1).await;
    for n in 0..20 {
        alice.write("bob", &n.to_string()).await;
    }
    let first = bob.read().await;
    world.pods.remove(1).stop().await.unwrap();
    let closed = async {
        loop {
            match bob.socket.next().await {
                Some(Ok(tungstenite::Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                other => panic!("it is closed properly, not {other:?}"),
            }
        }
    };
    assert_eq!(u16::from(closed.await.unwrap().code), 1001);
    let mut bob = world.connect("bob", 1).await;
    let mut read = vec![first];
    while read.len() < 20 {
        let text = bob.read().await;
        if !read.contains(&text) {
            read.push(text);
        }
    }
    let expected: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(read, expected);
    world.stop().await;
}

/// The original's read loop went on for ever after an error.
#[tokio::test]
async fn fault_004_a_socket_that_ends_is_forgotten_and_rubbish_ends_none() {
    let world = World::start(1).await;
    let mut alice = world.connect("alice", 0).await;
    for rubbish in [json!("text"), json!({"type": "unheard-of"}), json!([1, 2])] {
        alice.send(rubbish).await;
        assert_eq!(alice.next().await["type"], "error");
    }
    let forged = json!({"payload": "hi", "sender_id": "bob", "reciever_id": "carol"});
    alice.send(forged).await;
    assert_eq!(alice.next().await["message"], "sender_id is not who you are");
    let long = json!({"payload": "x".repeat(4_001), "sender_id": "alice", "reciever_id": "bob"});
    alice.send(long).await;
    assert_eq!(alice.next().await["type"], "error");
    drop(alice);
    until("nobody is there", async || {
        let pods: Value = world.get(0, "bob", "/pods").await;
        pods["pods"][0]["users"] == json!([])
    })
    .await;
    assert!(world.backends.registry.pods_of("alice").await.unwrap().is_empty());
    world.stop().await;
}

/// The original's claims were always empty, so anybody was everybody.
#[tokio::test]
async fn fault_004_only_who_is_logged_in_gets_a_socket() {
    let world = World::start(1).await;
    let address = world.pods[0].address();
    let refused = async |token: Option<&str>, headers: &[(&'static str, &str)]| match open(
        address, token, headers,
    )
    .await
    {
        Err(tungstenite::Error::Http(answer)) => answer.status().as_u16(),
        other => panic!("it is refused, not {other:?}"),
    };
    assert_eq!(refused(None, &[]).await, 401);
    assert_eq!(refused(Some("rubbish"), &[]).await, 401);
    let token = world.token("alice").await;
    assert_eq!(refused(Some(&token), &[("origin", "http://evil.example")]).await, 403);
    let own = open(address, Some(&token), &[("origin", "http://localhost:8080")]).await;
    assert!(own.is_ok());
    world.stop().await;
}
