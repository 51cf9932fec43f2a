//! The tables of the chat.

mod written;

use common::auth::Auth;
use common::db::{Database, Migration};
use common::on;
use klamm_utils::clock::{Clock as _, SystemClock};
use serde::Serialize;
use sqlx::QueryBuilder;
use uuid::Uuid;

pub(crate) use self::written::{
    Advance, Era, NewRow, WriteError, begin_era, offsets, rehearse, write,
};
use crate::message::{Message, Placed};
use crate::pointers::Far;
use crate::searches;

const TABLES: Migration = Migration {
    name: "chat",
    sql: "CREATE TABLE rooms(name TEXT PRIMARY KEY, created_by UUID, created_at BIGINT NOT NULL);
          CREATE TABLE room_members(
            room TEXT NOT NULL, user_id UUID NOT NULL, user_name TEXT NOT NULL,
            joined_at BIGINT NOT NULL, read_offset BIGINT NOT NULL, PRIMARY KEY (room, user_id));
          CREATE TABLE messages(
            id UUID PRIMARY KEY, room TEXT NOT NULL, sender UUID NOT NULL,
            sender_name TEXT NOT NULL, kind TEXT NOT NULL, content TEXT NOT NULL,
            server TEXT NOT NULL, part BIGINT NOT NULL, off BIGINT NOT NULL,
            client_msg_id TEXT, created_at BIGINT NOT NULL, UNIQUE (part, off));
          CREATE INDEX messages_room ON messages(room, off);
          CREATE TABLE consumer_offsets(
            grp TEXT NOT NULL, topic TEXT NOT NULL, part BIGINT NOT NULL,
            next_off BIGINT NOT NULL, PRIMARY KEY (grp, topic, part))",
};

/// The rows of `messages` are of one topic: that of these which has not ended.
const TOPICS: Migration = Migration {
    name: "chat_topics",
    sql: "CREATE TABLE topics(era BIGINT PRIMARY KEY, topic TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
            ended_at BIGINT);
          CREATE TABLE messages_before(
            topic_id TEXT NOT NULL, id UUID NOT NULL, room TEXT NOT NULL, sender UUID NOT NULL,
            sender_name TEXT NOT NULL, kind TEXT NOT NULL, content TEXT NOT NULL,
            server TEXT NOT NULL, part BIGINT NOT NULL, off BIGINT NOT NULL, client_msg_id TEXT,
            created_at BIGINT NOT NULL, PRIMARY KEY (topic_id, part, off))",
};

/// Everything that the chat's services need of a database, accounts included.
pub(crate) fn migrations() -> Vec<Migration> {
    Auth::MIGRATIONS.iter().copied().chain([TABLES, TOPICS]).collect()
}

/// What is shown of a room before it is opened.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Listed {
    pub(crate) room: String,
    pub(crate) members_online: usize,
    pub(crate) last_message: Option<Placed>,
    /// Up to [`UNREAD_MAX`].
    pub(crate) unread: i64,
}

/// Which messages of a room: those before an offset, or those behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Range {
    Before(i64),
    After(i64),
}

type Row = (Uuid, Option<String>, String, Uuid, String, String, String, String, i64, i64);

const COLUMNS: &str =
    "id, client_msg_id, room, sender, sender_name, kind, content, server, off, created_at";

fn placed(row: Row) -> Placed {
    let (id, client_msg_id, room, sender, sender_name, kind, content, server, offset, created_at) =
        row;
    let message =
        Message { id, client_msg_id, room, sender, sender_name, kind, content, server, created_at };
    Placed { message, offset }
}

/// Messages of a room in their order: the `limit` that are nearest to the range's end.
pub(crate) async fn history(
    database: &Database,
    room: &str,
    range: Range,
    limit: usize,
) -> Result<Vec<Placed>, sqlx::Error> {
    let (condition, order, offset) = match range {
        Range::Before(offset) => ("off < $2", "DESC", offset),
        Range::After(offset) => ("off > $2", "ASC", offset),
    };
    let select = format!(
        "SELECT {COLUMNS} FROM messages WHERE room = $1 AND {condition} ORDER BY off {order} LIMIT $3"
    );
    let (select, limit) = (sqlx::AssertSqlSafe(select), i64::try_from(limit).unwrap_or(i64::MAX));
    let rows: Vec<Row> = on!(database, pool => {
        sqlx::query_as(select).bind(room).bind(offset).bind(limit).fetch_all(pool).await?
    });
    let mut messages: Vec<Placed> = rows.into_iter().map(placed).collect();
    messages.sort_by_key(|placed| placed.offset);
    Ok(messages)
}

