//! What may break, and must not be noticed, or must be told.

use std::collections::BTreeMap;

use common::kv::{Kv, Write};
use klamm_consumer::{ConsumeExt as _, Start};
use klamm_producer::{ProduceExt as _, Record};
use klamm_utils::clock::{Clock as _, SystemClock};
use serde_json::json;
use unsent::keys;
use unsent::wire::{DEAD_LETTERS, TOPIC};

use crate::content::{content, empty, marks, restore};
use crate::harness::Service;

async fn summary(kv: &Kv, user: &str, sender: &str) -> Option<String> {
    kv.fields(&keys::details(user)).await.unwrap().remove(sender)
}

/// How many texts a store holds of a pair.
fn texts(held: &BTreeMap<String, BTreeMap<String, String>>, user: &str, sender: &str) -> usize {
    held.get(&keys::texts(user, sender)).map_or(0, BTreeMap::len)
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
    let master = &service.stores.master;
    service
        .until("the master has it", async || {
            summary(master, "bob", "alice").await.is_some_and(|held| held.starts_with("2|"))
        })
        .await;
    service.until_same("both stores have the texts", |held| texts(held, "bob", "alice") == 2).await;
    consumer.stop().await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn without_the_auxiliary_the_master_answers_and_then_it_is_filled() {
    let service = Service::start().await;
    let consumer = service.consumer("one").await;
    service.write("alice", "bob", "1").await;
    service.expect("bob", &[("alice", 1)]).await;
    service.stores.auxiliary.cut(true);
    service.write("alice", "bob", "2").await;
    let unsent = service.expect("bob", &[("alice", 2)]).await;
    assert_eq!(unsent.source, "master");
    // Back, and as empty as one that was started anew.
    service.stores.auxiliary.cut(false);
    empty(&service.stores.auxiliary).await;
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

/// What is shown of it is shown again, and can be opened and dismissed.
#[tokio::test]
async fn an_empty_master_gets_everything_back_texts_included() {
    let service = Service::start().await;
    let consumer = service.consumer("one").await;
    for n in 0..30 {
        service.write(&format!("sender{}", n % 3), "bob", &n.to_string()).await;
    }
    let delete = async |sender: &str| {
        let url = service.url(&format!("/users/bob/unsent/{sender}"));
        service.http.delete(url).send().await.unwrap()
    };
    delete("sender1").await;
    service.expect("bob", &[("sender2", 10), ("sender0", 10)]).await;
    let master = &service.stores.master;
    service
        .until_same("both stores have the texts", |held| texts(held, "bob", "sender2") == 10)
        .await;
    let before = content(master).await;
    empty(master).await;
    service.until("the master has all of it", async || content(master).await == before).await;
    assert_eq!(content(&service.stores.auxiliary).await, before);
    // As after a restart of the consumer, whose memory is not what the stores hold.
    consumer.stop().await.unwrap();
    let consumer = service.consumer("two").await;
    delete("sender0").await;
    service.expect("bob", &[("sender2", 10)]).await;
    service.until_same("it is dismissed", |held| texts(held, "bob", "sender0") == 0).await;
    consumer.stop().await.unwrap();
    service.stop().await;
}

/// As with `appendfsync everysec`: the last second is not in the file.
#[tokio::test]
async fn a_master_that_comes_back_older_gets_the_rest() {
    let service = Service::start().await;
    let consumer = service.consumer("one").await;
    let master = &service.stores.master;
    for n in 0..10 {
        service.write("alice", "bob", &n.to_string()).await;
    }
    service.until_same("ten are there", |held| texts(held, "bob", "alice") == 10).await;
    // Content and marks of one moment, as nothing is written meanwhile.
    let (older, at) = (content(master).await, marks(master).await);
    for n in 10..30 {
        service.write("alice", "bob", &n.to_string()).await;
    }
    let ack = json!({"message_ids": ["3", "12"]});
    assert_eq!(service.post("/users/bob/unsent/alice/ack", &ack).await.0, 202);
    service.until_same("28 are there", |held| texts(held, "bob", "alice") == 28).await;
    let before = content(master).await;
    restore(master, older, at).await;
    service.until("the master has all of it", async || content(master).await == before).await;
    assert_eq!(content(&service.stores.auxiliary).await, before);
    consumer.stop().await.unwrap();
    service.stop().await;
}

/// The auxiliary is ahead of the master then, and the new consumer remembers nothing.
#[tokio::test]
async fn a_consumer_that_is_restarted_while_the_master_is_away_loses_nothing() {
    let service = Service::start().await;
    let consumer = service.consumer("one").await;
    let master = &service.stores.master;
    service.write("alice", "bob", "1").await;
    service.write("carol", "bob", "2").await;
    service.until_same("both are there", |held| texts(held, "bob", "carol") == 1).await;
    master.cut(true);
    service.write("alice", "bob", "3").await;
    service.http.delete(service.url("/users/bob/unsent/carol")).send().await.unwrap();
    service.expect("bob", &[("alice", 2)]).await;
    consumer.stop().await.unwrap();
    let consumer = service.consumer("two").await;
    service.write("alice", "bob", "4").await;
    service.expect("bob", &[("alice", 3)]).await;
    master.cut(false);
    service
        .until_same("the master has it", |held| {
            texts(held, "bob", "alice") == 3 && !held.contains_key("unsent:{bob}:m:carol")
        })
        .await;
    consumer.stop().await.unwrap();
    service.stop().await;
}

/// It is filled piece by piece while messages come and go.
#[tokio::test]
async fn an_auxiliary_is_filled_while_the_partition_goes_on() {
    let service = Service::start().await;
    let consumer = service.consumer("one").await;
    let batch = async |from: u32, count: u32| {
        let message = |n: u32| {
            let (to, from) = (format!("user{}", n % 300), format!("sender{}", n % 7));
            json!({"touser": to, "fromuser": from, "message": n.to_string(), "message_id": n.to_string()})
        };
        let all: Vec<_> = (from..from + count).map(message).collect();
        assert_eq!(service.post("/messages/batch", &json!(all)).await.0, 202);
    };
    for n in 0..5 {
        batch(n * 1_000, 1_000).await;
    }
    service.until_same("all are there", |held| texts(held, "user299", "sender0") > 0).await;
    empty(&service.stores.auxiliary).await;
    for n in 0..20 {
        batch(5_000 + n * 100, 100).await;
        let gone = format!("/users/user{n}/unsent/sender{}", n % 7);
        service.http.delete(service.url(&gone)).send().await.unwrap();
    }
    service.write("alice", "bob", "the last").await;
    service
        .until("it is filled", async || {
            let unsent = service.expect("bob", &[("alice", 1)]).await;
            unsent.source == "aux"
        })
        .await;
    service.until_same("both hold the same", |held| texts(held, "bob", "alice") == 1).await;
    consumer.stop().await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn both_stores_away_are_told_and_come_back_filled() {
    let service = Service::start().await;
    let consumer = service.consumer("one").await;
    service.stores.auxiliary.cut(true);
    service.stores.master.cut(true);
    let (status, _) = service.get("/users/bob/unsent").await;
    assert_eq!(status, 503);
    service.write("alice", "bob", "kept in the log").await;
    service.stores.auxiliary.cut(false);
    service.stores.master.cut(false);
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

/// It was: a store that had once heard of a partition was asked for ever, however old its numbers.
#[tokio::test]
async fn an_auxiliary_that_heard_nothing_for_long_is_not_asked_first() {
    let service = Service::start().await;
    let consumer = service.consumer("one").await;
    service.write("alice", "bob", "hi").await;
    service.expect("bob", &[("alice", 1)]).await;
    service.until_same("both have it", |held| texts(held, "bob", "alice") == 1).await;
    // Nobody says that it lives any more.
    consumer.stop().await.unwrap();
    let partition = unsent::wire::partition_of("bob", 4).to_string();
    let now_ms = SystemClock::new().now_ms();
    for (heard_ms, source) in [(now_ms + 60_000, "aux"), (now_ms - 6_000, "master")] {
        let alive = Write::SetField(keys::ALIVE.into(), partition.clone(), heard_ms.to_string());
        service.stores.auxiliary.write(&[alive]).await.unwrap();
        assert_eq!(service.unsent("bob").await.source, source);
    }
    // It is better than nothing.
    service.stores.master.cut(true);
    assert_eq!(service.unsent("bob").await.source, "aux");
    service.stop().await;
}

/// It was: what was written to names that nobody has stayed in the stores for ever.
#[tokio::test]
async fn what_waits_for_longer_than_the_log_keeps_it_is_forgotten() {
    let service = Service::start().await;
    let kafka = service.kafka().await;
    let producer = kafka.producer().build().await.unwrap();
    let days_ago = |days: i64| SystemClock::new().now_ms() - days * 24 * 60 * 60 * 1_000;
    for (sender, days) in [("alice", 8), ("carol", 6)] {
        let message = json!({"touser": "bob", "fromuser": sender, "message": "hi"});
        let record = Record::to(TOPIC).key("bob").value(message.to_string());
        producer.send(record.timestamp(days_ago(days))).await.unwrap();
    }
    // This one may have looked for what is old before there was anything.
    let consumer = service.consumer("one").await;
    service
        .until("both are known", async || {
            service.unsent("bob").await.senders.iter().any(|sender| sender.fromuser == "carol")
        })
        .await;
    consumer.stop().await.unwrap();
    let consumer = service.consumer("two").await;
    service.expect("bob", &[("carol", 1)]).await;
    service.until_same("no text is left", |held| texts(held, "bob", "alice") == 0).await;
    consumer.stop().await.unwrap();
    service.stop().await;
}
