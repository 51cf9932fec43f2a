//! What the tables do in every kind of database. `compat/apps/roles` runs it on a real PostgreSQL.

use anyhow::ensure;
use common::db::{Database, is_refusal};
use uuid::Uuid;

use super::{Advance, Kept, MIGRATIONS, Message, PAGE, Place, Store};
use crate::status::Status;

/// Runs all checks. It may be run again on the same database.
pub async fn check(database: &Database) -> anyhow::Result<()> {
    database.migrate(MIGRATIONS).await?;
    let store = Store::new(database.clone());
    let [alice, bob, pod] =
        ["alice", "bob", "pod"].map(|name| format!("{name}-{}", Uuid::now_v7()));
    let message = |placed_us, payload: &str| Message {
        message_id: Uuid::now_v7(),
        sender_id: alice.clone(),
        reciever_id: bob.clone(),
        payload: payload.into(),
        status: 0,
        placed_us,
        sent_at: None,
        delivered_at: None,
    };
    let (one, two) = (message(1_000, "one"), message(1_000, "two"));
    let saved = store.save(&[two.clone(), one.clone(), two.clone()]).await?;
    ensure!(saved == [Kept::It(Status::None, 1_000); 3], "{saved:?}");
    let moved = Message { placed_us: 9, ..one.clone() };
    let saved = store.save(&[moved]).await?;
    ensure!(
        saved == [Kept::It(Status::None, 1_000)],
        "one that is known keeps its place: {saved:?}"
    );
    let reworded = Message { payload: "three".into(), ..one.clone() };
    let to_herself = Message { reciever_id: alice.clone(), ..one.clone() };
    let saved = store.save(&[reworded.clone(), to_herself, reworded]).await?;
    ensure!(saved == [Kept::Another; 3], "an id is that of one message: {saved:?}");

    store.mark_unsent(&[one.message_id, two.message_id]).await?;
    let ids = [one.message_id, two.message_id];
    ensure!(store.delivered_of(&ids).await?.is_empty(), "both wait");
    let step = |message: &Message, status, by: Option<&str>| Advance {
        message_id: message.message_id,
        status,
        by: by.map(Into::into),
    };
    let all = [
        step(&two, Status::Delivered, Some(&bob)),
        step(&one, Status::Delivered, Some(&alice)),
        step(&two, Status::Sent, None),
        step(&one, Status::Sent, None),
        step(&two, Status::Delivered, Some(&bob)),
    ];
    let advanced = store.advance(&all, &pod, 7).await?;
    let told: Vec<_> = advanced.iter().map(|step| step.event.status).collect();
    ensure!(told == [Status::Sent, Status::Sent, Status::Delivered], "{told:?}");
    ensure!(advanced.iter().all(|step| step.was_unsent), "{advanced:?}");
    ensure!(store.advance(&all, &pod, 8).await?.is_empty(), "a step is made once");
    let delivered = step(&one, Status::Delivered, Some(&bob));
    ensure!(store.advance(&[delivered], &pod, 9).await?.len() == 1, "the last of them");
    let delivered = store.delivered_of(&ids).await?;
    ensure!(
        delivered.len() == 2 && delivered.contains(&ids[0]),
        "both have arrived: {delivered:?}"
    );

    let heir = format!("{pod}-heir");
    store.inherit_outbox(&pod, &heir).await?;
    let events = store.outbox(&heir).await?;
    ensure!(events.len() == 4 && store.outbox(&pod).await?.is_empty(), "{events:?}");
    ensure!(events.iter().all(|step| step.was_unsent), "it is to be taken back: {events:?}");
    store.clear_outbox(&events).await?;
    ensure!(store.outbox(&heir).await?.is_empty(), "what was told is gone");

    let rest: Vec<_> = (0..PAGE).map(|_| message(2_000, "later")).collect();
    store.save(&rest).await?;
    let waiting = store.undelivered(&bob, Place::FIRST).await?;
    ensure!(waiting.len() == rest.len(), "{} wait", waiting.len());
    let last = store.history(&alice, &bob, Place::LAST).await?;
    let first = store.history(&bob, &alice, last[0].place()).await?;
    let texts: Vec<_> = first.iter().map(|message| message.payload.as_str()).collect();
    ensure!(texts == ["one", "two"], "{texts:?}");
    ensure!((first[0].sent_at, first[0].delivered_at) == (Some(7), Some(9)), "{:?}", first[0]);
    let with = store.conversations(&bob).await?;
    let [alone] = &with[..] else { anyhow::bail!("one has written: {with:?}") };
    ensure!((alone.last_message.as_str(), alone.last_at) == ("later", 2), "{alone:?}");

    let refused = store.save(&[message(3_000, "a\0b")]).await;
    match database {
        Database::Sqlite(..) => ensure!(refused.is_ok(), "SQLite keeps every text"),
        Database::Postgres(_) => ensure!(
            refused.as_ref().is_err_and(is_refusal),
            "a text that is never taken is told from a database that is away: {refused:?}"
        ),
    }
    Ok(())
}
