//! The bot.

use klamm_broker::faults::{ApiKey, ErrorCode, Fault};
use klamm_client::{ClientConfig, Kafka};
use klamm_producer::{ProduceExt as _, Record};
use klamm_utils::clock::{Clock as _, SystemClock};
use serde_json::json;

use crate::set::{Page, Set, client};

/// Asks until there is an answer: the first questions may come before the worker has joined its
/// group, which begins at the end.
async fn ask_until_done(page: &mut Page, room: &str, question: &str) {
    for asked in 0.. {
        page.send(room, &format!("{question} {asked}"), &format!("@superchat {question}")).await;
        let wait = std::time::Duration::from_secs(1);
        if tokio::time::timeout(wait, page.hear("llm_done")).await.is_ok() {
            return;
        }
    }
}

/// The original pasted what people wrote into JSON: a quote broke it. And answers were not stored.
#[tokio::test(flavor = "multi_thread")]
async fn quotes_and_braces_come_back_as_they_were_and_the_answer_is_stored() {
    let mut set = Set::start().await;
    set.start_llm(|settings| settings.questions_per_minute = 0).await;
    let mut alice = set.page(0, "alice").await;
    let mut bob = set.page(1, "bob").await;
    alice.join("a").await;
    bob.join("a").await;
    alice.reaches(&mut bob, "a").await;
    let question = r#"say "hi", {"model": "other"} \ "]}"#;
    // The first questions may come before the worker has joined its group: it begins at the end.
    let mut asked = 0;
    let answer = loop {
        alice.send("a", &asked.to_string(), &format!("@superchat echo {question}")).await;
        asked += 1;
        alice.hear("message_ack").await;
        let waiting = async {
            loop {
                let message = alice.hear("chat_message").await;
                if message["senderName"] == "SuperChat" {
                    break message;
                }
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(1), waiting).await;
        if let Ok(answer) = waited {
            break answer;
        }
    };
    assert_eq!(answer["content"], question);
    bob.hear("llm_delta").await;
    bob.hear("llm_done").await;
    while !set.rows("a").await.iter().any(|(content, _)| content == question) {
        tokio::task::yield_now().await;
    }
    set.stop().await;
}

/// A question that was resent lies in the log twice. Its copy was refused under the id of the answer,
/// and the answer was dropped everywhere as a duplicate.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_question_does_not_replace_the_answer() {
    let mut set = Set::start().await;
    set.start_llm(|settings| {
        settings.builtin_pause = std::time::Duration::from_millis(5);
        settings.questions_per_minute = 0;
    })
    .await;
    let mut alice = set.page(0, "alice").await;
    alice.join("b").await;
    ask_until_done(&mut alice, "b", "help").await;
    alice.join("a").await;
    alice.send("a", "where", "does this room lie?").await;
    set.wait_for_rows("a", 1).await;
    let select = "SELECT part FROM messages WHERE room = 'a'";
    let partition: i64 = common::on!(&set.database, pool => {
        sqlx::query_scalar(select).fetch_one(pool).await.unwrap()
    });
    let partition = i32::try_from(partition).unwrap();
    let kafka = Kafka::connect(ClientConfig::new(&set.kafka)).await.unwrap();
    let producer = kafka.producer().build().await.unwrap();
    let question = json!({
        "id": uuid::Uuid::now_v7(), "room": "a", "sender": uuid::Uuid::nil(),
        "senderName": "bob", "content": "@superchat count 30", "server": "Asia",
        "created_at": SystemClock::new().now_ms(),
    });
    for _ in 0..2 {
        let record = Record::to("chat_messages").key("a").value(question.to_string());
        producer.send(record.partition(partition)).await.unwrap();
    }
    loop {
        let message = alice.hear("chat_message").await;
        if message["room"] == "a" && message["senderName"] == "SuperChat" {
            assert!(message["content"].as_str().unwrap().starts_with("1 2 3 "), "{message}");
            break;
        }
    }
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_can_be_stopped_and_questions_are_limited() {
    let mut set = Set::start().await;
    set.start_llm(|settings| {
        settings.builtin_pause = std::time::Duration::from_millis(20);
        settings.questions_per_minute = 100;
    })
    .await;
    let mut alice = set.page(0, "alice").await;
    alice.join("a").await;
    let mut bob = set.page(0, "bob").await;
    bob.join("a").await;
    bob.reaches(&mut alice, "a").await;
    let mut asked = 0;
    let delta = loop {
        alice.send("a", &asked.to_string(), "@superchat count 1000").await;
        asked += 1;
        let wait = std::time::Duration::from_secs(1);
        if let Ok(delta) = tokio::time::timeout(wait, alice.hear("llm_delta")).await {
            break delta;
        }
    };
    alice.send("a", "second", "@superchat help").await;
    loop {
        let message = alice.hear("chat_message").await;
        if message["content"] == "One question at a time, please." {
            break;
        }
    }
    alice.say(json!({"type": "llm_stop", "room": "a", "id": delta["id"]})).await;
    let done = alice.hear("llm_done").await;
    assert_eq!(done["id"], delta["id"]);
    set.stop().await;
}

/// What there was of an answer when its worker was stopped was stored as all of it, or "(nothing)" if
/// there was nothing yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_a_worker_leaves_is_answered_by_the_next() {
    let mut set = Set::start().await;
    set.start_llm(|settings| {
        settings.builtin_pause = std::time::Duration::from_millis(20);
        settings.questions_per_minute = 0;
    })
    .await;
    let mut alice = set.page(0, "alice").await;
    alice.join("a").await;
    ask_until_done(&mut alice, "a", "before").await;
    // It is refused as long as an answer to the question before is made.
    for asked in 0.. {
        alice.send("a", &format!("long {asked}"), "@superchat count 1000").await;
        let begun = async { while alice.hear("llm_delta").await["text"] != "7 " {} };
        if tokio::time::timeout(std::time::Duration::from_secs(1), begun).await.is_ok() {
            break;
        }
    }
    set.llm.take().unwrap().stop().await.unwrap();
    set.start_llm(|settings| settings.questions_per_minute = 0).await;
    let answer = loop {
        let message = alice.hear("chat_message").await;
        let content = message["content"].as_str().unwrap();
        let other = ["You said", "One question"].iter().any(|other| content.starts_with(other));
        if message["senderName"] == "SuperChat" && !other {
            break content.to_owned();
        }
    };
    let numbers: Vec<_> = (1..=1_000).map(|number| number.to_string()).collect();
    assert_eq!(answer, numbers.join(" "));
    set.stop().await;
}

/// What a reader could not read for a moment, it never read again: nobody was answered there.
#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_after_they_could_not_be_read() {
    let mut set = Set::start().await;
    set.start_llm(|settings| settings.questions_per_minute = 0).await;
    let mut alice = set.page(0, "alice").await;
    alice.join("a").await;
    ask_until_done(&mut alice, "a", "before").await;
    let faults = set.broker.as_ref().unwrap().faults();
    let refused = Fault::error(ApiKey::Fetch, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    faults.add(refused.topic("chat_messages")).unwrap();
    let ready = format!("http://{}/readyz", set.llm.as_ref().unwrap().address());
    // What the broker has nothing to tell of, it does not refuse.
    for number in 0.. {
        alice.send("a", &number.to_string(), "hi").await;
        alice.hear("message_ack").await;
        if client().get(&ready).send().await.unwrap().status() != 200 {
            break;
        }
    }
    faults.clear();
    ask_until_done(&mut alice, "a", "after").await;
    set.stop().await;
}
