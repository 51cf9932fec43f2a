//! Sessions, and the refresh tokens by which they go on: each is good once.
//!
//! All tokens of a session are its family. One that is presented again is either that of a page
//! which never got the answer, or stolen. The successor tells which: as long as nobody has used it,
//! it is replaced; otherwise two hold the session, and it ends.

use klamm_utils::clock::{Clock as _, SystemClock};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{AuthError, Settings};
use crate::db::{Database, Migration};
use crate::on;

pub(super) const TABLE: Migration = Migration {
    name: "refresh_tokens",
    sql: "CREATE TABLE refresh_tokens(
            hash BYTEA PRIMARY KEY, family UUID NOT NULL, user_id UUID NOT NULL,
            expires_at BIGINT NOT NULL, used_at BIGINT, revoked_at BIGINT);
          CREATE INDEX refresh_tokens_family ON refresh_tokens(family);
          CREATE INDEX refresh_tokens_user ON refresh_tokens(user_id)",
};

/// That a session ended is said in one row, which nothing can slip past.
pub(super) const SESSIONS: Migration = Migration {
    name: "sessions",
    sql: "CREATE TABLE sessions(
            family UUID PRIMARY KEY, user_id UUID NOT NULL, expires_at BIGINT NOT NULL,
            ended_at BIGINT);
          CREATE INDEX sessions_user ON sessions(user_id);
          CREATE INDEX sessions_expire ON sessions(expires_at);
          CREATE INDEX sessions_ended ON sessions(ended_at) WHERE ended_at IS NOT NULL;
          INSERT INTO sessions SELECT family, user_id, MAX(expires_at), MAX(revoked_at)
            FROM refresh_tokens GROUP BY family, user_id;
          ALTER TABLE refresh_tokens ADD COLUMN next BYTEA;
          CREATE INDEX refresh_tokens_expire ON refresh_tokens(expires_at)",
};

const INSERT: &str = "INSERT INTO refresh_tokens(hash, family, user_id, expires_at)
                      VALUES ($1, $2, $3, $4)";

/// What a session goes on with.
pub(super) struct Next {
    pub(super) user_id: Uuid,
    pub(super) family: Uuid,
    pub(super) token: String,
}

/// What came of an attempt to go on.
pub(super) enum Rotated {
    /// The session goes on.
    Next(Next),
    /// Two hold this session: it was ended.
    Replayed(Uuid),
}

/// The first token of a new session.
pub(super) async fn begin(
    (settings, database): (&Settings, &Database),
    user_id: Uuid,
) -> Result<Next, AuthError> {
    let (token, hash) = fresh()?;
    let (family, expires_at) = (Uuid::now_v7(), now_ms() + lifetime_ms(settings));
    on!(database, pool => {
        let mut transaction = pool.begin_with(database.begin()).await?;
        sqlx::query("INSERT INTO sessions(family, user_id, expires_at) VALUES ($1, $2, $3)")
            .bind(family)
            .bind(user_id)
            .bind(expires_at)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(INSERT)
            .bind(&hash[..])
            .bind(family)
            .bind(user_id)
            .bind(expires_at)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
    });
    forget_expired(database).await;
    Ok(Next { user_id, family, token })
}

/// Uses a token up and gives its successor, both or neither.
pub(super) async fn rotate(
    (settings, database): (&Settings, &Database),
    token: &str,
) -> Result<Rotated, AuthError> {
    let (hash, now) = (hash_of(token), now_ms());
    let (next, next_hash) = fresh()?;
    let expires_at = now + lifetime_ms(settings);
    let rotated = on!(database, pool => {
        let mut transaction = pool.begin_with(database.begin()).await?;
        // The row of the session is locked from here on: one request of it at a time.
        let session: Option<(Uuid, Uuid)> = sqlx::query_as(
            "UPDATE sessions SET expires_at = $1 WHERE ended_at IS NULL
             AND family = (SELECT family FROM refresh_tokens WHERE hash = $2 AND expires_at > $3)
             RETURNING user_id, family",
        )
        .bind(expires_at)
        .bind(&hash[..])
        .bind(now)
        .fetch_optional(&mut *transaction)
        .await?;
        let (user_id, family) = session.ok_or(AuthError::NotLoggedIn)?;
        let (used_at, successor): (Option<i64>, Option<Vec<u8>>) =
            sqlx::query_as("SELECT used_at, next FROM refresh_tokens WHERE hash = $1")
                .bind(&hash[..])
                .fetch_one(&mut *transaction)
                .await?;
        if used_at.is_some_and(|used_at| now - used_at < leeway_ms(settings)) {
            return Err(AuthError::Refreshing);
        }
        let goes_on = match (used_at, successor) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(_), Some(successor)) => {
                // Whoever holds it after all is a second one.
                let replaced = sqlx::query(
                    "UPDATE refresh_tokens SET used_at = $1 WHERE hash = $2 AND used_at IS NULL",
                )
                .bind(now)
                .bind(successor)
                .execute(&mut *transaction)
                .await?;
                replaced.rows_affected() == 1
            }
        };
        if goes_on {
            sqlx::query("UPDATE refresh_tokens SET used_at = $1, next = $2 WHERE hash = $3")
                .bind(now)
                .bind(&next_hash[..])
                .bind(&hash[..])
                .execute(&mut *transaction)
                .await?;
            sqlx::query(INSERT)
                .bind(&next_hash[..])
                .bind(family)
                .bind(user_id)
                .bind(expires_at)
                .execute(&mut *transaction)
                .await?;
        } else {
            sqlx::query("UPDATE sessions SET ended_at = $1 WHERE family = $2")
                .bind(now)
                .bind(family)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        match goes_on {
            true => Rotated::Next(Next { user_id, family, token: next }),
            false => Rotated::Replayed(family),
        }
    });
    forget_expired(database).await;
    Ok(rotated)
}

