//! The database writer: what it does with what the database refuses, and with another topic.

use std::time::Duration;

use chat::persister;
use common::db::Database;
use common::on;
use klamm_broker::Broker;
use klamm_broker::faults::{ApiKey, ErrorCode, Fault};
use klamm_client::admin::NewTopic;
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{ConsumeExt as _, OffsetReset, Start};
use klamm_producer::{ProduceExt as _, Record};
use serde_json::json;
use uuid::Uuid;

use crate::set::{Set, client};

const TOPIC: &str = "chat_messages";

async fn count(database: &Database, table: &str) -> i64 {
    let select = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    on!(database, pool => sqlx::query_scalar(select).fetch_one(pool).await.unwrap())
}

async fn kafka(bootstrap: &str) -> Kafka {
    Kafka::connect(ClientConfig::new(bootstrap)).await.unwrap()
}

/// Writes messages as a server would.
async fn say(kafka: &Kafka, contents: &[&str]) {
    let producer = kafka.producer().build().await.unwrap();
    for content in contents {
        let message = json!({
            "id": Uuid::now_v7(), "room": "a", "sender": Uuid::nil(), "senderName": "alice",
            "content": content, "server": "Asia", "created_at": 7,
        });
        let record = Record::to(TOPIC).key("a").value(message.to_string()).partition(0);
        producer.send(record).await.unwrap();
    }
}

/// A batch that the database would refuse for ever held up every room.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_database_refuses_is_put_aside_and_the_rest_is_written() {
    let mut set = Set::start().await;
    set.persister.take().unwrap().stop().await.unwrap();
    let kafka = kafka(&set.kafka).await;
    say(&kafka, &["zero", "one", "two", "three"]).await;
    // Something else is where the second one belongs.
    let taken = "INSERT INTO messages(id, room, sender, sender_name, kind, content, server, part,
                   off, created_at) VALUES ($1, 'b', $1, 'x', 'x', 'x', 'x', 0, 1, 1)";
    on!(&set.database, pool => {
        sqlx::query(taken).bind(Uuid::now_v7()).execute(pool).await.unwrap();
    });
    set.start_persister().await;
    let rows = set.wait_for_rows("a", 3).await;
    let written: Vec<(&str, i64)> = rows.iter().map(|(text, offset)| (&**text, *offset)).collect();
    assert_eq!(written, [("zero", 0), ("two", 2), ("three", 3)]);
    let consumer = kafka.consumer().auto_offset_reset(OffsetReset::Earliest);
    let consumer = consumer.assign("chat_messages.dlq", 0, Start::Offset(0));
    let batch = consumer.build().await.unwrap().next_batch().await.unwrap();
    let letter = &batch.records()[0];
    assert!(letter.value.as_deref().unwrap().windows(3).any(|text| text == b"one"));
    assert!(letter.headers.iter().any(|header| header.key[..] == *b"x-error"));
    set.stop().await;
}

