//! What may break, and who may not be believed.

use std::time::Duration;

use common::db::Database;
use common::registry::Registry;
use distrisocks::pod::{Backends, Settings};
use distrisocks::status::Status;
use distrisocks::store::{Message, Store};
use distrisocks::wire::{STATUS_TOPIC, StatusEvent};
use futures_util::StreamExt as _;
use klamm_producer::{ProduceExt as _, Record};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;

use crate::gate::Gate;
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
    world.token("bob").await;
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
    // The token would be good for minutes still.
    let auth = &world.backends.auth;
    auth.logout_everywhere(auth.verify(&token).unwrap().user_id).await.unwrap();
    assert_eq!(refused(Some(&token), &[]).await, 401);
    world.stop().await;
}

/// It was: the first pod that saw the registry again took all others for dead, deleted their topics
/// and forgot them.
#[tokio::test]
async fn a_registry_that_was_away_kills_no_pod() {
    let mut world = World::start(0).await;
    let lease = Duration::from_secs(1);
    world.backends.registry = world.backends.registry.clone().with_lease(lease);
    for pod in ["pod-1", "pod-2", "pod-3"] {
        let pod = world.pod(pod).await;
        world.pods.push(pod);
    }
    let kafka = world.kafka().await;
    let topics = async || {
        let topics = kafka.admin().list_topics().await.unwrap();
        let of_pods = topics.iter().filter(|topic| topic.name.as_str().starts_with("pod."));
        of_pods.map(|topic| (topic.name.to_string(), topic.id)).collect::<Vec<_>>()
    };
    let before = topics().await;
    assert_eq!(before.len(), 3);
    let mut alice = world.connect("alice", 0).await;
    let mut bob = world.connect("bob", 1).await;
    let registry = &world.backends.registry;
    registry.kv().cut(true);
    // This is how long it is away: all leases run out.
    tokio::time::sleep(2 * lease).await;
    registry.kv().cut(false);
    until("all live again", async || registry.pods().await.unwrap().living.len() == 3).await;
    until("bob is found", async || !registry.pods_of("bob").await.unwrap().is_empty()).await;
    alice.write("bob", "hi").await;
    assert_eq!(bob.read().await, "hi");
    alice.status("DELIVERED").await;
    assert_eq!(topics().await, before, "nobody's topic was deleted");
    world.stop().await;
}

/// It was: it stayed unknown as long as it was open, and got everything half a minute late.
#[tokio::test]
async fn who_came_while_the_registry_was_away_is_known_when_it_is_back() {
    let world = World::start(2).await;
    let registry = &world.backends.registry;
    registry.kv().cut(true);
    let _bob = world.connect("bob", 1).await;
    registry.kv().cut(false);
    until("bob is known", async || {
        registry.pods_of("bob").await.unwrap() == ["pod-2".to_owned()].into()
    })
    .await;
    // Nor does a word too many make him unknown.
    registry.correct("bob", "pod-2").await.unwrap();
    until("bob is known", async || !registry.pods_of("bob").await.unwrap().is_empty()).await;
    world.stop().await;
}

/// It was: a phone that had lost its network stayed there until TCP gave it up.
#[tokio::test]
async fn a_socket_whose_other_side_is_gone_is_closed() {
    let mut world = World::start(0).await;
    let often = Settings { ping_every: Duration::from_millis(100), ..world.settings("pod-1") };
    let pod = world.pod_with(often).await;
    world.pods.push(pod);
    // Who does not read does not answer a ping.
    let _gone = world.connect("bob", 0).await;
    until("bob is gone", async || {
        let pods = world.get(0, "alice", "/pods").await;
        pods["pods"][0]["users"] == json!([])
    })
    .await;
    world.stop().await;
}

/// It was: what a pod had saved and not published waited for the next look of its receiver.
#[tokio::test]
async fn what_a_dead_pod_has_not_published_is_asked_for() {
    let mut world = World::start(0).await;
    let rarely = Settings { again_after: Duration::from_secs(3_600), ..world.settings("pod-1") };
    let pod = world.pod_with(rarely).await;
    world.pods.push(pod);
    let mut bob = world.connect("bob", 0).await;
    // Once this has come, bob's socket has asked, and does not do so again for an hour.
    let mut alice = world.connect("alice", 0).await;
    alice.write("bob", "first").await;
    assert_eq!(bob.read().await, "first");
    let message = Message {
        message_id: uuid::Uuid::now_v7(),
        sender_id: "alice".into(),
        reciever_id: "bob".into(),
        payload: "saved".into(),
        status: 0,
        placed_us: 1,
        sent_at: None,
        delivered_at: None,
    };
    let Backends { database, registry, .. } = &world.backends;
    Store::new(database.clone()).save(&[message]).await.unwrap();
    // The pod that has saved it lived a moment ago.
    let short: Registry = registry.clone().with_lease(Duration::from_millis(100));
    short.keep_alive("pod-9").await.unwrap();
    assert_eq!(bob.read().await, "saved");
    world.stop().await;
}

