//! Rooms, as the design has them.

use std::time::Duration;

use common::db::Database;
use serde_json::json;

use crate::set::Set;

#[tokio::test(flavor = "multi_thread")]
async fn two_people_talk_at_two_instances() {
    let set = Set::start().await;
    let (mut alice, mut bob) = (set.page(0, "alice").await, set.page(1, "bob").await);
    assert_eq!((&*alice.server, &*bob.server), ("Asia", "Europe"));
    let joined = alice.join("general").await;
    assert_eq!((&joined["success"], &joined["head_offset"]), (&json!(true), &json!(-1)));
    bob.join("general").await;
    assert_eq!(alice.hears_of("member_joined", "bob").await["server"], "Europe");
    alice.send("general", "c1", "hi 🎉\nbob").await;
    let ack = alice.hear("message_ack").await;
    assert_eq!(ack["client_msg_id"], "c1");
    let shown = bob.hears("hi 🎉\nbob").await;
    // On both screens, in one frame or two.
    let mut reached = std::collections::HashSet::new();
    while reached.len() < 2 {
        let delivered = alice.hear("delivered").await;
        reached.extend(delivered["users"].as_object().unwrap().keys().cloned());
    }
    assert_eq!((&shown["id"], &shown["offset"]), (&ack["id"], &ack["offset"]));
    assert_eq!((&shown["senderName"], &shown["server"]), (&json!("alice"), &json!("Asia")));
    bob.send("general", "c1", "hi alice").await;
    // Her own may come before or behind its acknowledgement.
    while alice.hear("chat_message").await["content"] != "hi alice" {}
    bob.reaches(&mut alice, "general").await;
    bob.say(json!({"type": "typing", "room": "general"})).await;
    assert_eq!(alice.hear("typing").await["name"], "bob");
    bob.say(json!({"type": "read", "room": "general", "offset": ack["offset"]})).await;
    while !alice.hear("read").await["users"]
        .as_object()
        .unwrap()
        .values()
        .any(|at| *at == ack["offset"])
    {}
    bob.say(json!({"type": "leave_room", "room": "general"})).await;
    assert_eq!(bob.hear("leave_room").await["success"], true);
    alice.hears_of("member_left", "bob").await;
    set.stop().await;
}

/// It was: pages waited for ever until somebody had read what was said after it had left.
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_a_room_for_good_is_told_to_be_no_member() {
    let set = Set::start().await;
    let mut alice = set.page(0, "alice").await;
    alice.join("a").await;
    for (server, leaves, goes) in [(0, "bob", "carol"), (1, "dave", "erin")] {
        let mut other = set.page(server, leaves).await;
        other.join("a").await;
        alice.hears_of("member_joined", leaves).await;
        other.reaches(&mut alice, "a").await;
        other.say(json!({"type": "leave_room", "room": "a"})).await;
        while alice.hears_of("member_left", leaves).await["member"] != json!(false) {}
        // Whoever only goes is a member still.
        let mut other = set.page(server, goes).await;
        other.join("a").await;
        alice.hears_of("member_joined", goes).await;
        other.go().await;
        assert_eq!(alice.hears_of("member_left", goes).await["member"], json!(true));
    }
    set.stop().await;
}

