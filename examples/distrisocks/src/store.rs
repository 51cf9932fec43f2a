//! The tables of messages: who wrote what to whom, and how far it is. Only pods write them.

pub mod conformance;
mod place;
mod write;

use std::collections::BTreeSet;

use common::db::{Database, Migration};
use common::on;
use serde::Serialize;
use uuid::Uuid;

use crate::status::Status;
use crate::wire::StatusEvent;

pub use place::{NoPlace, Place};
pub use write::is_of_data;

/// What the tables are. `placed_us` is the order of messages: microseconds since 1970, made unique
/// within a pod.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
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
    },
    // Whether the service of unsent messages was told of it.
    Migration {
        name: "direct messages that were told as unsent",
        sql: "ALTER TABLE direct_messages ADD COLUMN unsent BOOLEAN NOT NULL DEFAULT FALSE",
    },
];

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

impl Message {
    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { placed_us: self.placed_us, message_id: self.message_id }
    }
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
    /// Whether the service of unsent messages was told of it.
    pub was_unsent: bool,
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

    /// What has not reached a user, in order, behind a place: at most [`PAGE`].
    pub async fn undelivered(&self, user: &str, behind: Place) -> Result<Vec<Message>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM direct_messages \
             WHERE reciever_id = $1 AND status < 2 AND (placed_us, message_id) > ($2, $3) \
             ORDER BY placed_us, message_id LIMIT $4"
        );
        let rows: Vec<Row> = on!(&self.database, pool => {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(user)
                .bind(behind.placed_us)
                .bind(behind.message_id)
                .bind(PAGE)
                .fetch_all(pool)
                .await
        })?;
        Ok(rows.into_iter().map(Message::from).collect())
    }

    /// What two have written to each other before a place, oldest first: at most [`PAGE`].
    pub async fn history(&self, one: &str, other: &str, before: Place) -> Result<Vec<Message>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM direct_messages \
             WHERE ((sender_id = $1 AND reciever_id = $2) OR (sender_id = $2 AND reciever_id = $1)) \
             AND (placed_us, message_id) < ($3, $4) \
             ORDER BY placed_us DESC, message_id DESC LIMIT $5"
        );
        let rows: Vec<Row> = on!(&self.database, pool => {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(one)
                .bind(other)
                .bind(before.placed_us)
                .bind(before.message_id)
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

    /// Of these pairs of receiver and sender, those between whom nothing waits of what was told as
    /// unsent.
    pub async fn with_nothing_unsent(
        &self,
        pairs: BTreeSet<(String, String)>,
    ) -> Result<Vec<(String, String)>> {
        // One is enough to know: thousands may wait.
        const SQL: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM direct_messages \
             WHERE reciever_id = $1 AND sender_id = $2 AND status < 2 AND unsent LIMIT 1) AS left_";
        let mut found = Vec::new();
        for (receiver, sender) in pairs {
            let (left,): (i64,) = on!(&self.database, pool => {
                sqlx::query_as(SQL).bind(&receiver).bind(&sender).fetch_one(pool).await?
            });
            if left == 0 {
                found.push((receiver, sender));
            }
        }
        Ok(found)
    }

    /// The user of this name as its account has it, whatever the case; none if there is no account.
    pub async fn account(&self, name: &str) -> Result<Option<String>> {
        const SQL: &str = "SELECT username FROM users WHERE username_key = $1";
        let key = common::auth::normal(name);
        let found: Option<(String,)> =
            on!(&self.database, pool => sqlx::query_as(SQL).bind(key).fetch_optional(pool).await?);
        Ok(found.map(|(username,)| username))
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
mod tests;