/// Whether this session has begun and has not ended.
pub(super) async fn goes_on(database: &Database, family: Uuid) -> Result<bool, sqlx::Error> {
    let found: Option<(i64,)> = on!(database, pool => {
        sqlx::query_as("SELECT expires_at FROM sessions WHERE family = $1 AND ended_at IS NULL")
            .bind(family)
            .fetch_optional(pool)
            .await?
    });
    Ok(found.is_some())
}

/// The sessions that were ended since.
pub(super) async fn ended_since(
    database: &Database,
    since_ms: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let ended: Vec<(Uuid,)> = on!(database, pool => {
        sqlx::query_as("SELECT family FROM sessions WHERE ended_at >= $1")
            .bind(since_ms)
            .fetch_all(pool)
            .await?
    });
    Ok(ended.into_iter().map(|(family,)| family).collect())
}

/// Ends the session of this token. None if there is none that goes on.
pub(super) async fn end_of(database: &Database, token: &str) -> Result<Option<Uuid>, sqlx::Error> {
    let hash = hash_of(token);
    let ended: Option<(Uuid,)> = on!(database, pool => {
        sqlx::query_as(
            "UPDATE sessions SET ended_at = $1 WHERE ended_at IS NULL
             AND family = (SELECT family FROM refresh_tokens WHERE hash = $2) RETURNING family",
        )
        .bind(now_ms())
        .bind(&hash[..])
        .fetch_optional(pool)
        .await?
    });
    Ok(ended.map(|(family,)| family))
}

/// Ends all sessions of a user.
pub(super) async fn end_all(database: &Database, user_id: Uuid) -> Result<Vec<Uuid>, sqlx::Error> {
    let ended: Vec<(Uuid,)> = on!(database, pool => {
        sqlx::query_as(
            "UPDATE sessions SET ended_at = $1 WHERE user_id = $2 AND ended_at IS NULL
             RETURNING family",
        )
        .bind(now_ms())
        .bind(user_id)
        .fetch_all(pool)
        .await?
    });
    Ok(ended.into_iter().map(|(family,)| family).collect())
}

/// What expired tells nothing any more.
async fn forget_expired(database: &Database) {
    for delete in [
        "DELETE FROM refresh_tokens WHERE expires_at < $1",
        "DELETE FROM sessions WHERE expires_at < $1",
    ] {
        let deleted =
            on!(database, pool => sqlx::query(delete).bind(now_ms()).execute(pool).await.map(drop));
        if let Err(error) = deleted {
            tracing::debug!(%error, "what expired is deleted next time");
        }
    }
}

/// A token of 256 bits, and what is kept of it.
fn fresh() -> Result<(String, [u8; 32]), AuthError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|_| AuthError::Invalid("No randomness"))?;
    let token: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = hash_of(&token);
    Ok((token, hash))
}

fn hash_of(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn lifetime_ms(settings: &Settings) -> i64 {
    i64::try_from(settings.refresh_lifetime.as_millis()).unwrap_or(i64::MAX / 2)
}

fn leeway_ms(settings: &Settings) -> i64 {
    i64::try_from(settings.refresh_leeway.as_millis()).unwrap_or(i64::MAX / 2)
}

pub(super) fn now_ms() -> i64 {
    SystemClock::new().now_ms()
}
