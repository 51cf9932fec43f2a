//! The table of users.

use klamm_utils::clock::{Clock as _, SystemClock};
use serde::Serialize;
use sqlx::AssertSqlSafe;
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

use super::{AuthError, password};
use crate::db::{Database, Migration, is_duplicate, is_duplicate_of};
use crate::on;

pub(super) const TABLE: Migration = Migration {
    name: "users",
    sql: "CREATE TABLE users(
            user_id UUID PRIMARY KEY, username TEXT NOT NULL, username_key TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL, email TEXT UNIQUE, password_hash TEXT NOT NULL,
            created_at BIGINT NOT NULL)",
};

/// Nobody may be called as the bot is.
const RESERVED: [&str; 2] = ["superchat", "system"];

/// An account as others may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// Which never changes.
    pub user_id: Uuid,
    /// By which others address it.
    pub username: String,
    /// What it wants to be called.
    pub name: String,
    /// Where to write to.
    pub email: Option<String>,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// An account to be made.
#[derive(Clone, Default)]
pub struct NewUser {
    /// Letters, digits, `_`, `-` and `.`; unique, whatever the case.
    pub username: String,
    /// 8 to 256 bytes.
    pub password: String,
    /// The username, if it is empty.
    pub name: String,
    /// Unique, if there is one.
    pub email: Option<String>,
}

/// What a user is looked up by.
#[derive(Clone, Copy, Debug)]
pub enum UserKey<'a> {
    /// The id.
    Id(Uuid),
    /// The username, whatever the case.
    Username(&'a str),
    /// The address.
    Email(&'a str),
    /// What it wants to be called; one of them, if several do.
    Name(&'a str),
}

/// A username in the one form that is compared.
#[must_use]
pub fn normal(username: &str) -> String {
    username.trim().nfkc().collect::<String>().to_lowercase()
}

impl NewUser {
    /// The same in normal form, if it is possible.
    pub(super) fn checked(self) -> Result<Self, AuthError> {
        let username: String = self.username.trim().nfkc().collect();
        let password = password::normal(&self.password);
        let letter = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
        if !(1..=32).contains(&username.chars().count()) || !username.chars().all(letter) {
            return Err(AuthError::Invalid(
                "Username must have 1 to 32 letters, digits, dots, dashes or underscores",
            ));
        }
        if RESERVED.contains(&&*normal(&username)) {
            return Err(AuthError::Taken);
        }
        if !(8..=256).contains(&password.len()) {
            return Err(AuthError::Invalid("Password must have 8 to 256 characters"));
        }
        let name: String = self.name.trim().nfkc().take(64).collect();
        let name = if name.is_empty() { username.clone() } else { name };
        let email = self.email.map(|email| email.trim().to_lowercase());
        let email = email.filter(|email| !email.is_empty());
        if email.as_ref().is_some_and(|email| email.len() > 254 || !email.contains('@')) {
            return Err(AuthError::Invalid("This is not an e-mail address"));
        }
        Ok(Self { username, password, name, email })
    }
}

pub(super) async fn insert(
    database: &Database,
    new: &NewUser,
    password_hash: &str,
) -> Result<User, AuthError> {
    let user = User {
        user_id: Uuid::now_v7(),
        username: new.username.clone(),
        name: new.name.clone(),
        email: new.email.clone(),
        created_at: SystemClock::new().now_ms(),
    };
    let inserted = on!(database, pool => {
        sqlx::query("INSERT INTO users VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(user.user_id)
            .bind(&user.username)
            .bind(normal(&user.username))
            .bind(&user.name)
            .bind(&user.email)
            .bind(password_hash)
            .bind(user.created_at)
            .execute(pool)
            .await
            .map(drop)
    });
    match inserted {
        Ok(()) => Ok(user),
        Err(error) if is_duplicate_of(&error, "email") => Err(AuthError::EmailTaken),
        Err(error) if is_duplicate(&error) => Err(AuthError::Taken),
        Err(error) => Err(error.into()),
    }
}

/// The user with this name, and what is kept of its password.
pub(super) async fn credentials(
    database: &Database,
    username: &str,
) -> Result<Option<(User, String)>, sqlx::Error> {
    // One query, whether there is such a user or not: nobody can tell by the time it takes.
    let select = "SELECT user_id, username, name, email, created_at, password_hash FROM users
                  WHERE username_key = $1";
    type Found = (Uuid, String, String, Option<String>, i64, String);
    let found: Option<Found> = on!(database, pool => {
        sqlx::query_as(select).bind(normal(username)).fetch_optional(pool).await?
    });
    Ok(found.map(|(user_id, username, name, email, created_at, hash)| {
        (User { user_id, username, name, email, created_at }, hash)
    }))
}

pub(super) async fn find(
    database: &Database,
    key: UserKey<'_>,
) -> Result<Option<User>, sqlx::Error> {
    let (condition, text) = match key {
        UserKey::Id(id) => {
            let select = AssertSqlSafe(format!("{SELECT} WHERE user_id = $1"));
            return on!(database, pool => {
                let found: Option<Row> =
                    sqlx::query_as(select).bind(id).fetch_optional(pool).await?;
                Ok(found.map(User::from))
            });
        }
        UserKey::Username(username) => ("username_key = $1", normal(username)),
        UserKey::Email(email) => ("email = $1", email.to_lowercase()),
        UserKey::Name(name) => ("name = $1 LIMIT 1", name.to_owned()),
    };
    let select = AssertSqlSafe(format!("{SELECT} WHERE {condition}"));
    on!(database, pool => {
        let found: Option<Row> =
            sqlx::query_as(select).bind(text).fetch_optional(pool).await?;
        Ok(found.map(User::from))
    })
}

pub(super) async fn list(
    database: &Database,
    after: &str,
    limit: u32,
) -> Result<Vec<User>, sqlx::Error> {
    let select = format!("{SELECT} WHERE username_key > $1 ORDER BY username_key LIMIT $2");
    let (select, after) = (AssertSqlSafe(select), normal(after));
    on!(database, pool => {
        let found: Vec<Row> =
            sqlx::query_as(select).bind(after).bind(i64::from(limit)).fetch_all(pool).await?;
        Ok(found.into_iter().map(User::from).collect())
    })
}

const SELECT: &str = "SELECT user_id, username, name, email, created_at FROM users";

/// What [`SELECT`] gives.
type Row = (Uuid, String, String, Option<String>, i64);

impl From<Row> for User {
    fn from((user_id, username, name, email, created_at): Row) -> Self {
        Self { user_id, username, name, email, created_at }
    }
}
