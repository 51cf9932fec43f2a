//! Refresh tokens: each is good once, and a second use ends its family.

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

const INSERT: &str = "INSERT INTO refresh_tokens(hash, family, user_id, expires_at)
                      VALUES ($1, $2, $3, $4)";

/// What came of an attempt to go on.
pub(super) enum Rotated {
    /// The user, and the token to go on with.
    Next(Uuid, String),
    /// The token was used before; all of its family was revoked.
    Replayed(Uuid),
}

/// The first token of a new family.
pub(super) async fn begin(
    (settings, database): (&Settings, &Database),
    user_id: Uuid,
) -> Result<String, AuthError> {
    let (token, hash) = fresh()?;
    let expires_at = now_ms() + lifetime_ms(settings);
    on!(database, pool => {
        sqlx::query(INSERT)
            .bind(&hash[..])
            .bind(Uuid::now_v7())
            .bind(user_id)
            .bind(expires_at)
            .execute(pool)
            .await?;
        // What ended long ago tells nothing any more.
        sqlx::query("DELETE FROM refresh_tokens WHERE user_id = $1 AND expires_at < $2")
            .bind(user_id)
            .bind(now_ms())
            .execute(pool)
            .await?;
    });
    Ok(token)
}

/// Uses a token up and gives its successor, both or neither.
pub(super) async fn rotate(
    (settings, database): (&Settings, &Database),
    token: &str,
) -> Result<Rotated, AuthError> {
    let (hash, now) = (hash_of(token), now_ms());
    let (next, next_hash) = fresh()?;
    let used: Option<(Uuid, Uuid)> = on!(database, pool => {
        let mut transaction = pool.begin_with(database.begin()).await?;
        let used: Option<(Uuid, Uuid)> = sqlx::query_as(
            "UPDATE refresh_tokens SET used_at = $1
             WHERE hash = $2 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > $1
             RETURNING user_id, family",
        )
        .bind(now)
        .bind(&hash[..])
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some((user_id, family)) = used {
            sqlx::query(INSERT)
                .bind(&next_hash[..])
                .bind(family)
                .bind(user_id)
                .bind(now + lifetime_ms(settings))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        used
    });
    match used {
        Some((user_id, _)) => Ok(Rotated::Next(user_id, next)),
        None => refused((settings, database), &hash).await,
    }
}

/// Why a token was not good, with what follows from it.
async fn refused(
    (settings, database): (&Settings, &Database),
    hash: &[u8],
) -> Result<Rotated, AuthError> {
    let found: Option<(Uuid, Uuid, Option<i64>, Option<i64>)> = on!(database, pool => {
        sqlx::query_as(
            "SELECT user_id, family, used_at, revoked_at FROM refresh_tokens WHERE hash = $1",
        )
        .bind(hash)
        .fetch_optional(pool)
        .await?
    });
    let Some((user_id, family, Some(used_at), None)) = found else {
        return Err(AuthError::NotLoggedIn);
    };
    if u128::try_from(now_ms() - used_at).unwrap_or(0) < settings.refresh_leeway.as_millis() {
        return Err(AuthError::Refreshing);
    }
    revoke_family(database, family).await?;
    Ok(Rotated::Replayed(user_id))
}

pub(super) async fn revoke_family_of(database: &Database, token: &str) -> Result<(), sqlx::Error> {
    let hash = hash_of(token);
    let found: Option<(Uuid,)> = on!(database, pool => {
        sqlx::query_as("SELECT family FROM refresh_tokens WHERE hash = $1")
            .bind(&hash[..])
            .fetch_optional(pool)
            .await?
    });
    match found {
        Some((family,)) => revoke_family(database, family).await,
        None => Ok(()),
    }
}

async fn revoke_family(database: &Database, family: Uuid) -> Result<(), sqlx::Error> {
    on!(database, pool => {
        sqlx::query(
            "UPDATE refresh_tokens SET revoked_at = $1 WHERE family = $2 AND revoked_at IS NULL",
        )
        .bind(now_ms())
        .bind(family)
        .execute(pool)
        .await
        .map(drop)
    })
}

pub(super) async fn revoke_all(database: &Database, user_id: Uuid) -> Result<(), sqlx::Error> {
    on!(database, pool => {
        sqlx::query(
            "UPDATE refresh_tokens SET revoked_at = $1 WHERE user_id = $2 AND revoked_at IS NULL",
        )
        .bind(now_ms())
        .bind(user_id)
        .execute(pool)
        .await
        .map(drop)
    })
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

fn now_ms() -> i64 {
    SystemClock::new().now_ms()
}
