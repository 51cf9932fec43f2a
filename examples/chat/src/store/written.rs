//! What the database writer does: rows, and how far they have come.

use std::collections::HashMap;

use common::db::Database;
use common::on;
use klamm_utils::clock::{Clock as _, SystemClock};
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite};

use crate::message::Message;

/// A message, and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct NewRow {
    pub(crate) message: Message,
    pub(crate) part: i32,
    pub(crate) offset: i64,
}

/// How far a group has come in a partition: it was at `from` and is now at `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advance {
    pub(crate) part: i32,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// Why rows were not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// Another consumer has gone on in this partition, or it was never ours.
    #[error("another consumer has gone on in partition {0}")]
    Overtaken(i32),
    /// The messages in the database are those of another topic of this name.
    #[error("the topic was made anew")]
    OtherTopic,
    /// The database has not answered for long.
    #[error("the database does not answer")]
    Slow,
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Where the group goes on in each partition, as the database has it.
pub(crate) async fn offsets(
    database: &Database,
    group: &str,
    topic: &str,
) -> Result<HashMap<i32, i64>, sqlx::Error> {
    let select = "SELECT part, next_off FROM consumer_offsets WHERE grp = $1 AND topic = $2";
    let rows: Vec<(i64, i64)> = on!(database, pool => sqlx::query_as(select).bind(group).bind(topic).fetch_all(pool).await?);
    let rows = rows.into_iter();
    Ok(rows.filter_map(|(part, next)| Some((i32::try_from(part).ok()?, next))).collect())
}

/// What the database has noted of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// Its messages are those in the database.
    Known,
    /// It is new under this name. So many messages of the one before were put away.
    Begun(u64),
    /// One that came after it is known: whoever tells of this one is behind.
    Over,
    /// The messages in the database are those of a topic of another name.
    OtherName,
}

/// Notes the topic from which messages come. Offsets mean something within one topic only: when it
/// is another one under the same name, the messages of the one before are put away, into
/// `messages_before`, and everybody has read nothing yet.
pub(crate) async fn begin_era(
    database: &Database,
    topic: &str,
    topic_id: &str,
) -> Result<Era, sqlx::Error> {
    on!(database, pool => {
        let mut transaction = pool.begin_with(database.begin()).await?;
        sqlx::query(database.takes_long()).execute(&mut *transaction).await?;
        if matches!(database, Database::Postgres(_)) {
            // One at a time, and not while somebody writes.
            sqlx::query("LOCK TABLE topics IN EXCLUSIVE MODE").execute(&mut *transaction).await?;
        }
        let known: Vec<(i64, String, String)> =
            sqlx::query_as("SELECT era, id, topic FROM topics ORDER BY era DESC")
                .fetch_all(&mut *transaction)
                .await?;
        let last = known.first();
        if last.is_some_and(|(_, id, _)| id == topic_id) {
            return Ok(Era::Known);
        }
        if known.iter().any(|(_, id, _)| id == topic_id) {
            return Ok(Era::Over);
        }
        if last.is_some_and(|(_, _, name)| name != topic) {
            return Ok(Era::OtherName);
        }
        let (mut put_away, now) = (0, SystemClock::new().now_ms());
        if let Some((_, before, _)) = last {
            sqlx::query("UPDATE topics SET ended_at = $1 WHERE ended_at IS NULL")
                .bind(now)
                .execute(&mut *transaction)
                .await?;
            put_away = sqlx::query(
                "INSERT INTO messages_before SELECT $1, id, room, sender, sender_name, kind,
                   content, server, part, off, client_msg_id, created_at FROM messages",
            )
            .bind(before)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            for change in [
                "DELETE FROM messages",
                "DELETE FROM consumer_offsets",
                "UPDATE room_members SET read_offset = -1",
            ] {
                sqlx::query(change).execute(&mut *transaction).await?;
            }
        }
        sqlx::query("INSERT INTO topics(era, topic, id) VALUES ($1, $2, $3)")
            .bind(last.map_or(0, |(era, ..)| era + 1))
            .bind(topic)
            .bind(topic_id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Era::Begun(put_away))
    })
}