/// It was: a topic that takes nothing held up all receivers of a worker, for ever.
#[tokio::test]
async fn a_topic_that_takes_nothing_is_gone_round() {
    let world = World::start(1).await;
    let registry = &world.backends.registry;
    world.token("carol").await;
    // No topic may be called so.
    let lasts = registry.clone().with_lease(Duration::from_secs(3_600));
    lasts.keep_alive("no/pod").await.unwrap();
    registry.register("carol", "carol-1", "no/pod").await.unwrap();
    let mut alice = world.connect("alice", 0).await;
    let mut bob = world.connect("bob", 0).await;
    alice.write("carol", "to carol").await;
    alice.write("bob", "to bob").await;
    assert_eq!(bob.read().await, "to bob");
    let mut sent = Vec::new();
    while sent.len() < 2 {
        sent.push(alice.status("SENT").await["reciever_id"].clone());
    }
    sent.sort_by_key(Value::to_string);
    assert_eq!(sent, [json!("bob"), json!("carol")]);
    world.stop().await;
}

/// It was: whoever was logged in saw who wrote to whom.
#[tokio::test]
async fn who_wrote_to_whom_is_for_these_two() {
    let mut world = World::start(0).await;
    let in_use = Settings { dev_mode: false, ..world.settings("pod-1") };
    let pod = world.pod_with(in_use).await;
    world.pods.push(pod);
    let mut alice = world.connect("alice", 0).await;
    let mut bob = world.connect("bob", 0).await;
    alice.write("bob", "hi").await;
    assert_eq!(bob.read().await, "hi");
    let hops = async |who| {
        let pods = world.get(0, who, "/pods").await;
        assert_eq!(pods["pods"][0]["users"], json!([]));
        pods["hops"].as_array().unwrap().len()
    };
    assert_eq!([hops("alice").await, hops("bob").await, hops("mallory").await], [1, 1, 0]);
    world.stop().await;
}

/// It was: statuses were followed from the end of their topic, wherever that was when it was found
/// out; what was told before stayed unknown to pages that were open already.
#[tokio::test]
async fn what_was_told_before_a_pod_follows_statuses_reaches_its_pages() {
    let mut world = World::start(0).await;
    let gate = Gate::closed().await;
    let settings = Settings { kafka: gate.address(), ..world.settings("pod-1") };
    let pod = distrisocks::pod::start(settings, world.backends.clone()).await.unwrap();
    world.pods.push(pod);
    let mut alice = world.connect("alice", 0).await;
    let id = uuid::Uuid::now_v7();
    let event = StatusEvent {
        event: Status::Delivered.event().unwrap().into(),
        message_id: id,
        sender_id: "alice".into(),
        reciever_id: "bob".into(),
        status: Status::Delivered,
        at: 7,
    };
    let producer = world.kafka().await.producer().build().await.unwrap();
    let record = Record::to(STATUS_TOPIC).key(id.to_string());
    producer.send(record.value(serde_json::to_vec(&event).unwrap())).await.unwrap();
    let gate = gate.open(&world.broker);
    assert_eq!(alice.status("DELIVERED").await["message_id"], json!(id));
    gate.stop();
    world.stop().await;
}

/// It was: each of them was to be written down, and who sent many held up everybody's statuses.
#[tokio::test]
async fn acknowledgements_of_what_was_never_sent_are_left_out() {
    let world = World::start(1).await;
    let mut mallory = world.connect("mallory", 0).await;
    let Database::Sqlite(pool, _) = &world.backends.database else { panic!("it is SQLite") };
    let nobody_writes = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    for _ in 0..5_000 {
        mallory.send(json!({"type": "ack", "message_id": uuid::Uuid::now_v7()})).await;
    }
    mallory.send(json!({"type": "ping"})).await;
    while mallory.next().await["type"] != "pong" {}
    nobody_writes.rollback().await.unwrap();
    world.stop().await;
}

/// It was: each of them asked the database, however many there were.
#[tokio::test]
async fn new_tokens_are_taken_now_and_then() {
    let world = World::start(1).await;
    let mut mallory = world.connect("mallory", 0).await;
    let token = world.token("mallory").await;
    for _ in 0..100 {
        mallory.send(json!({"type": "auth", "token": token})).await;
    }
    mallory.send(json!({"type": "ping"})).await;
    let mut refused = 0;
    loop {
        let frame = mallory.next().await;
        match frame["type"].as_str() {
            Some("pong") => break,
            Some("error") if frame["message"].as_str().unwrap().starts_with("too fast") => {
                refused += 1
            }
            _ => {}
        }
    }
    assert!(refused > 50, "{refused}");
    world.stop().await;
}

/// It was said in words alone: pages gave such messages up, and what came behind them overtook them.
#[tokio::test]
async fn who_writes_too_fast_is_told_when_to_go_on() {
    let mut world = World::start(0).await;
    let settings = Settings { messages_per_second: 1, ..world.settings("pod-1") };
    world.pods.push(world.pod_with(settings).await);
    world.token("bob").await;
    let mut alice = world.connect("alice", 0).await;
    for n in 0..20 {
        alice.write("bob", &n.to_string()).await;
    }
    let refused = loop {
        let frame = alice.next().await;
        if frame["type"] == "error" {
            break frame;
        }
    };
    assert!(refused["client_msg_id"].is_string(), "{refused}");
    assert!(refused["retry_ms"].as_u64().unwrap() <= 1_000, "{refused}");
    // What is wrong with another one does not get better.
    alice.send(json!({"payload": "hi", "sender_id": "eve", "reciever_id": "bob"})).await;
    let wrong = loop {
        let frame = alice.next().await;
        if frame["message"] == "sender_id is not who you are" {
            break frame;
        }
    };
    assert!(wrong["retry_ms"].is_null(), "{wrong}");
    world.stop().await;
}
