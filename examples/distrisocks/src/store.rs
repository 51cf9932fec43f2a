//! The tables of messages: who wrote what to whom, and how far it is. Only pods write them.

use common::db::{Database, Migration};
use common::on;
use serde::Serialize;
use uuid::Uuid;

use crate::status::Status;
use crate::wire::StatusEvent;

/// What the tables are. `placed_us` is the order of messages: microseconds since 1970, made unique
/// within a pod.
pub const MIGRATIONS: &[Migration] = &[Migration {
    name: "direct messages",
    sql: "CREATE TABLE direct_messages(
            message_id UUID PRIMARY KEY, sender_id TEXT NOT NULL, reciever_id TEXT NOT NULL,
            payload TEXT NOT NULL, status SMALLINT NOT NULL, placed_us BIGINT NOT NULL,
            sent_at BIGINT, delivered_at BIGINT);
          CREATE INDEX direct_messages_waiting
            ON direct_messages(reciever_id, status, placed_us);
          CREATE INDEX direct_messages_sent ON direct_messages(sender_id, placed_us);
          CREATE TABLE direct_outbox(
            message_id UUID NOT NULL, status SMALLINT NOT NULL, pod TEXT NOT NULL,
            sender_id TEXT NOT NULL, reciever_id TEXT NOT NULL, at BIGINT NOT NULL,
            PRIMARY KEY(message_id, status));
          CREATE INDEX direct_outbox_of ON direct_outbox(pod, at)",
}];

/// Messages of one answer, at most.
pub const PAGE: i64 = 200;

/// A message as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub message_id: Uuid,
    /// Who wrote it.
    pub sender_id: String,
    /// Whom it is for.
    pub reciever_id: String,
    /// What was written.
    pub payload: String,
    /// How far it is, as a number.
    pub status: i16,
    /// Where it stands among others.
    pub placed_us: i64,
    /// When the broker had it, in milliseconds since 1970.
    pub sent_at: Option<i64>,
    /// When its receiver had it.
    pub delivered_at: Option<i64>,
}

/// A row of [`COLUMNS`].
type Row = (Uuid, String, String, String, i16, i64, Option<i64>, Option<i64>);

impl From<Row> for Message {
    fn from(row: Row) -> Self {
        let (message_id, sender_id, reciever_id, payload, status, placed_us, sent_at, delivered_at) =
            row;
        Self {
            message_id,
            sender_id,
            reciever_id,
            payload,
            status,
            placed_us,
            sent_at,
            delivered_at,
        }
    }
}

/// The last message between a user and another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conversation {
    /// The other.
    pub username: String,
    /// What was written last.
    pub last_message: String,
    /// When, in milliseconds since 1970.
    pub last_at: i64,
    /// How many messages have not reached the user.
    pub waiting: i64,
}

/// What changes a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// Which message.
    pub message_id: Uuid,
    /// How far it is now.
    pub status: Status,
    /// Whoever says so must be its receiver; none of the pod itself.
    pub by: Option<String>,
}

/// A status that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advanced {
    /// What is told of it.
    pub event: StatusEvent,
    /// Whether it went to its receiver without having been sent: it was away.
    pub was_away: bool,
}

/// The tables. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
}

type Result<T> = std::result::Result<T, sqlx::Error>;

const COLUMNS: &str = "message_id, sender_id, reciever_id, payload, status, placed_us, sent_at, \
                       delivered_at";

impl Store {
    /// The tables of this database, which must have [`MIGRATIONS`].
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Saves messages in one transaction, and tells how far each is: one that is known already
    /// keeps what it has.
    pub async fn save(&self, messages: &[Message]) -> Result<Vec<(Status, i64)>> {
        // To write the id over itself is how a row that is there is returned by both databases.
        const SAVE: &str = "INSERT INTO direct_messages(message_id, sender_id, reciever_id, \
             payload, status, placed_us) VALUES ($1, $2, $3, $4, 0, $5) \
             ON CONFLICT (message_id) DO UPDATE SET message_id = excluded.message_id \
             RETURNING status, placed_us";
        on!(&self.database, pool => {
            let mut transaction = pool.begin_with(self.database.begin()).await?;
            let mut saved = Vec::with_capacity(messages.len());
            for message in messages {
                let (rank, placed_us): (i16, i64) = sqlx::query_as(SAVE)
                    .bind(message.message_id)
                    .bind(&message.sender_id)
                    .bind(&message.reciever_id)
                    .bind(&message.payload)
                    .bind(message.placed_us)
                    .fetch_one(&mut *transaction)
                    .await?;
                saved.push((Status::of_rank(rank), placed_us));
            }
            transaction.commit().await?;
            Ok(saved)
        })
    }

