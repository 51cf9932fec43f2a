//! What changes rows. One transaction for many of them; on PostgreSQL one statement, too.
//!
//! Rows are locked by the order of their ids everywhere: otherwise two transactions could wait for
//! each other's.

use std::collections::{BTreeMap, BTreeSet};

use common::db::Database;
use uuid::Uuid;

use super::{Advance, Advanced, Kept, Message, Result, Store, WRITE_WITHIN, event, within};
use crate::status::Status;

/// What lies in a row that was saved now or before: its id, its receiver, the text, how far it is,
/// and its place.
type SavedRow = (Uuid, String, String, i16, i64);

/// What an update gives: whose message it was, for whom, and whether it was told as unsent.
type Updated = (Uuid, String, String, bool);

const SENT: &str = "status = 1, sent_at = $2";
const DELIVERED: &str = "status = 2, delivered_at = $2, sent_at = COALESCE(sent_at, $2)";

impl Store {
    /// Saves messages in one transaction, and tells what is kept of each: one that is known already
    /// keeps what it has.
    pub async fn save(&self, messages: &[Message]) -> Result<Vec<Kept>> {
        // The same twice in one batch is one row.
        let by_id: BTreeMap<_, _> = messages.iter().rev().map(|m| (m.message_id, m)).collect();
        let rows: Vec<&Message> = by_id.into_values().collect();
        let saved = within(WRITE_WITHIN, self.save_rows(&rows)).await?;
        let saved: BTreeMap<Uuid, SavedRow> = saved.into_iter().map(|row| (row.0, row)).collect();
        let found = messages.iter().map(|message| match saved.get(&message.message_id) {
            None => Err(sqlx::Error::RowNotFound),
            Some((_, receiver, payload, rank, placed_us)) => {
                let is_it = *receiver == message.reciever_id && *payload == message.payload;
                let it = || Kept::It(Status::of_rank(*rank), *placed_us);
                Ok(if is_it { it() } else { Kept::Another })
            }
        });
        found.collect()
    }

    async fn save_rows(&self, rows: &[&Message]) -> Result<Vec<SavedRow>> {
        let _turn = self.database.turn().await;
        match &self.database {
            Database::Sqlite(pool, _) => {
                let mut transaction = pool.begin_with(self.database.begin()).await?;
                let mut saved = Vec::with_capacity(rows.len());
                for row in rows {
                    saved.push(save_one(&mut transaction, row).await?);
                }
                transaction.commit().await?;
                Ok(saved)
            }
            Database::Postgres(pool) => save_all(pool, rows).await,
        }
    }

    /// Has messages go forward, and an event of each that did lie in the outbox of `pod`: both or
    /// neither.
    pub async fn advance(&self, all: &[Advance], pod: &str, at: i64) -> Result<Vec<Advanced>> {
        within(WRITE_WITHIN, self.advance_all(all, pod, at)).await
    }