/// The newest messages that have all of this in them, in rooms of which the user is a member.
/// PostgreSQL ends it when nobody waits for it any more.
pub(crate) async fn search(
    database: &Database,
    user: Uuid,
    text: &str,
) -> Result<Vec<Placed>, sqlx::Error> {
    let (has_it, pattern) = has(database, text);
    let select = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM messages WHERE {has_it}
         AND room IN (SELECT room FROM room_members WHERE user_id = $2)
         ORDER BY created_at DESC LIMIT 50"
    ));
    let rows: Vec<Row> = on!(database, pool => {
        let mut transaction = pool.begin().await?;
        sqlx::query(database.ends_within(searches::WITHIN)).execute(&mut *transaction).await?;
        let search = sqlx::query_as(select).bind(pattern).bind(user);
        search.fetch_all(&mut *transaction).await?
    });
    Ok(rows.into_iter().map(placed).collect())
}

/// The condition that a message has this text in it, whatever the case, and the pattern for it.
fn has(database: &Database, text: &str) -> (&'static str, String) {
    match database {
        // Its `lower` and `LIKE` take Ä and ä for two letters.
        Database::Sqlite(..) => {
            let letters = text.chars().map(|letter| format!(r"\x{{{:x}}}", u32::from(letter)));
            ("content REGEXP $1", format!("(?i){}", letters.collect::<String>()))
        }
        Database::Postgres(_) => ("lower(content) LIKE $1 ESCAPE '!'", like(text)),
    }
}

fn like(text: &str) -> String {
    let mut escaped = String::from("%");
    for letter in text.to_lowercase().chars() {
        if matches!(letter, '%' | '_' | '!') {
            escaped.push('!');
        }
        escaped.push(letter);
    }
    escaped + "%"
}

/// The rooms of this user, with what it has not read, and then the others: where something was said
/// last comes first. Counted is up to [`UNREAD_MAX`], and each room costs the same, whatever is in it.
pub(crate) async fn rooms(database: &Database, user: Uuid) -> Result<Vec<Listed>, sqlx::Error> {
    let select = sqlx::AssertSqlSafe(format!(
        "WITH listed AS MATERIALIZED (
           SELECT r.name, m.user_id AS reader, m.read_offset,
             (SELECT MAX(off) FROM messages WHERE room = r.name) AS last_off
           FROM rooms r LEFT JOIN room_members m ON m.room = r.name AND m.user_id = $1)
         SELECT l.name,
           (SELECT COUNT(*) FROM (SELECT 1 FROM messages x WHERE x.room = l.name
              AND x.off > l.read_offset AND x.sender <> l.reader LIMIT {UNREAD_MAX}) unread),
           {COLUMNS}
         FROM listed l LEFT JOIN messages ON room = l.name AND off = l.last_off
         ORDER BY CASE WHEN l.reader IS NULL THEN 1 ELSE 0 END, COALESCE(created_at, 0) DESC, l.name
         LIMIT {ROOMS_MAX}"
    ));
    type Row = (
        String,
        i64,
        Option<Uuid>,
        Option<String>,
        Option<String>,
        Option<Uuid>,
        Option<String>,
        Option<String>,
        Option<String>,
        Option<String>,
        Option<i64>,
        Option<i64>,
    );
    let rows: Vec<Row> =
        on!(database, pool => sqlx::query_as(select).bind(user).fetch_all(pool).await?);
    let listed = |row: Row| {
        let (name, unread, id, client, room, sender, sender_name, kind, content, server, off, at) =
            row;
        let last = (|| {
            let row =
                (id?, client, room?, sender?, sender_name?, kind?, content?, server?, off?, at?);
            Some(placed(row))
        })();
        Listed { room: name, members_online: 0, last_message: last, unread }
    };
    Ok(rows.into_iter().map(listed).collect())
}

/// Pages show more than 99 as `99+`.
const UNREAD_MAX: i64 = 100;

/// How many rooms are listed.
const ROOMS_MAX: i64 = 500;

/// Whether there is such a room.
pub(crate) async fn has_room(database: &Database, room: &str) -> Result<bool, sqlx::Error> {
    let select = "SELECT created_at FROM rooms WHERE name = $1";
    on!(database, pool => {
        let found: Option<(i64,)> = sqlx::query_as(select).bind(room).fetch_optional(pool).await?;
        Ok(found.is_some())
    })
}

/// Makes a room, if it is not there.
pub(crate) async fn make_room(
    database: &Database,
    room: &str,
    by: Uuid,
) -> Result<bool, sqlx::Error> {
    let insert = "INSERT INTO rooms VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let now = SystemClock::new().now_ms();
    on!(database, pool => {
        let made = sqlx::query(insert).bind(room).bind(by).bind(now).execute(pool).await?;
        Ok(made.rows_affected() == 1)
    })
}