/// The folder of the broker was removed, and the database was kept: what was said from then on was
/// taken for what had been written long ago.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_topic_with_an_old_database_loses_nothing() {
    let mut set = Set::start().await;
    let mut alice = set.page(0, "alice").await;
    alice.join("a").await;
    for number in 0..3 {
        alice.send("a", &number.to_string(), &format!("before {number}")).await;
    }
    set.wait_for_rows("a", 3).await;
    alice.say(json!({"type": "read", "room": "a", "offset": 2})).await;
    alice.hear("read").await;
    set.persister.take().unwrap().stop().await.unwrap();
    for server in set.servers.drain(..) {
        server.stop().await.unwrap();
    }
    set.broker.take().unwrap().stop().await;
    let broker = Broker::builder().ephemeral().set("group.initial.rebalance.delay.ms", "0");
    let broker = broker.start().await.unwrap();
    set.kafka = broker.bootstrap();
    set.broker = Some(broker);
    set.start_server("Asia", &|_| {}).await;
    set.start_persister().await;
    set.ready().await;
    let mut bob = set.page(0, "bob").await;
    bob.join("a").await;
    bob.send("a", "0", "after").await;
    bob.hears("after").await;
    while set.rows("a").await != [("after".to_owned(), 0)] {
        tokio::task::yield_now().await;
    }
    assert_eq!(count(&set.database, "messages_before").await, 3);
    assert_eq!(count(&set.database, "room_members WHERE read_offset >= 0").await, 0);
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_anew_under_a_running_writer_loses_nothing() {
    let broker = Broker::builder().ephemeral().set("group.initial.rebalance.delay.ms", "0");
    let broker = broker.start().await.unwrap();
    let kafka = kafka(&broker.bootstrap()).await;
    let database = Database::in_memory().await.unwrap();
    let settings = persister::Settings::dev(&broker.bootstrap());
    let running = persister::start(settings, database.clone()).await.unwrap();
    let written = async |texts: &[&str]| {
        let select = "SELECT content FROM messages ORDER BY off";
        let query = async || -> Vec<String> {
            on!(&database, pool => sqlx::query_scalar(select).fetch_all(pool).await)
                .unwrap_or_default()
        };
        while query().await != texts {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    while kafka.topic(&TOPIC.into()).await.is_err() {
        tokio::task::yield_now().await;
    }
    say(&kafka, &["one", "two"]).await;
    written(&["one", "two"]).await;
    let admin = kafka.admin();
    admin.delete_topics(&[TOPIC.into()]).await.unwrap();
    // The writer, which finds it gone, may be quicker.
    let _ = admin.create_topics(&[NewTopic::new(TOPIC).partitions(12)]).await.unwrap();
    let anew = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await.unwrap();
    say(&anew, &["three", "four", "five"]).await;
    written(&["three", "four", "five"]).await;
    assert_eq!(count(&database, "messages_before").await, 2);
    running.stop().await.unwrap();
    broker.stop().await;
}

/// A partition that cannot be read is told of once, and its consumer gives nothing more of it: its
/// rooms had no rows until the writer was started again, and it said that it was well.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_could_not_be_read_for_a_moment_is_read_on() {
    let broker = Broker::builder().ephemeral().set("group.initial.rebalance.delay.ms", "0");
    let broker = broker.start().await.unwrap();
    let kafka = kafka(&broker.bootstrap()).await;
    let database = Database::in_memory().await.unwrap();
    let refused = Fault::error(ApiKey::Fetch, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    let refused = broker.faults().add(refused.partition(TOPIC, 0).times(1)).unwrap();
    let settings = persister::Settings::dev(&broker.bootstrap());
    let running = persister::start(settings, database.clone()).await.unwrap();
    while refused.strikes() == 0 {
        tokio::task::yield_now().await;
    }
    say(&kafka, &["one", "two"]).await;
    while count(&database, "messages").await != 2 {
        tokio::task::yield_now().await;
    }
    running.stop().await.unwrap();
    broker.stop().await;
}

/// It counted, and nobody could look.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_tells_what_it_writes_and_puts_aside() {
    let mut set = Set::start().await;
    let address = set.persister.as_ref().unwrap().address();
    let get = async |path: &str| {
        let url = format!("http://{address}{path}");
        client().get(url).send().await.unwrap().text().await.unwrap()
    };
    // Also before there is anything to write.
    while get("/readyz").await != "database: ok\nkafka: ok\n" {
        tokio::task::yield_now().await;
    }
    let kafka = kafka(&set.kafka).await;
    let producer = kafka.producer().build().await.unwrap();
    let poison = Record::to(TOPIC).partition(0).value("{not json");
    producer.send(poison).await.unwrap();
    say(&kafka, &["one", "two"]).await;
    set.wait_for_rows("a", 2).await;
    for told in ["rows_total 2", "dead_letters_total 1", "consumer_lag 0", "batch_rows_sum 2.0"] {
        while !get("/metrics").await.lines().any(|line| line == told) {
            tokio::task::yield_now().await;
        }
    }
    set.start_llm(|_| {}).await;
    let address = set.llm.as_ref().unwrap().address();
    let metrics = client().get(format!("http://{address}/metrics")).send().await.unwrap();
    assert!(metrics.text().await.unwrap().contains("answers_total 0"));
    set.stop().await;
}