    async fn advance_all(&self, all: &[Advance], pod: &str, at: i64) -> Result<Vec<Advanced>> {
        // Each once, by id; what was sent is told before what was delivered.
        let of = |status| {
            let of = all.iter().filter(|advance| advance.status == status);
            of.map(|advance| (advance.message_id, advance.by.as_deref())).collect::<BTreeSet<_>>()
        };
        let steps = [(SENT, Status::Sent), (DELIVERED, Status::Delivered)];
        let _turn = self.database.turn().await;
        let mut advanced = Vec::new();
        match &self.database {
            Database::Sqlite(pool, _) => {
                let mut transaction = pool.begin_with(self.database.begin()).await?;
                for (set, status) in steps {
                    for (id, by) in of(status) {
                        let updated = update_one(&mut transaction, set, (id, by), status, at);
                        if let Some(updated) = updated.await? {
                            let step = step(updated, status, at);
                            tell_one(&mut transaction, &step, pod).await?;
                            advanced.push(step);
                        }
                    }
                }
                transaction.commit().await?;
            }
            Database::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                lock(&mut transaction, all).await?;
                for (set, status) in steps {
                    let of = of(status);
                    if !of.is_empty() {
                        let updated = update_all(&mut transaction, set, &of, status, at).await?;
                        let new = updated.into_iter().map(|updated| step(updated, status, at));
                        advanced.extend(new);
                    }
                }
                tell_all(&mut transaction, &advanced, pod).await?;
                transaction.commit().await?;
            }
        }
        Ok(advanced)
    }

    /// What the outbox had was told.
    pub async fn clear_outbox(&self, told: &[Advanced]) -> Result<()> {
        within(WRITE_WITHIN, self.clear_events(told)).await
    }

    async fn clear_events(&self, told: &[Advanced]) -> Result<()> {
        let events = || told.iter().map(|advanced| &advanced.event);
        let _turn = self.database.turn().await;
        match &self.database {
            Database::Sqlite(pool, _) => {
                let mut transaction = pool.begin_with(self.database.begin()).await?;
                for event in events() {
                    sqlx::query("DELETE FROM direct_outbox WHERE message_id = $1 AND status = $2")
                        .bind(event.message_id)
                        .bind(event.status.rank())
                        .execute(&mut *transaction)
                        .await?;
                }
                transaction.commit().await
            }
            Database::Postgres(pool) => {
                let sql = "DELETE FROM direct_outbox AS kept \
                    USING unnest($1::uuid[], $2::smallint[]) AS gone(message_id, status) \
                    WHERE kept.message_id = gone.message_id AND kept.status = gone.status";
                sqlx::query(sql)
                    .bind(events().map(|event| event.message_id).collect::<Vec<_>>())
                    .bind(events().map(|event| event.status.rank()).collect::<Vec<_>>())
                    .execute(pool)
                    .await
                    .map(drop)
            }
        }
    }

    /// Of these messages is told that their receiver is away.
    pub async fn mark_unsent(&self, ids: &[Uuid]) -> Result<()> {
        within(WRITE_WITHIN, self.mark_all_unsent(ids)).await
    }

    async fn mark_all_unsent(&self, ids: &[Uuid]) -> Result<()> {
        let _turn = self.database.turn().await;
        match &self.database {
            Database::Sqlite(pool, _) => {
                let mut transaction = pool.begin_with(self.database.begin()).await?;
                for id in ids {
                    sqlx::query("UPDATE direct_messages SET unsent = TRUE WHERE message_id = $1")
                        .bind(id)
                        .execute(&mut *transaction)
                        .await?;
                }
                transaction.commit().await
            }
            Database::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                let lock = "SELECT 1 FROM direct_messages WHERE message_id = ANY($1) \
                     ORDER BY message_id FOR UPDATE";
                sqlx::query(lock).bind(ids).execute(&mut *transaction).await?;
                let sql = "UPDATE direct_messages SET unsent = TRUE WHERE message_id = ANY($1)";
                sqlx::query(sql).bind(ids).execute(&mut *transaction).await?;
                transaction.commit().await
            }
        }
    }

    /// What a dead pod was to tell is another's to tell.
    pub async fn inherit_outbox(&self, dead: &str, pod: &str) -> Result<()> {
        const SQL: &str = "UPDATE direct_outbox SET pod = $2 WHERE pod = $1";
        let inherits = async {
            let _turn = self.database.turn().await;
            common::on!(&self.database, pool => {
                sqlx::query(SQL).bind(dead).bind(pod).execute(pool).await.map(drop)
            })
        };
        within(WRITE_WITHIN, inherits).await
    }
}

fn step((id, sender, receiver, was_unsent): Updated, status: Status, at: i64) -> Advanced {
    Advanced { event: event(id, status, sender, receiver, at), was_unsent }
}

type Sqlite = sqlx::SqliteConnection;
type Postgres = sqlx::PgConnection;

async fn save_one(connection: &mut Sqlite, row: &Message) -> Result<SavedRow> {
    // To write the id over itself is how a row that is there is returned.
    let sql = "INSERT INTO direct_messages(message_id, sender_id, reciever_id, payload, status, \
         placed_us) VALUES ($1, $2, $3, $4, 0, $5) \
         ON CONFLICT (message_id) DO UPDATE SET message_id = excluded.message_id \
         RETURNING message_id, reciever_id, payload, status, placed_us";
    sqlx::query_as(sql)
        .bind(row.message_id)
        .bind(&row.sender_id)
        .bind(&row.reciever_id)
        .bind(&row.payload)
        .bind(row.placed_us)
        .fetch_one(connection)
        .await
}

