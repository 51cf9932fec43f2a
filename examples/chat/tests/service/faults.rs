//! The faults of the original, each as a test that it has not come back.

use std::collections::HashSet;

use klamm_client::admin::NewTopic;
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{ConsumeExt as _, OffsetReset, Start};
use klamm_producer::{ProduceExt as _, Record};
use serde_json::json;

use crate::set::Set;

/// The original had no message key, and one reader task for each room on one shared channel.
#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_a_room_is_the_same_for_everyone() {
    let set = Set::start().await;
    let (mut alice, mut bob) = (set.page(0, "alice").await, set.page(1, "bob").await);
    alice.join("a").await;
    bob.join("a").await;
    for number in 0..20 {
        alice.send("a", &number.to_string(), &format!("alice {number}")).await;
        bob.send("a", &number.to_string(), &format!("bob {number}")).await;
    }
    let mut seen = Vec::new();
    for page in [&mut alice, &mut bob] {
        let mut order = Vec::new();
        for _ in 0..40 {
            let message = page.hear("chat_message").await;
            order.push((message["content"].to_string(), message["offset"].as_i64().unwrap()));
        }
        assert!(order.is_sorted_by_key(|(_, offset)| *offset));
        seen.push(order);
    }
    assert_eq!(seen[0], seen[1]);
    set.stop().await;
}

/// The original committed before it wrote, and the last one or two messages were never written.
#[tokio::test(flavor = "multi_thread")]
async fn a_single_message_is_written_and_a_restart_of_the_writer_loses_and_doubles_nothing() {
    let mut set = Set::start().await;
    let mut alice = set.page(0, "alice").await;
    alice.join("a").await;
    alice.send("a", "0", "first").await;
    assert_eq!(set.wait_for_rows("a", 1).await[0].0, "first");
    set.persister.take().unwrap().stop().await.unwrap();
    alice.send("a", "1", "while the writer was away").await;
    alice.hear("message_ack").await;
    // Two writers at once: one row of each message all the same.
    set.start_persister().await;
    let first = set.persister.take().unwrap();
    set.start_persister().await;
    for number in 2..50 {
        alice.send("a", &number.to_string(), &format!("{number}")).await;
    }
    assert_eq!(set.wait_for_rows("a", 50).await.len(), 50);
    first.stop().await.unwrap();
    set.stop().await;
}

/// The original's column took 100 characters, and the insert failed for more.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_text_is_stored_and_a_longer_one_refused() {
    let set = Set::start().await;
    let mut alice = set.page(0, "alice").await;
    alice.join("a").await;
    let long = "語".repeat(4_000);
    alice.send("a", "0", &long).await;
    alice.hear("message_ack").await;
    assert_eq!(set.wait_for_rows("a", 1).await[0].0, long);
    for (id, content) in [("1", "x".repeat(4_001)), ("2", "a\0b".into()), ("3", " ".into())] {
        alice.send("a", id, &content).await;
        let failed = alice.hear("message_failed").await;
        assert_eq!((&failed["client_msg_id"], &failed["retryable"]), (&json!(id), &json!(false)));
    }
    set.stop().await;
}

/// In the original a second tab took the place of the first, and leaving was not announced.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_tab_gets_everything_too_and_only_the_last_one_leaves() {
    let set = Set::start().await;
    let mut bob = set.page(0, "bob").await;
    bob.join("a").await;
    let (mut one, mut two) = (set.page(0, "alice").await, set.page(0, "alice").await);
    one.join("a").await;
    two.join("a").await;
    bob.send("a", "0", "to both").await;
    one.hears("to both").await;
    two.hears("to both").await;
    bob.hears_of("member_joined", "alice").await;
    drop(one);
    // Its end is noticed before this is sent.
    while !set.metrics(0).await.contains("ws_connections 2") {}
    two.send("a", "1", "still here").await;
    loop {
        let frame = bob.next().await;
        assert_ne!(frame["type"], "member_left", "{frame}");
        if frame["content"] == "still here" {
            break;
        }
    }
    drop(two);
    bob.hears_of("member_left", "alice").await;
    set.stop().await;
}

/// The original had no history after a reload, and showed the time of the rendering.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_shows_the_history_and_its_times_even_before_it_is_written() {
    let mut set = Set::start().await;
    set.persister.take().unwrap().stop().await.unwrap();
    let mut alice = set.page(0, "alice").await;
    alice.join("a").await;
    alice.send("a", "0", "hi").await;
    let shown = alice.hears("hi").await;
    let token = set.token(0, "alice").await;
    let history = set.get(0, "/api/rooms/a/messages", &token).await.body;
    assert_eq!(history["messages"][0]["content"], "hi");
    assert_eq!(history["messages"][0]["created_at"], shown["created_at"]);
    set.stop().await;
}

/// A record that is no message goes aside, and those behind it are written.
#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_record_holds_nothing_up() {
    let set = Set::start().await;
    let kafka = Kafka::connect(ClientConfig::new(&set.kafka)).await.unwrap();
    let producer = kafka.producer().build().await.unwrap();
    let letters = NewTopic::new("chat_messages.dlq").partitions(1);
    kafka.admin().create_topics(&[letters]).await.unwrap();
    for partition in 0..12 {
        let poison = Record::to("chat_messages").partition(partition).value("{not json");
        producer.send(poison).await.unwrap();
    }
    let mut alice = set.page(0, "alice").await;
    alice.join("a").await;
    alice.send("a", "0", "behind it").await;
    alice.hears("behind it").await;
    assert_eq!(set.wait_for_rows("a", 1).await[0].0, "behind it");
    let letters = kafka.consumer().auto_offset_reset(OffsetReset::Earliest);
    let letters = letters.assign("chat_messages.dlq", 0, Start::Offset(0));
    let mut letters = letters.build().await.unwrap();
    let mut from = HashSet::new();
    while from.len() < 12 {
        for letter in letters.next_batch().await.unwrap().records() {
            assert_eq!(letter.value.as_deref(), Some(&b"{not json"[..]));
            let header = |name: &[u8]| {
                let found = letter.headers.iter().find(|header| header.key[..] == *name).unwrap();
                String::from_utf8(found.value.as_deref().unwrap().to_vec()).unwrap()
            };
            assert!(header(b"x-error").starts_with("not a message"));
            assert_eq!(header(b"x-source-offset"), "0");
            from.insert(header(b"x-source-partition"));
        }
    }
    set.stop().await;
}

/// A batch of the log was once put before pages faster than any page could take it.
#[tokio::test(flavor = "multi_thread")]
async fn a_rush_is_no_reason_to_call_a_page_slow() {
    let set = Set::start().await;
    let mut bob = set.page(1, "bob").await;
    bob.join("a").await;
    let kafka = Kafka::connect(ClientConfig::new(&set.kafka)).await.unwrap();
    let producer = kafka.producer().build().await.unwrap();
    let record = |number: u128| {
        let message = json!({
            "id": uuid::Uuid::from_u128(number), "room": "a", "sender": uuid::Uuid::nil(),
            "senderName": "alice", "content": number.to_string(), "server": "Asia", "created_at": 1,
        });
        Record::to("chat_messages").partition(0).value(message.to_string())
    };
    for stored in producer.send_all((0..2_000).map(record)).await {
        stored.unwrap();
    }
    for number in 0..2_000 {
        bob.hears(&number.to_string()).await;
    }
    set.stop().await;
}
