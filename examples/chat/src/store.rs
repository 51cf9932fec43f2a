//! The tables of the chat.

use std::collections::HashMap;

use common::auth::Auth;
use common::db::{Database, Migration};
use common::on;
use klamm_utils::clock::{Clock as _, SystemClock};
use serde::Serialize;
use sqlx::{QueryBuilder, Sqlite};
use uuid::Uuid;

use crate::message::{Message, Placed};
use crate::pointers::Far;

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

/// Everything that the chat's services need of a database, accounts included.
pub(crate) fn migrations() -> Vec<Migration> {
    Auth::MIGRATIONS.iter().copied().chain([TABLES]).collect()
}

/// What is shown of a room before it is opened.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Listed {
    pub(crate) room: String,
    pub(crate) members_online: usize,
    pub(crate) last_message: Option<Placed>,
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
pub(crate) async fn search(
    database: &Database,
    user: Uuid,
    text: &str,
) -> Result<Vec<Placed>, sqlx::Error> {
    let select = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM messages WHERE lower(content) LIKE $1 ESCAPE '!'
         AND room IN (SELECT room FROM room_members WHERE user_id = $2)
         ORDER BY created_at DESC LIMIT 50"
    ));
    let mut escaped = String::from("%");
    for letter in text.to_lowercase().chars() {
        if matches!(letter, '%' | '_' | '!') {
            escaped.push('!');
        }
        escaped.push(letter);
    }
    escaped.push('%');
    let rows: Vec<Row> = on!(database, pool => {
        sqlx::query_as(select).bind(escaped).bind(user).fetch_all(pool).await?
    });
    Ok(rows.into_iter().map(placed).collect())
}

/// All rooms, with what this user has not read of those it is a member of.
pub(crate) async fn rooms(database: &Database, user: Uuid) -> Result<Vec<Listed>, sqlx::Error> {
    let select = "SELECT r.name, (SELECT COUNT(*) FROM messages x
                    WHERE x.room = r.name AND x.off > m.read_offset AND x.sender <> m.user_id)
                  FROM rooms r LEFT JOIN room_members m ON m.room = r.name AND m.user_id = $1
                  ORDER BY r.name LIMIT 500";
    let rows: Vec<(String, i64)> =
        on!(database, pool => sqlx::query_as(select).bind(user).fetch_all(pool).await?);
    let last = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM messages m JOIN
           (SELECT room AS last_room, MAX(off) AS last_off FROM messages GROUP BY room) l
         ON m.room = l.last_room AND m.off = l.last_off"
    ));
    let last: Vec<Row> = on!(database, pool => sqlx::query_as(last).fetch_all(pool).await?);
    let mut last: HashMap<String, Placed> =
        last.into_iter().map(|row| (row.2.clone(), placed(row))).collect();
    let rows = rows.into_iter().map(|(room, unread)| {
        let last_message = last.remove(&room);
        Listed { room, members_online: 0, last_message, unread }
    });
    Ok(rows.collect())
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
    make_room(database, room, user).await?;
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
pub(crate) async fn pointers(
    database: &Database,
    room: &str,
    user: Uuid,
) -> Result<(Option<i64>, Option<i64>), sqlx::Error> {
    let select = "SELECT (SELECT read_offset FROM room_members WHERE room = $1 AND user_id = $2),
                         (SELECT MAX(off) FROM messages WHERE room = $1)";
    on!(database, pool => sqlx::query_as(select).bind(room).bind(user).fetch_one(pool).await)
}

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

/// Writes rows and how far they bring the group, both or neither.
pub(crate) async fn write(
    database: &Database,
    (group, topic): (&str, &str),
    rows: &[NewRow],
    advances: &[Advance],
) -> Result<(), WriteError> {
    on!(database, pool => {
        let mut transaction = pool.begin_with(database.begin()).await?;
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
        for rows in rows.chunks(ROWS_MAX) {
            rows.insert(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    })
}

/// How many rows go into one statement.
const ROWS_MAX: usize = 500;

/// The statement that each kind of database takes many rows with.
trait Insert<Connection> {
    async fn insert(self, connection: Connection) -> Result<(), sqlx::Error>;
}

impl Insert<&mut sqlx::SqliteConnection> for &[NewRow] {
    async fn insert(self, connection: &mut sqlx::SqliteConnection) -> Result<(), sqlx::Error> {
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
        insert.push(" ON CONFLICT DO NOTHING");
        insert.build().execute(connection).await.map(drop)
    }
}

impl Insert<&mut sqlx::PgConnection> for &[NewRow] {
    async fn insert(self, connection: &mut sqlx::PgConnection) -> Result<(), sqlx::Error> {
        let texts = |text: fn(&Message) -> &str| -> Vec<String> {
            self.iter().map(|row| text(&row.message).to_owned()).collect()
        };
        let insert = "INSERT INTO messages(id, room, sender, sender_name, kind, content, server,
                        part, off, client_msg_id, created_at)
                      SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[],
                        $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[],
                        $10::text[], $11::bigint[])
                      ON CONFLICT DO NOTHING";
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
            .map(drop)
    }
}