async fn save_all(pool: &sqlx::PgPool, rows: &[&Message]) -> Result<Vec<SavedRow>> {
    let sql = "INSERT INTO direct_messages(message_id, sender_id, reciever_id, payload, status, \
         placed_us) SELECT id, sender, receiver, payload, 0, placed_us \
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[]) \
           AS new(id, sender, receiver, payload, placed_us) \
         ON CONFLICT (message_id) DO UPDATE SET message_id = excluded.message_id \
         RETURNING message_id, reciever_id, payload, status, placed_us";
    let texts =
        |text: fn(&Message) -> &String| rows.iter().map(|row| text(row)).collect::<Vec<_>>();
    sqlx::query_as(sql)
        .bind(rows.iter().map(|row| row.message_id).collect::<Vec<_>>())
        .bind(texts(|row| &row.sender_id))
        .bind(texts(|row| &row.reciever_id))
        .bind(texts(|row| &row.payload))
        .bind(rows.iter().map(|row| row.placed_us).collect::<Vec<_>>())
        .fetch_all(pool)
        .await
}

async fn update_one(
    connection: &mut Sqlite,
    set: &'static str,
    (id, by): (Uuid, Option<&str>),
    status: Status,
    at: i64,
) -> Result<Option<Updated>> {
    let sql = format!(
        "UPDATE direct_messages SET {set} WHERE message_id = $1 AND status < $3 \
         AND ($4 IS NULL OR reciever_id = $4) RETURNING message_id, sender_id, reciever_id, unsent"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(id)
        .bind(at)
        .bind(status.rank())
        .bind(by)
        .fetch_optional(connection)
        .await
}

async fn tell_one(connection: &mut Sqlite, step: &Advanced, pod: &str) -> Result<()> {
    let sql = "INSERT INTO direct_outbox(message_id, status, pod, sender_id, reciever_id, at, \
         unsent) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    let Advanced { event, was_unsent } = step;
    sqlx::query(sql)
        .bind(event.message_id)
        .bind(event.status.rank())
        .bind(pod)
        .bind(&event.sender_id)
        .bind(&event.reciever_id)
        .bind(event.at)
        .bind(was_unsent)
        .execute(connection)
        .await
        .map(drop)
}

async fn lock(connection: &mut Postgres, all: &[Advance]) -> Result<()> {
    let sql = "SELECT 1 FROM direct_messages WHERE message_id = ANY($1) \
         ORDER BY message_id FOR UPDATE";
    let ids: Vec<_> = all.iter().map(|advance| advance.message_id).collect();
    sqlx::query(sql).bind(ids).execute(connection).await.map(drop)
}

async fn update_all(
    connection: &mut Postgres,
    set: &'static str,
    all: &BTreeSet<(Uuid, Option<&str>)>,
    status: Status,
    at: i64,
) -> Result<Vec<Updated>> {
    let sql = format!(
        "UPDATE direct_messages AS kept SET {set} \
         FROM unnest($1::uuid[], $4::text[]) AS news(id, by) \
         WHERE kept.message_id = news.id AND kept.status < $3 \
         AND (news.by IS NULL OR kept.reciever_id = news.by) \
         RETURNING kept.message_id, kept.sender_id, kept.reciever_id, kept.unsent"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(all.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(at)
        .bind(status.rank())
        .bind(all.iter().map(|(_, by)| *by).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
}

async fn tell_all(connection: &mut Postgres, all: &[Advanced], pod: &str) -> Result<()> {
    let sql = "INSERT INTO direct_outbox(message_id, status, pod, sender_id, reciever_id, at, \
         unsent) SELECT id, status, $2, sender, receiver, at, unsent \
         FROM unnest($1::uuid[], $3::smallint[], $4::text[], $5::text[], $6::bigint[], $7::bool[]) \
           AS new(id, status, sender, receiver, at, unsent) \
         ON CONFLICT DO NOTHING";
    let events = || all.iter().map(|advanced| &advanced.event);
    sqlx::query(sql)
        .bind(events().map(|event| event.message_id).collect::<Vec<_>>())
        .bind(pod)
        .bind(events().map(|event| event.status.rank()).collect::<Vec<_>>())
        .bind(events().map(|event| &event.sender_id).collect::<Vec<_>>())
        .bind(events().map(|event| &event.reciever_id).collect::<Vec<_>>())
        .bind(events().map(|event| event.at).collect::<Vec<_>>())
        .bind(all.iter().map(|advanced| advanced.was_unsent).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}