/// Makes somebody a member, who has read nothing that comes from now on.
pub(crate) async fn add_member(
    database: &Database,
    room: &str,
    (user, name): (Uuid, &str),
    read_offset: i64,
) -> Result<(), sqlx::Error> {
    let insert = "INSERT INTO room_members VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let now = SystemClock::new().now_ms();
    on!(database, pool => {
        let row = sqlx::query(insert).bind(room).bind(user).bind(name).bind(now);
        row.bind(read_offset).execute(pool).await.map(drop)
    })
}

/// Makes somebody a member no more.
pub(crate) async fn remove_member(
    database: &Database,
    room: &str,
    user: Uuid,
) -> Result<(), sqlx::Error> {
    let delete = "DELETE FROM room_members WHERE room = $1 AND user_id = $2";
    on!(database, pool => {
        sqlx::query(delete).bind(room).bind(user).execute(pool).await.map(drop)
    })
}

/// Members of a room: who they are, and how far they have read.
pub(crate) async fn members(
    database: &Database,
    room: &str,
) -> Result<Vec<(Uuid, String, i64)>, sqlx::Error> {
    let select = "SELECT user_id, user_name, read_offset FROM room_members WHERE room = $1
                  ORDER BY user_name LIMIT 1000";
    on!(database, pool => sqlx::query_as(select).bind(room).fetch_all(pool).await)
}

/// How many rows one statement changes: their values must not be too many for it.
const ROWS_MAX: usize = 500;

/// Moves read pointers of members forward.
pub(crate) async fn read_all(database: &Database, far: &Far) -> Result<(), sqlx::Error> {
    let rows = far.iter().flat_map(|(room, users)| {
        users.iter().map(move |(user, offset)| (room.to_string(), *user, *offset))
    });
    let rows: Vec<(String, Uuid, i64)> = rows.collect();
    on!(database, pool => {
        for rows in rows.chunks(ROWS_MAX) {
            let mut update = QueryBuilder::new("WITH far(room, user_id, offs) AS (");
            update.push_values(rows, |mut row, (room, user, offset)| {
                row.push_bind(room.clone()).push_bind(*user).push_bind(*offset);
            });
            update.push(
                ") UPDATE room_members SET read_offset = far.offs FROM far
                 WHERE room_members.room = far.room AND room_members.user_id = far.user_id
                 AND room_members.read_offset < far.offs",
            );
            update.build().persistent(false).execute(pool).await?;
        }
        Ok(())
    })
}

/// How far a member has read, and the last offset of the room.
pub(crate) async fn read_and_head(
    database: &Database,
    room: &str,
    user: Uuid,
) -> Result<(Option<i64>, Option<i64>), sqlx::Error> {
    let select = "SELECT (SELECT read_offset FROM room_members WHERE room = $1 AND user_id = $2),
                         (SELECT MAX(off) FROM messages WHERE room = $1)";
    on!(database, pool => sqlx::query_as(select).bind(room).bind(user).fetch_one(pool).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn database(contents: &[&str]) -> (Database, Uuid) {
        let (database, user) = (Database::in_memory().await.unwrap(), Uuid::from_u128(7));
        database.migrate(&migrations()).await.unwrap();
        add_member(&database, "a", (user, "alice"), -1).await.unwrap();
        begin_era(&database, "t", "id").await.unwrap();
        let rows = contents.iter().zip(0..).map(|(content, offset)| {
            let mut message = crate::room::placed("a", offset).message;
            (*content).clone_into(&mut message.content);
            NewRow { message, part: 0, offset }
        });
        let rows: Vec<_> = rows.collect();
        write(&database, ("g", "t", "id"), &rows, &[]).await.unwrap();
        (database, user)
    }

    /// It was: capitals other than A to Z were found by nobody.
    #[tokio::test]
    async fn letters_of_all_languages_are_found_whatever_their_case() {
        let (database, user) = database(&["Kein Ärger", "Привет", "100% a.b!_", "a\nb"]).await;
        for (text, count) in [
            ("Ärger", 1),
            ("ärger", 1),
            ("ПРИВЕТ", 1),
            ("привет", 1),
            ("KEIN", 1),
            ("0% A.B!_", 1),
            ("a.b", 1),
            ("%", 1),
            ("_", 1),
            (".*", 0),
            ("\\x", 0),
            ("(", 0),
            ("A\nB", 1),
        ] {
            let found = search(&database, user, text).await.unwrap();
            assert_eq!(found.len(), count, "{text:?}");
        }
    }
}