/// Writes rows and how far they bring the group, both or neither. How many of the rows are no
/// copies of others.
pub(crate) async fn write(
    database: &Database,
    (group, topic, topic_id): (&str, &str, &str),
    rows: &[NewRow],
    advances: &[Advance],
) -> Result<u64, WriteError> {
    on!(database, pool => {
        let mut transaction = pool.begin_with(database.begin()).await?;
        // As long as this goes on nobody puts the messages of this topic away.
        let era: Option<(i64,)> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT era FROM topics WHERE id = $1 AND ended_at IS NULL{}",
            database.lock()
        )))
        .bind(topic_id)
        .fetch_optional(&mut *transaction)
        .await?;
        if era.is_none() {
            return Err(WriteError::OtherTopic);
        }
        for advance in advances {
            let advanced = sqlx::query(
                "INSERT INTO consumer_offsets VALUES ($1, $2, $3, $4)
                 ON CONFLICT (grp, topic, part) DO UPDATE SET next_off = $4
                 WHERE consumer_offsets.next_off = $5",
            )
            .bind(group)
            .bind(topic)
            .bind(i64::from(advance.part))
            .bind(advance.to)
            .bind(advance.from)
            .execute(&mut *transaction)
            .await?;
            if advanced.rows_affected() != 1 {
                return Err(WriteError::Overtaken(advance.part));
            }
        }
        let mut new = 0;
        for rows in rows.chunks(ROWS_MAX) {
            new += rows.insert(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(new)
    })
}

/// Fails as [`write`] would for these rows, and writes nothing.
pub(crate) async fn rehearse(database: &Database, rows: &[NewRow]) -> Result<(), sqlx::Error> {
    on!(database, pool => {
        let mut transaction = pool.begin_with(database.begin()).await?;
        for rows in rows.chunks(ROWS_MAX) {
            rows.insert(&mut *transaction).await?;
        }
        transaction.rollback().await
    })
}

/// How many rows go into one statement.
const ROWS_MAX: usize = 500;

/// The statement that each kind of database takes many rows with, and how many were new.
trait Insert<Connection> {
    async fn insert(self, connection: Connection) -> Result<u64, sqlx::Error>;
}

impl Insert<&mut sqlx::SqliteConnection> for &[NewRow] {
    async fn insert(self, connection: &mut sqlx::SqliteConnection) -> Result<u64, sqlx::Error> {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO messages(id, room, sender, sender_name, kind, content, server, part, off,
             client_msg_id, created_at) ",
        );
        insert.push_values(self, |mut row, NewRow { message, part, offset }| {
            row.push_bind(message.id)
                .push_bind(&message.room)
                .push_bind(message.sender)
                .push_bind(&message.sender_name)
                .push_bind(&message.kind)
                .push_bind(&message.content)
                .push_bind(&message.server)
                .push_bind(i64::from(*part))
                .push_bind(*offset)
                .push_bind(&message.client_msg_id)
                .push_bind(message.created_at);
        });
        insert.push(" ON CONFLICT (id) DO NOTHING");
        Ok(insert.build().execute(connection).await?.rows_affected())
    }
}

impl Insert<&mut sqlx::PgConnection> for &[NewRow] {
    async fn insert(self, connection: &mut sqlx::PgConnection) -> Result<u64, sqlx::Error> {
        let texts = |text: fn(&Message) -> &str| -> Vec<String> {
            self.iter().map(|row| text(&row.message).to_owned()).collect()
        };
        let insert = "INSERT INTO messages(id, room, sender, sender_name, kind, content, server,
                        part, off, client_msg_id, created_at)
                      SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[],
                        $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[],
                        $10::text[], $11::bigint[])
                      ON CONFLICT (id) DO NOTHING";
        let client_ids: Vec<Option<String>> =
            self.iter().map(|row| row.message.client_msg_id.clone()).collect();
        sqlx::query(insert)
            .bind(self.iter().map(|row| row.message.id).collect::<Vec<_>>())
            .bind(texts(|message| &message.room))
            .bind(self.iter().map(|row| row.message.sender).collect::<Vec<_>>())
            .bind(texts(|message| &message.sender_name))
            .bind(texts(|message| &message.kind))
            .bind(texts(|message| &message.content))
            .bind(texts(|message| &message.server))
            .bind(self.iter().map(|row| i64::from(row.part)).collect::<Vec<_>>())
            .bind(self.iter().map(|row| row.offset).collect::<Vec<_>>())
            .bind(client_ids)
            .bind(self.iter().map(|row| row.message.created_at).collect::<Vec<_>>())
            .execute(connection)
            .await
            .map(|inserted| inserted.rows_affected())
    }
}
