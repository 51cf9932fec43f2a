//! What is asked over HTTP, and answered.

use common::kv::Stores;
use futures_util::StreamExt as _;
use klamm_broker::Broker;
use klamm_consumer::{ConsumeExt as _, Start};
use serde_json::json;
use unsent::producer::Access;
use unsent::wire::{TOPIC, partition_of};

use crate::content::content;
use crate::gate::Gate;
use crate::harness::{Service, settings};

#[tokio::test]
async fn who_wrote_is_known_until_it_is_handed_over() {
    let service = Service::start().await;
    let consumer = service.consumer("one").await;
    let first = service.write("alice", "bob", "hi").await;
    assert_eq!(first["partition"], partition_of("bob", 4));
    service.write("carol", "bob", "lunch?").await;
    service.write("alice", "bob", "are you there?").await;
    service.write("alice", "bob", "are you there?").await;
    service.write("alice", "dave", "hello").await;

    let unsent = service.expect("bob", &[("alice", 2), ("carol", 1)]).await;
    assert_eq!((unsent.total, unsent.source.as_str()), (3, "aux"));
    assert_eq!(unsent.senders[0].preview, "are you there?");
    assert!(unsent.senders[0].first_at <= unsent.senders[0].last_at);
    let (_, texts) = service.get("/users/bob/unsent/alice").await;
    let texts: Vec<serde_json::Value> = serde_json::from_str(&texts).unwrap();
    let texts: Vec<_> = texts.iter().map(|text| text["message"].as_str().unwrap()).collect();
    assert_eq!(texts, ["hi", "are you there?"]);

    let upto = json!({"upto_offset": first["offset"]});
    assert_eq!(service.post("/users/bob/unsent/alice/ack", &upto).await.0, 202);
    service.expect("bob", &[("alice", 1), ("carol", 1)]).await;
    let delete = service.http.delete(service.url("/users/bob/unsent/alice")).send().await.unwrap();
    assert_eq!(delete.status(), 202);
    service.expect("bob", &[("carol", 1)]).await;
    service.expect("dave", &[("alice", 1)]).await;
    // The mapping of the original, as `redis-cli smembers unsent:{bob}` shows it.
    let senders = service.stores.master.members("unsent:{bob}").await.unwrap();
    assert_eq!(senders, ["carol".to_owned()].into());
    // Of several some have arrived; who has nothing waiting leaves nothing behind.
    service.write("carol", "bob", "tomorrow?").await;
    let arrived = json!({"message_ids": ["lunch?"]});
    assert_eq!(service.post("/users/bob/unsent/carol/ack", &arrived).await.0, 202);
    let unsent = service.expect("bob", &[("carol", 1)]).await;
    assert_eq!(unsent.senders[0].preview, "tomorrow?");
    let delete = service.http.delete(service.url("/users/bob/unsent/carol")).send().await.unwrap();
    assert_eq!(delete.status(), 202);
    service
        .until("nothing is left of bob", async || {
            let left = content(&service.stores.master).await;
            !left.values().any(|fields| fields.contains_key("bob") || fields.contains_key("carol"))
        })
        .await;
    consumer.stop().await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn batches_are_taken_whole_and_what_is_wrong_is_refused() {
    let service = Service::start().await;
    let consumer = service.consumer("one").await;
    let message = |n: u32| json!({"toUser": "bob", "from_user": "alice", "message": n.to_string()});
    let batch: Vec<_> = (0..1_000).map(message).collect();
    let (status, outcomes) = service.post("/messages/batch", &json!(batch)).await;
    assert_eq!((status, outcomes.as_array().unwrap().len()), (202, 1_000));
    assert!(outcomes[999]["offset"].is_number());
    service.expect("bob", &[("alice", 1_000)]).await;
    // The newest texts are kept, and the older ones counted.
    let (_, texts) = service.get("/users/bob/unsent/alice").await;
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&texts).unwrap().len(), 100);

    let batch: Vec<_> = (0..1_001).map(message).collect();
    assert_eq!(service.post("/messages/batch", &json!(batch)).await.0, 413);
    let long = json!({"touser": "bob", "fromuser": "a", "message": "x".repeat(4_001)});
    assert_eq!(service.post("/messages", &long).await.0, 422);
    let injected = json!({"touser": "bob}:d", "fromuser": "a", "message": "x"});
    assert_eq!(service.post("/messages", &injected).await.0, 422);
    assert_eq!(service.post("/messages/batch", &json!([message(0), injected])).await.0, 422);
    service.expect("bob", &[("alice", 1_000)]).await;
    consumer.stop().await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn changes_are_told_as_they_happen() {
    let service = Service::start().await;
    let consumer = service.consumer("one").await;
    let live = service.http.get(service.url("/live?touser=bob")).send().await.unwrap();
    let mut live = live.bytes_stream();
    let mut heard = String::new();
    // The service follows the topic from its end on, wherever that was when it began.
    let written = async {
        for n in 0.. {
            service.write("alice", "eve", &format!("not for bob {n}")).await;
            service.write("alice", "bob", &format!("for bob {n}")).await;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let hears = async {
        while !(heard.contains("event: change") && heard.ends_with("\n\n")) {
            heard.push_str(std::str::from_utf8(&live.next().await.unwrap().unwrap()).unwrap());
        }
    };
    tokio::select! { () = written => {}, () = hears => {} }
    assert!(heard.starts_with("event: hello\n"), "{heard}");
    let change = heard.split("event: change\ndata: ").nth(1).unwrap();
    let change: serde_json::Value = serde_json::from_str(change.lines().next().unwrap()).unwrap();
    assert_eq!((&change["touser"], &change["fromuser"]), (&json!("bob"), &json!("alice")));
    assert!(change["count"].as_u64().unwrap() >= 1);
    assert!(!heard.contains("not for bob"), "{heard}");
    consumer.stop().await.unwrap();
    service.stop().await;
}

/// It was: whoever listened before the topic was followed, or while that could not be read, never
/// heard that something might be missing.
#[tokio::test]
async fn who_listens_before_the_topic_is_followed_is_told_to_ask_again() {
    let (gate, broker) = (Gate::closed().await, Broker::builder().ephemeral());
    let broker = broker.start().await.unwrap();
    let settings = settings(gate.address(), Access::open());
    let producer = unsent::producer::start(settings, Stores::memory()).await.unwrap();
    let url = format!("http://{}/live?touser=bob", producer.address());
    let mut live = reqwest::get(url).await.unwrap().bytes_stream();
    let mut heard = async || live.next().await.unwrap().unwrap();
    assert!(heard().await.starts_with(b"event: hello\n"));
    let gate = gate.open(&broker);
    assert!(heard().await.starts_with(b"event: resync\n"));
    producer.stop().await.unwrap();
    gate.stop();
    broker.stop().await;
}

#[tokio::test]
async fn all_of_one_user_lies_in_one_partition_under_the_users_name() {
    let service = Service::start().await;
    for n in 0..20 {
        service.write(&format!("sender{n}"), "bob", &n.to_string()).await;
    }
    let kafka = service.kafka().await;
    let mut consumer = kafka.consumer().assign_topic(TOPIC, Start::Earliest).build().await.unwrap();
    let mut seen = 0;
    while seen < 20 {
        let batch = consumer.next_batch().await.unwrap();
        assert_eq!(batch.partition(), i32::try_from(partition_of("bob", 4)).unwrap());
        for record in batch {
            assert_eq!(record.key.as_deref(), Some(&b"bob"[..]));
            seen += 1;
        }
    }
    service.stop().await;
}
