//! What may break, and must not be noticed, or must be told.

use common::kv::{Kv, Write};
use klamm_consumer::{ConsumeExt as _, Start};
use klamm_producer::{ProduceExt as _, Record};
use serde_json::json;
use unsent::keys;
use unsent::wire::{DEAD_LETTERS, TOPIC};

use crate::harness::Service;

/// Takes everything out of a store, as a Redis does that comes back without its file.
async fn empty(kv: &Kv) {
    let mut all = vec![keys::MARKS.to_owned(), keys::ALIVE.to_owned()];
    for partition in 0..4 {
        for user in kv.members(&keys::users(partition)).await.unwrap() {
            for sender in kv.members(&keys::senders(&user)).await.unwrap() {
                all.push(keys::texts(&user, &sender));
            }
            all.extend([keys::senders(&user), keys::details(&user)]);
        }
        all.push(keys::users(partition));
    }
    let all: Vec<_> = all.into_iter().map(Write::Delete).collect();
    kv.write(&all).await.unwrap();
}

async fn summary(kv: &Kv, user: &str, sender: &str) -> Option<String> {
    kv.fields(&keys::details(user)).await.unwrap().remove(sender)
}

#[tokio::test]
async fn without_the_master_all_goes_on_and_nothing_is_lost() {
    let service = Service::start().await;
    let consumer = service.consumer("one").await;
    service.write("alice", "bob", "1").await;
    service.expect("bob", &[("alice", 1)]).await;
    assert_eq!(service.post("/dev/cut-master", &json!({"cut": true})).await.0, 200);
    service.write("alice", "bob", "2").await;
    let unsent = service.expect("bob", &[("alice", 2)]).await;
    assert_eq!(unsent.source, "aux");
    let (_, stats) = service.get("/stats").await;
    assert!(stats.contains(r#""master":"cut""#), "{stats}");
    service.post("/dev/cut-master", &json!({"cut": false})).await;
    let master = &service.pair.master;
    service
        .until("the master has it", async || {
            summary(master, "bob", "alice").await.is_some_and(|held| held.starts_with("2|"))
        })
        .await;
    consumer.stop().await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn without_the_auxiliary_the_master_answers_and_then_it_is_filled() {
    let service = Service::start().await;
    let consumer = service.consumer("one").await;
    service.write("alice", "bob", "1").await;
    service.expect("bob", &[("alice", 1)]).await;
    service.pair.auxiliary.cut(true);
    service.write("alice", "bob", "2").await;
    let unsent = service.expect("bob", &[("alice", 2)]).await;
    assert_eq!(unsent.source, "master");
    // Back, and as empty as one that was started anew.
    service.pair.auxiliary.cut(false);
    empty(&service.pair.auxiliary).await;
    service
        .until("the auxiliary is filled", async || {
            let unsent = service.expect("bob", &[("alice", 2)]).await;
            unsent.source == "aux"
        })
        .await;
    let (_, texts) = service.get("/users/bob/unsent/alice").await;
    assert!(texts.contains(r#""message":"1""#) && texts.contains(r#""message":"2""#), "{texts}");
    consumer.stop().await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn an_empty_master_is_filled_from_the_log() {
    let service = Service::start().await;
    let consumer = service.consumer("one").await;
    for n in 0..30 {
        service.write(&format!("sender{}", n % 3), "bob", &n.to_string()).await;
    }
    service.http.delete(service.url("/users/bob/unsent/sender1")).send().await.unwrap();
    service.expect("bob", &[("sender2", 10), ("sender0", 10)]).await;
    empty(&service.pair.master).await;
    let master = &service.pair.master;
    service
        .until("the master has it again", async || {
            summary(master, "bob", "sender0").await.is_some_and(|held| held.starts_with("10|"))
                && summary(master, "bob", "sender2")
                    .await
                    .is_some_and(|held| held.starts_with("10|"))
                && summary(master, "bob", "sender1").await.is_none()
        })
        .await;
    service.expect("bob", &[("sender2", 10), ("sender0", 10)]).await;
    consumer.stop().await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn both_stores_away_are_told_and_come_back_filled() {
    let service = Service::start().await;
    let consumer = service.consumer("one").await;
    service.pair.auxiliary.cut(true);
    service.pair.master.cut(true);
    let (status, _) = service.get("/users/bob/unsent").await;
    assert_eq!(status, 503);
    service.write("alice", "bob", "kept in the log").await;
    service.pair.auxiliary.cut(false);
    service.pair.master.cut(false);
    service.expect("bob", &[("alice", 1)]).await;
    consumer.stop().await.unwrap();
    service.stop().await;
}

/// Consumers come and go while messages do: 1, then 3, then 2.
#[tokio::test]
async fn a_rebalance_loses_and_doubles_nothing() {
    let service = Service::start().await;
    let (written, mut total) = (std::cell::Cell::new(0_u64), 0);
    let write = async |count: u64| {
        for _ in 0..count {
            let n = written.replace(written.get() + 1);
            service.write("alice", &format!("user{}", n % 8), &n.to_string()).await;
        }
    };
    let first = service.consumer("one").await;
    write(80).await;
    let (second, third) = (service.consumer("two").await, service.consumer("three").await);
    write(80).await;
    first.stop().await.unwrap();
    write(80).await;
    for user in 0..8 {
        total += service.expect(&format!("user{user}"), &[("alice", 30)]).await.total;
    }
    assert_eq!(total, 240);
    second.stop().await.unwrap();
    third.stop().await.unwrap();
    // Who starts when nobody is there goes on where they were.
    service.write("alice", "user0", "later").await;
    let fourth = service.consumer("four").await;
    service.expect("user0", &[("alice", 31)]).await;
    fourth.stop().await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn what_nobody_can_read_is_put_aside_and_stops_nothing() {
    let service = Service::start().await;
    let consumer = service.consumer("one").await;
    let kafka = service.kafka().await;
    let producer = kafka.producer().build().await.unwrap();
    producer.send(Record::to(TOPIC).key("bob").value("{rubbish")).await.unwrap();
    service.write("alice", "bob", "after it").await;
    service.expect("bob", &[("alice", 1)]).await;
    let mut letters =
        kafka.consumer().assign_topic(DEAD_LETTERS, Start::Earliest).build().await.unwrap();
    let letter = letters.next_batch().await.unwrap().into_iter().next().unwrap();
    assert_eq!(letter.value.as_deref(), Some(&b"{rubbish"[..]));
    let names: Vec<_> = letter.headers.iter().map(|header| header.key.clone()).collect();
    assert_eq!(names, ["x-error", "x-attempts", "x-source-offset"]);
    consumer.stop().await.unwrap();
    service.stop().await;
}

/// The order of starting does not matter, and reads stay off the master.
#[tokio::test]
async fn nine_of_ten_reads_are_off_the_master() {
    let service = Service::start().await;
    service.write("alice", "bob", "before any consumer").await;
    let consumer = service.consumer("one").await;
    service.expect("bob", &[("alice", 1)]).await;
    service
        .until("the auxiliary answers", async || service.unsent("bob").await.source == "aux")
        .await;
    let reads = async || -> (u64, u64) {
        let stats: serde_json::Value =
            serde_json::from_str(&service.get("/stats").await.1).unwrap();
        (stats["reads_aux"].as_u64().unwrap(), stats["reads_master"].as_u64().unwrap())
    };
    let before = reads().await;
    for _ in 0..200 {
        service.unsent("bob").await;
    }
    let after = reads().await;
    let (aux, master) = (after.0 - before.0, after.1 - before.1);
    assert!(aux * 10 >= (aux + master) * 9, "{aux} off the master, {master} on it");
    consumer.stop().await.unwrap();
    service.stop().await;
}
