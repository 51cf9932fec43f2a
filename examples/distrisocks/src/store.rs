//! The tables of messages: who wrote what to whom, and how far it is. Only pods write them.

pub mod conformance;
mod place;
mod write;

use std::time::Duration;

use common::db::{Database, Migration};
use common::on;
use serde::Serialize;
use uuid::Uuid;

use crate::status::Status;
use crate::wire::StatusEvent;

pub use place::{NoPlace, Place};

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
    // Whether that service is to be told that it has arrived.
    Migration {
        name: "direct outbox of what was told as unsent",
        sql: "ALTER TABLE direct_outbox ADD COLUMN unsent BOOLEAN NOT NULL DEFAULT FALSE",
    },
    // From one pair of users to the next, and to the last message of each.
    Migration {
        name: "direct messages by pairs",
        sql: "CREATE INDEX direct_messages_to
            ON direct_messages(sender_id, reciever_id, placed_us, message_id);
          CREATE INDEX direct_messages_from
            ON direct_messages(reciever_id, sender_id, placed_us, message_id);
          DROP INDEX direct_messages_sent",
    },
];

/// A look that takes longer is given up.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// A change that takes longer is given up. What it has done after all is found when it is tried
/// again.
const WRITE_WITHIN: Duration = Duration::from_secs(30);

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
    /// Whether the service of unsent messages was told of the message.
    pub was_unsent: bool,
}

/// What the tables have under the id of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The message, which is so far, and its place.
    It(Status, i64),
    /// One for somebody else, or with another text.
    Another,
}

/// The tables. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
}

type Result<T> = std::result::Result<T, sqlx::Error>;

/// What a call gives, if it does so in time: a host that has vanished says nothing, and neither does
/// its connection for a quarter of an hour.
async fn within<T>(limit: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
        let why = format!("no answer within {} s", limit.as_secs());
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, why).into())
    })
}

const COLUMNS: &str = "message_id, sender_id, reciever_id, payload, status, placed_us, sent_at, \
                       delivered_at";

/// From one pair to the next, there and back, and to the last message of each.
const CONVERSATIONS: &str = "WITH RECURSIVE \
 written_to(username) AS ( \
   SELECT MIN(reciever_id) FROM direct_messages WHERE sender_id = $1 \
   UNION ALL SELECT (SELECT MIN(reciever_id) FROM direct_messages \
       WHERE sender_id = $1 AND reciever_id > written_to.username) \
     FROM written_to WHERE written_to.username IS NOT NULL), \
 heard_of(username) AS ( \
   SELECT MIN(sender_id) FROM direct_messages WHERE reciever_id = $1 \
   UNION ALL SELECT (SELECT MIN(sender_id) FROM direct_messages \
       WHERE reciever_id = $1 AND sender_id > heard_of.username) \
     FROM heard_of WHERE heard_of.username IS NOT NULL), \
 people AS (SELECT username FROM written_to UNION SELECT username FROM heard_of) \
 SELECT people.username, last.payload, last.placed_us / 1000 FROM people \
 JOIN direct_messages AS last ON last.message_id = ( \
   SELECT message_id FROM ( \
     SELECT * FROM (SELECT message_id, placed_us FROM direct_messages \
       WHERE sender_id = $1 AND reciever_id = people.username \
       ORDER BY placed_us DESC, message_id DESC LIMIT 1) AS theirs \
     UNION ALL \
     SELECT * FROM (SELECT message_id, placed_us FROM direct_messages \
       WHERE reciever_id = $1 AND sender_id = people.username \
       ORDER BY placed_us DESC, message_id DESC LIMIT 1) AS ours \
   ) AS both_ ORDER BY placed_us DESC, message_id DESC LIMIT 1) \
 ORDER BY last.placed_us DESC LIMIT 100";

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
        let found = async {
            on!(&self.database, pool => {
                sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(sql))
                    .bind(user)
                    .bind(behind.placed_us)
                    .bind(behind.message_id)
                    .bind(PAGE)
                    .fetch_all(pool)
                    .await
            })
        };
        let rows = within(READ_WITHIN, found).await?;
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
        let found = async {
            on!(&self.database, pool => {
                sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(sql))
                    .bind(one)
                    .bind(other)
                    .bind(before.placed_us)
                    .bind(before.message_id)
                    .bind(PAGE)
                    .fetch_all(pool)
                    .await
            })
        };
        let rows = within(READ_WITHIN, found).await?;
        Ok(rows.into_iter().rev().map(Message::from).collect())
    }

    /// With whom a user has written, the latest first. It costs as much as there are others, however
    /// much they wrote: the index is gone through from one pair to the next.
    pub async fn conversations(&self, user: &str) -> Result<Vec<Conversation>> {
        let found = async {
            on!(&self.database, pool => {
                sqlx::query_as::<_, (String, String, i64)>(CONVERSATIONS)
                    .bind(user)
                    .fetch_all(pool)
                    .await
            })
        };
        let rows = within(READ_WITHIN, found).await?.into_iter();
        let conversation =
            |(username, last_message, last_at)| Conversation { username, last_message, last_at };
        Ok(rows.map(conversation).collect())
    }

    /// What a pod is to tell, oldest first.
    pub async fn outbox(&self, pod: &str) -> Result<Vec<Advanced>> {
        const SQL: &str = "SELECT message_id, status, sender_id, reciever_id, at, unsent \
             FROM direct_outbox WHERE pod = $1 ORDER BY at, status LIMIT 500";
        type Row = (Uuid, i16, String, String, i64, bool);
        let found = async {
            on!(&self.database, pool => {
                sqlx::query_as::<_, Row>(SQL).bind(pod).fetch_all(pool).await
            })
        };
        let rows = within(READ_WITHIN, found).await?.into_iter();
        let told = rows.map(|(message_id, rank, sender, receiver, at, was_unsent)| {
            let event = event(message_id, Status::of_rank(rank), sender, receiver, at);
            Advanced { event, was_unsent }
        });
        Ok(told.collect())
    }

    /// Which of these messages have reached their receivers.
    pub async fn delivered_of(&self, ids: &[Uuid]) -> Result<Vec<Uuid>> {
        const ONE: &str =
            "SELECT message_id FROM direct_messages WHERE message_id = $1 AND status = 2";
        const ALL: &str =
            "SELECT message_id FROM direct_messages WHERE message_id = ANY($1) AND status = 2";
        let found = async {
            match &self.database {
                Database::Sqlite(pool, _) => {
                    let mut found = Vec::new();
                    for id in ids {
                        let one = sqlx::query_scalar::<_, Uuid>(ONE).bind(id);
                        found.extend(one.fetch_optional(pool).await?);
                    }
                    Ok(found)
                }
                Database::Postgres(pool) => sqlx::query_scalar(ALL).bind(ids).fetch_all(pool).await,
            }
        };
        within(READ_WITHIN, found).await
    }

    /// The user of this name as its account has it, whatever the case; none if there is no account.
    pub async fn account(&self, name: &str) -> Result<Option<String>> {
        const SQL: &str = "SELECT username FROM users WHERE username_key = $1";
        let key = common::auth::normal(name);
        let found = async {
            on!(&self.database, pool => {
                sqlx::query_as::<_, (String,)>(SQL).bind(key).fetch_optional(pool).await
            })
        };
        Ok(within(READ_WITHIN, found).await?.map(|(username,)| username))
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