/// Lists lacked whoever had left by one of two pages, until they were loaded anew.
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_by_one_page_and_has_another_elsewhere_stays_on_the_list() {
    let set = Set::start().await;
    let mut alice = set.page(0, "alice").await;
    alice.join("a").await;
    let (mut here, mut there) = (set.page(0, "bob").await, set.page(1, "bob").await);
    here.join("a").await;
    alice.hears_of("member_joined", "bob").await;
    there.join("a").await;
    // Who comes to that instance later is told of later, or with it.
    let mut carol = set.page(1, "carol").await;
    carol.join("a").await;
    alice.hears_of("member_joined", "carol").await;
    let mut dave = set.page(0, "dave").await;
    dave.join("a").await;
    for page in [&mut here, &mut dave] {
        page.say(json!({"type": "leave_room", "room": "a"})).await;
        page.hear("leave_room").await;
    }
    let left = alice.hear("member_left").await;
    assert_eq!(left["name"], "dave", "{left}");
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_sent_again_is_one_message() {
    let set = Set::start().await;
    let (mut alice, mut again) = (set.page(0, "alice").await, set.page(1, "alice").await);
    alice.join("a").await;
    again.join("a").await;
    alice.send("a", "c1", "once").await;
    let ack = alice.hear("message_ack").await;
    again.hears("once").await;
    again.send("a", "c1", "once").await;
    assert_eq!(again.hear("message_ack").await, ack);
    again.send("a", "c2", "twice").await;
    again.hears("twice").await;
    assert_eq!(set.wait_for_rows("a", 2).await.len(), 2);
    set.stop().await;
}

/// The second one was acknowledged and shown, and the database took it for a copy of the first.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_name_in_another_room_is_another_message() {
    let set = Set::start().await;
    let mut alice = set.page(0, "alice").await;
    for room in ["a", "b"] {
        alice.join(room).await;
        alice.send(room, "c1", room).await;
    }
    for room in ["a", "b"] {
        assert_eq!(set.wait_for_rows(room, 1).await[0].0, room);
    }
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_comes_back_at_another_instance_misses_nothing() {
    let mut set = Set::start().await;
    let (mut alice, mut bob) = (set.page(0, "alice").await, set.page(1, "bob").await);
    alice.join("a").await;
    bob.join("a").await;
    alice.send("a", "c0", "before").await;
    let seen = bob.hears("before").await["offset"].clone();
    let epoch = bob.epoch.clone();
    // Europe goes away, and tells its pages to look for another.
    set.servers.remove(1).stop().await.unwrap();
    assert_eq!(bob.closed().await, Some(1012));
    for number in 1..=3 {
        alice.send("a", &format!("c{number}"), &format!("missed {number}")).await;
        alice.hear("message_ack").await;
    }
    let mut bob = set.page(0, "bob").await;
    bob.join("a").await;
    let seen = json!([{"room": "a", "offset": seen, "epoch": epoch}]);
    bob.say(json!({"type": "resume", "rooms": seen})).await;
    for number in 1..=3 {
        bob.hears(&format!("missed {number}")).await;
    }
    assert_eq!(bob.hear("resumed").await["room"], "a");
    let other = json!([{"room": "a", "offset": 0, "epoch": "of another log"}]);
    bob.say(json!({"type": "resume", "rooms": other})).await;
    assert_eq!(bob.hear("resync").await["room"], "a");
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_messages_are_counted_and_reading_clears_them_while_the_room_is_open() {
    let set = Set::start().await;
    let (mut alice, mut bob) = (set.page(0, "alice").await, set.page(1, "bob").await);
    let token = set.token(1, "bob").await;
    alice.join("a").await;
    bob.join("a").await;
    for number in 0..3 {
        alice.send("a", &number.to_string(), "hi").await;
        alice.hear("message_ack").await;
    }
    let last = set.wait_for_rows("a", 3).await[2].1;
    let rooms = set.get(1, "/api/rooms", &token).await.body;
    assert_eq!((&rooms[0]["room"], &rooms[0]["unread"]), (&json!("a"), &json!(3)));
    assert_eq!(rooms[0]["last_message"]["content"], "hi");
    while set.get(1, "/api/rooms", &token).await.body[0]["members_online"] != 2 {}
    bob.say(json!({"type": "read", "room": "a", "offset": last})).await;
    while set.get(1, "/api/rooms", &token).await.body[0]["unread"] != 0 {}
    let history = set.get(1, "/api/rooms/a/messages?limit=2", &token).await.body;
    assert_eq!(history["messages"].as_array().unwrap().len(), 2);
    assert_eq!((&history["read_offset"], &history["delayed"]), (&json!(last), &json!(false)));
    let members = set.get(0, "/api/rooms/a/members", &token).await.body;
    assert_eq!(members.as_array().unwrap().len(), 2);
    let found = set.get(0, "/api/search?q=HI", &token).await.body;
    assert_eq!(found.as_array().unwrap().len(), 3);
    assert_eq!(set.get(1, "/api/search?q=%25", &token).await.body, json!([]));
    let again = set.get(1, "/api/search?q=hi", &token).await;
    assert_eq!((again.status, again.retry_after.as_deref()), (429, Some("1")));
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_instance_says_who_it_is_and_serves_everyone() {
    let set = Set::start().await;
    let health = set.get(0, "/api/health", "").await.body;
    assert_eq!((&health["status"], &health["server"]), (&json!("healthy"), &json!("Asia")));
    assert_eq!(set.get(1, "/api/health", "").await.body["server"], "Europe");
    let token = set.token(0, "alice").await;
    let me = set.get(1, "/api/me", &token).await;
    assert_eq!((me.status, &me.body["username"]), (200, &json!("alice")));
    assert_eq!(set.post(1, "/api/rooms", &token, json!({"name": "new"})).await.status, 201);
    assert_eq!(set.post(1, "/api/rooms", &token, json!({"name": "new"})).await.status, 200);
    assert_eq!(set.post(1, "/api/rooms", &token, json!({"name": "a/b"})).await.status, 422);
    let metrics = set.get(0, "/metrics", "").await.body;
    assert!(metrics.as_str().unwrap().contains("ws_connections 0"), "{metrics}");
    set.stop().await;
}

/// A page says that it leaves, and goes: what was to be done about it went with it.
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_and_goes_at_once_is_a_member_no_more() {
    let set = Set::start().await;
    let mut alice = set.page(0, "alice").await;
    let rooms: Vec<_> = (0..20).map(|number| format!("room {number}")).collect();
    for room in &rooms {
        alice.join(room).await;
    }
    let members = async || -> i64 {
        let select = "SELECT COUNT(*) FROM room_members";
        common::on!(&set.database, pool => sqlx::query_scalar(select).fetch_one(pool).await.unwrap())
    };
    assert_eq!(members().await, 20);
    for room in &rooms {
        alice.say(json!({"type": "leave_room", "room": room})).await;
    }
    alice.go().await;
    let left = async {
        while members().await != 0 {
            tokio::task::yield_now().await;
        }
    };
    let left = tokio::time::timeout(Duration::from_secs(60), left).await;
    assert!(left.is_ok(), "still a member of {} rooms", members().await);
    set.stop().await;
}

/// It was tried once, and who went was not there to be told that it had failed.
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_while_the_database_refuses_is_a_member_no_more_later() {
    let set = Set::start().await;
    let mut alice = set.page(0, "alice").await;
    alice.join("a").await;
    let Database::Sqlite(pool, _) = &set.database else { panic!("the tests run on SQLite") };
    let refuse = "CREATE TABLE tries(number BIGINT);
                  CREATE TRIGGER refuse BEFORE DELETE ON room_members BEGIN
                      INSERT INTO tries VALUES (1);
                      SELECT RAISE(FAIL, 'not now');
                  END";
    sqlx::raw_sql(refuse).execute(pool).await.unwrap();
    alice.say(json!({"type": "leave_room", "room": "a"})).await;
    alice.go().await;
    let counts = async |select: &'static str, is_enough: fn(i64) -> bool| {
        while !is_enough(sqlx::query_scalar(select).fetch_one(pool).await.unwrap()) {
            tokio::task::yield_now().await;
        }
    };
    let later = async {
        counts("SELECT COUNT(*) FROM tries", |tries| tries > 0).await;
        sqlx::raw_sql("DROP TRIGGER refuse").execute(pool).await.unwrap();
        counts("SELECT COUNT(*) FROM room_members", |members| members == 0).await;
    };
    tokio::time::timeout(Duration::from_secs(60), later).await.unwrap();
    set.stop().await;
}

/// Reading a message once took two seconds of the socket while the database did not answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_holds_no_page_up() {
    let mut set = Set::start().await;
    set.persister.take().unwrap().stop().await.unwrap();
    let mut alice = set.page(0, "alice").await;
    alice.join("a").await;
    alice.send("a", "0", "first").await;
    let first = alice.hear("message_ack").await;
    // Whoever writes has to wait for this one.
    let Database::Sqlite(pool, _) = &set.database else { panic!("the tests run on SQLite") };
    let lock = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    for _ in 0..1_000 {
        alice.say(json!({"type": "read", "room": "a", "offset": first["offset"]})).await;
    }
    alice.say(json!({"type": "join_room", "room": "b"})).await;
    alice.send("a", "1", "second").await;
    alice.hear("message_ack").await;
    lock.rollback().await.unwrap();
    let token = set.token(0, "alice").await;
    // It is written when that goes on.
    while set.get(0, "/api/rooms/a/messages", &token).await.body["read_offset"] != first["offset"] {
    }
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_what_is_not_there_or_in_a_room_of_others() {
    let set = Set::start().await;
    let mut alice = set.page(0, "alice").await;
    alice.join("a").await;
    alice.send("a", "0", "first").await;
    let offset = alice.hear("message_ack").await["offset"].as_i64().unwrap();
    let (alices, bobs) = (set.token(0, "alice").await, set.token(0, "bob").await);
    let read = async |token: &str, offset: i64| {
        let body = json!({"offset": offset});
        set.put(0, "/api/rooms/a/read", token, body).await.status
    };
    assert_eq!(read(&bobs, offset).await, 403);
    assert_eq!(read(&alices, offset + 1).await, 422);
    assert_eq!(read(&alices, offset).await, 200);
    alice.say(json!({"type": "read", "room": "a", "offset": i64::MAX})).await;
    let told = alice.hear("read").await;
    assert!(told["users"].as_object().unwrap().values().all(|at| *at == offset), "{told}");
    set.stop().await;
}
