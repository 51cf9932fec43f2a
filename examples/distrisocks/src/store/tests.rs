use super::*;

fn message(placed_us: i64, sender: &str, receiver: &str) -> Message {
    Message {
        message_id: Uuid::now_v7(),
        sender_id: sender.into(),
        reciever_id: receiver.into(),
        payload: format!("text {placed_us}"),
        status: 0,
        placed_us,
        sent_at: None,
        delivered_at: None,
    }
}

fn advance(message: &Message, status: Status, by: Option<&str>) -> Advance {
    Advance { message_id: message.message_id, status, by: by.map(Into::into) }
}

async fn store() -> Store {
    let database = Database::in_memory().await.unwrap();
    database.migrate(MIGRATIONS).await.unwrap();
    Store::new(database)
}

/// The original never saved the row, and set statuses whether or not what they say was true.
#[tokio::test]
async fn fault_004_statuses_are_saved_and_only_go_forward() {
    let store = store().await;
    let message = message(5, "alice", "bob");
    let saved = store.save(std::slice::from_ref(&message)).await.unwrap();
    assert_eq!(saved, [Kept::It(Status::None, 5)]);
    let sent = advance(&message, Status::Sent, None);
    let delivered = advance(&message, Status::Delivered, Some("bob"));
    let by_mallory = advance(&message, Status::Delivered, Some("mallory"));
    let all = [by_mallory, delivered];
    let advanced = store.advance(&all, "pod-1", 9).await.unwrap();
    assert_eq!(advanced.len(), 1, "another's word does not count");
    assert_eq!(advanced[0].event.event, "SET_STATUS_TO_DELIVERED");
    let advanced = store.advance(&[sent], "pod-1", 10).await.unwrap();
    assert!(advanced.is_empty(), "nor does a step back");
    let row = &store.history("alice", "bob", Place::LAST).await.unwrap()[0];
    assert_eq!((row.sent_at, row.delivered_at), (Some(9), Some(9)), "it was sent, too");
    let again = store.save(std::slice::from_ref(&message)).await.unwrap();
    assert_eq!(again, [Kept::It(Status::Delivered, 5)]);
    assert!(store.undelivered("bob", Place::FIRST).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_outbox_has_what_is_to_be_told_until_it_was() {
    let store = store().await;
    let message = message(5, "alice", "bob");
    store.save(std::slice::from_ref(&message)).await.unwrap();
    let sent = [advance(&message, Status::Sent, None)];
    store.advance(&sent, "pod-1", 9).await.unwrap();
    assert!(store.outbox("pod-2").await.unwrap().is_empty());
    store.inherit_outbox("pod-1", "pod-2").await.unwrap();
    let events = store.outbox("pod-2").await.unwrap();
    assert_eq!((events.len(), events[0].event.event.as_str()), (1, "SET_STATUS_TO_SENT"));
    store.clear_outbox(&events).await.unwrap();
    assert!(store.outbox("pod-2").await.unwrap().is_empty());
}

#[tokio::test]
async fn people_and_what_they_wrote_are_found_in_order() {
    let store = store().await;
    let all = [
        message(1_000, "alice", "bob"),
        message(2_000, "bob", "alice"),
        message(3_000, "alice", "bob"),
        message(4_000, "carol", "bob"),
    ];
    store.save(&all).await.unwrap();
    let waiting = store.undelivered("bob", all[0].place()).await.unwrap();
    assert_eq!(waiting, [all[2].clone(), all[3].clone()]);
    let history = store.history("bob", "alice", Place::LAST).await.unwrap();
    assert_eq!(history, all[..3]);
    let found = store.conversations("bob").await.unwrap();
    let found: Vec<_> = found.iter().map(|c| (c.username.as_str(), c.last_at)).collect();
    assert_eq!(found, [("carol", 4), ("alice", 3)]);
    assert!(store.conversations("dave").await.unwrap().is_empty());
}

/// It was: all that a user had ever written or got was read and sorted, every three seconds.
#[tokio::test]
async fn conversations_are_found_by_the_indexes() {
    let store = store().await;
    let plan = format!("EXPLAIN QUERY PLAN {CONVERSATIONS}");
    let Database::Sqlite(pool, _) = &store.database else { panic!("it is SQLite") };
    let steps: Vec<(i64, i64, i64, String)> =
        sqlx::query_as(sqlx::AssertSqlSafe(plan)).bind("bob").fetch_all(pool).await.unwrap();
    let of_messages = steps.iter().map(|(.., step)| step.as_str());
    let of_messages: Vec<_> =
        of_messages.filter(|step| step.contains(" direct_messages ")).collect();
    // The rows themselves are looked at for the last messages only, by their ids.
    let is_bounded = |step: &&str| {
        step.starts_with("SEARCH direct_messages USING COVERING INDEX") && step.contains("_id=?")
    };
    assert_eq!(of_messages.len(), 6, "{steps:?}");
    assert!(of_messages.iter().all(is_bounded), "{steps:?}");
}

#[tokio::test]
async fn what_is_sent_and_delivered_in_one_batch_is_told_in_order() {
    let store = store().await;
    let message = message(5, "alice", "bob");
    // The same twice in one batch is one row, too.
    store.save(&[message.clone(), message.clone()]).await.unwrap();
    let delivered = advance(&message, Status::Delivered, Some("bob"));
    let all = [delivered.clone(), advance(&message, Status::Sent, None), delivered];
    let advanced = store.advance(&all, "pod-1", 9).await.unwrap();
    let told: Vec<_> = advanced.iter().map(|one| one.event.status).collect();
    assert_eq!(told, [Status::Sent, Status::Delivered]);
}

/// It was: whoever took one of many, or one that was sent at last, cleared the count of all, or
/// none; and a pod that died in between never said that anything had arrived.
#[tokio::test]
async fn what_was_told_as_unsent_is_taken_back_by_the_outbox() {
    let store = store().await;
    let all = [message(1, "alice", "bob"), message(2, "alice", "bob"), message(3, "al", "bob")];
    let ids = all.clone().map(|message| message.message_id);
    store.save(&all).await.unwrap();
    store.mark_unsent(&ids[..2]).await.unwrap();
    let delivered = [&all[0], &all[2]].map(|one| advance(one, Status::Delivered, Some("bob")));
    store.advance(&delivered, "pod-1", 9).await.unwrap();
    store.inherit_outbox("pod-1", "pod-2").await.unwrap();
    let told = store.outbox("pod-2").await.unwrap();
    let unsent = |id| told.iter().find(|told| told.event.message_id == id).map(|it| it.was_unsent);
    assert_eq!(ids.map(unsent), [Some(true), None, Some(false)]);
    let mut arrived = store.delivered_of(&ids).await.unwrap();
    arrived.sort_unstable();
    assert_eq!(arrived, [ids[0], ids[2]]);
}

/// It was: "1" to carol was taken for the "1" that bob had got yesterday, and was told as delivered.
#[tokio::test]
async fn an_id_that_is_used_again_for_something_else_is_not_taken_for_the_first() {
    let store = store().await;
    let first = message(5, "alice", "bob");
    store.save(std::slice::from_ref(&first)).await.unwrap();
    let to_carol = Message { reciever_id: "carol".into(), ..first.clone() };
    let reworded = Message { payload: "another text".into(), ..first.clone() };
    let again = Message { placed_us: 9, ..first.clone() };
    let saved = store.save(&[to_carol, reworded, again.clone()]).await.unwrap();
    assert_eq!(saved[..2], [Kept::Another; 2]);
    assert_eq!(store.save(&[again]).await.unwrap(), [Kept::It(Status::None, 5)]);
}

/// It was: nobody gave up a database whose host had vanished, for a quarter of an hour.
#[tokio::test]
async fn a_database_that_does_not_answer_is_given_up_after_a_while() {
    let store = store().await;
    let message = message(5, "alice", "bob");
    let said = |result: Result<()>| result.unwrap_err().to_string();
    let turn = store.database.turn().await;
    tokio::time::pause();
    let saved = store.save(std::slice::from_ref(&message)).await.map(drop);
    assert!(said(saved).contains("no answer within 30 s"));
    let delivered = advance(&message, Status::Delivered, Some("bob"));
    let advanced = store.advance(&[delivered], "pod-1", 9).await.map(drop);
    assert!(said(advanced).contains("no answer within 30 s"));
    drop(turn);
    tokio::time::resume();
    let Database::Sqlite(pool, _) = &store.database else { panic!("it is SQLite") };
    // The only connection.
    let held = pool.acquire().await.unwrap();
    tokio::time::pause();
    let found = store.undelivered("bob", Place::FIRST).await.map(drop);
    assert!(said(found).contains("no answer within 10 s"));
    assert!(said(store.account("bob").await.map(drop)).contains("no answer within 10 s"));
    tokio::time::resume();
    drop(held);
    // What was given up is tried again.
    let saved = store.save(&[message]).await.unwrap();
    assert_eq!(saved, [Kept::It(Status::None, 5)]);
}

/// A page that ended within a microsecond lost the rest of it.
#[tokio::test]
async fn no_message_falls_between_two_pages() {
    let store = store().await;
    let many = usize::try_from(PAGE).unwrap() + 50;
    let all: Vec<_> = (0..many).map(|_| message(7, "alice", "bob")).collect();
    store.save(&all).await.unwrap();
    let last = store.history("alice", "bob", Place::LAST).await.unwrap();
    let cursor: Place = last[0].place().to_string().parse().unwrap();
    let first = store.history("alice", "bob", cursor).await.unwrap();
    assert_eq!((first.len(), first.len() + last.len()), (50, many));
    assert!(first.iter().all(|message| message.place() < last[0].place()));
    let waiting = store.undelivered("bob", Place::FIRST).await.unwrap();
    let rest = store.undelivered("bob", waiting[waiting.len() - 1].place()).await.unwrap();
    assert_eq!(waiting.len() + rest.len(), many);
    assert_eq!("yesterday".parse::<Place>(), Err(NoPlace));
}

#[tokio::test]
async fn sqlite_conforms() {
    let database = Database::in_memory().await.unwrap();
    super::conformance::check(&database).await.unwrap();
    super::conformance::check(&database).await.unwrap();
}