    /// Has messages go forward, and an event of each that did lie in the outbox of `pod`: both or
    /// neither.
    pub async fn advance(&self, all: &[Advance], pod: &str, at: i64) -> Result<Vec<Advanced>> {
        const SENT: &str = "UPDATE direct_messages SET status = 1, sent_at = $2 \
             WHERE message_id = $1 AND status < 1 RETURNING sender_id, reciever_id, sent_at";
        const DELIVERED: &str = "UPDATE direct_messages SET status = 2, delivered_at = $2 \
             WHERE message_id = $1 AND status < 2 AND reciever_id = $3 \
             RETURNING sender_id, reciever_id, sent_at";
        const EVENT: &str = "INSERT INTO direct_outbox(message_id, status, pod, sender_id, \
             reciever_id, at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
        // In one order everywhere: otherwise two of these could wait for each other's rows.
        let mut all: Vec<&Advance> = all.iter().collect();
        all.sort_by_key(|advance| advance.message_id);
        on!(&self.database, pool => {
            let mut transaction = pool.begin_with(self.database.begin()).await?;
            let mut advanced = Vec::new();
            for Advance { message_id, status, by } in &all {
                let update = match by {
                    None => sqlx::query_as(SENT).bind(message_id).bind(at),
                    Some(by) => sqlx::query_as(DELIVERED).bind(message_id).bind(at).bind(by),
                };
                let updated: Option<(String, String, Option<i64>)> =
                    update.fetch_optional(&mut *transaction).await?;
                let Some((sender_id, reciever_id, sent_at)) = updated else { continue };
                sqlx::query(EVENT)
                    .bind(message_id)
                    .bind(status.rank())
                    .bind(pod)
                    .bind(&sender_id)
                    .bind(&reciever_id)
                    .bind(at)
                    .execute(&mut *transaction)
                    .await?;
                let event = event(*message_id, *status, sender_id, reciever_id, at);
                advanced.push(Advanced { event, was_away: sent_at.is_none() });
            }
            transaction.commit().await?;
            Ok(advanced)
        })
    }

    /// What has not reached a user, in order, behind a place: at most [`PAGE`].
    pub async fn undelivered(&self, user: &str, behind_us: i64) -> Result<Vec<Message>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM direct_messages \
             WHERE reciever_id = $1 AND status < 2 AND placed_us > $2 \
             ORDER BY placed_us LIMIT $3"
        );
        let rows: Vec<Row> = on!(&self.database, pool => {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(user)
                .bind(behind_us)
                .bind(PAGE)
                .fetch_all(pool)
                .await
        })?;
        Ok(rows.into_iter().map(Message::from).collect())
    }

    /// What two have written to each other before a place, oldest first: at most [`PAGE`].
    pub async fn history(&self, one: &str, other: &str, before_us: i64) -> Result<Vec<Message>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM direct_messages \
             WHERE ((sender_id = $1 AND reciever_id = $2) OR (sender_id = $2 AND reciever_id = $1)) \
             AND placed_us < $3 ORDER BY placed_us DESC LIMIT $4"
        );
        let rows: Vec<Row> = on!(&self.database, pool => {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(one)
                .bind(other)
                .bind(before_us)
                .bind(PAGE)
                .fetch_all(pool)
                .await
        })?;
        Ok(rows.into_iter().rev().map(Message::from).collect())
    }

    /// With whom a user has written, the latest first.
    pub async fn conversations(&self, user: &str) -> Result<Vec<Conversation>> {
        const SQL: &str = "SELECT username, last_message, last_at, waiting FROM ( \
               SELECT username, payload AS last_message, placed_us / 1000 AS last_at, \
                 CAST(SUM(waits) OVER (PARTITION BY username) AS BIGINT) AS waiting, \
                 ROW_NUMBER() OVER (PARTITION BY username ORDER BY placed_us DESC) AS place \
               FROM (SELECT payload, placed_us, \
                   CASE WHEN sender_id = $1 THEN reciever_id ELSE sender_id END AS username, \
                   CASE WHEN reciever_id = $1 AND status < 2 THEN 1 ELSE 0 END AS waits \
                 FROM direct_messages WHERE sender_id = $1 OR reciever_id = $1) AS theirs \
             ) AS ranked WHERE place = 1 ORDER BY last_at DESC LIMIT 100";
        let rows: Vec<(String, String, i64, i64)> =
            on!(&self.database, pool => sqlx::query_as(SQL).bind(user).fetch_all(pool).await)?;
        let conversations = rows.into_iter().map(|(username, last_message, last_at, waiting)| {
            Conversation { username, last_message, last_at, waiting }
        });
        Ok(conversations.collect())
    }

    /// Events of a pod that are to be sent, oldest first.
    pub async fn outbox(&self, pod: &str) -> Result<Vec<StatusEvent>> {
        const SQL: &str = "SELECT message_id, status, sender_id, reciever_id, at \
             FROM direct_outbox WHERE pod = $1 ORDER BY at, status LIMIT 500";
        let rows: Vec<(Uuid, i16, String, String, i64)> =
            on!(&self.database, pool => sqlx::query_as(SQL).bind(pod).fetch_all(pool).await)?;
        let events = rows.into_iter().map(|(message_id, rank, sender, receiver, at)| {
            event(message_id, Status::of_rank(rank), sender, receiver, at)
        });
        Ok(events.collect())
    }

    /// Events were sent.
    pub async fn clear_outbox(&self, events: &[StatusEvent]) -> Result<()> {
        const SQL: &str = "DELETE FROM direct_outbox WHERE message_id = $1 AND status = $2";
        on!(&self.database, pool => {
            let mut transaction = pool.begin_with(self.database.begin()).await?;
            for event in events {
                sqlx::query(SQL)
                    .bind(event.message_id)
                    .bind(event.status.rank())
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await
        })
    }

    /// What a dead pod was to tell is another's to tell.
    pub async fn inherit_outbox(&self, dead: &str, pod: &str) -> Result<()> {
        const SQL: &str = "UPDATE direct_outbox SET pod = $2 WHERE pod = $1";
        on!(&self.database, pool => {
            sqlx::query(SQL).bind(dead).bind(pod).execute(pool).await.map(drop)
        })
    }
}

fn event(
    message_id: Uuid,
    status: Status,
    sender: String,
    receiver: String,
    at: i64,
) -> StatusEvent {
    let event = status.event().unwrap_or_default().into();
    StatusEvent { event, message_id, sender_id: sender, reciever_id: receiver, status, at }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(saved, [(Status::None, 5)]);
        let sent = advance(&message, Status::Sent, None);
        let delivered = advance(&message, Status::Delivered, Some("bob"));
        let by_mallory = advance(&message, Status::Delivered, Some("mallory"));
        let all = [by_mallory, delivered, sent];
        let advanced = store.advance(&all, "pod-1", 9).await.unwrap();
        assert_eq!(advanced.len(), 1, "neither another's word nor a step back counts");
        assert_eq!(advanced[0].event.event, "SET_STATUS_TO_DELIVERED");
        assert!(advanced[0].was_away);
        let again = store.save(std::slice::from_ref(&message)).await.unwrap();
        assert_eq!(again, [(Status::Delivered, 5)]);
        assert!(store.undelivered("bob", 0).await.unwrap().is_empty());
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
        assert_eq!((events.len(), events[0].event.as_str()), (1, "SET_STATUS_TO_SENT"));
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
        let waiting = store.undelivered("bob", 1_000).await.unwrap();
        assert_eq!(waiting, [all[2].clone(), all[3].clone()]);
        let history = store.history("bob", "alice", i64::MAX).await.unwrap();
        assert_eq!(history, all[..3]);
        let found = store.conversations("bob").await.unwrap();
        let found: Vec<_> =
            found.iter().map(|c| (c.username.as_str(), c.last_at, c.waiting)).collect();
        assert_eq!(found, [("carol", 4, 1), ("alice", 3, 2)]);
    }
}
