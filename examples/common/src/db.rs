//! One database of two kinds.
//!
//! Applications write each statement once: both kinds know `$1`, `ON CONFLICT` and `RETURNING`, and
//! the types `UUID`, `TEXT`, `BIGINT` and `BYTEA` (SQLite keeps whatever it is given). Times are
//! milliseconds since 1970 in a `BIGINT`. [`on!`](crate::on) runs an expression on the pool of
//! whichever kind it is.
//!
//! ```
//! use common::db::{Database, Migration};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! let database = Database::in_memory().await?;
//! database.migrate(&[Migration { name: "notes", sql: "CREATE TABLE notes(id BIGINT, text TEXT)" }]).await?;
//! common::on!(&database, pool => {
//!     sqlx::query("INSERT INTO notes VALUES ($1, $2)").bind(7_i64).bind("hi").execute(pool).await?;
//! });
//! # Ok(())
//! # }
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use klamm_utils::task::TaskGroup;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::sync::{Mutex, MutexGuard};

use crate::config::Config;
use crate::patience::Patience;

/// PostgreSQL gives up a statement that takes longer, and a transaction in which nothing happens for
/// as long.
const STATEMENT_WITHIN: Duration = Duration::from_secs(30);

/// A database that does not answer a ping within this is away.
const PING_WITHIN: Duration = Duration::from_secs(2);

/// A pool of connections; clones share it.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file, in write-ahead mode, and the turn to write to it.
    Sqlite(SqlitePool, Arc<Mutex<()>>),
    /// A server.
    Postgres(PgPool),
}

/// Runs an expression on the pool of either kind: `on!(&database, pool => ...)`.
#[macro_export]
macro_rules! on {
    ($database:expr, $pool:ident => $body:expr) => {
        match $database {
            $crate::db::Database::Sqlite($pool, _) => $body,
            $crate::db::Database::Postgres($pool) => $body,
        }
    };
}

/// A change of the schema that is made once. Names are unique within a database; what has
/// landed is never changed. Statements are separated by semicolons.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Under which it is remembered.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
}

/// Why a database is taken to be away.
#[derive(Debug, thiserror::Error)]
pub enum PingError {
    /// It did not answer in time.
    #[error("the database does not answer")]
    Slow,
    /// It refused, or cannot be reached.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Which database to use.
#[derive(Clone)]
pub enum Settings {
    /// A file that is made if it is missing.
    Sqlite(PathBuf),
    /// A server.
    Postgres(Box<PgConnectOptions>),
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(formatter, "sqlite {}", path.display()),
            Self::Postgres(options) => write!(
                formatter,
                "postgres {}@{}:{}/{}",
                options.get_username(),
                options.get_host(),
                options.get_port(),
                options.get_database().unwrap_or_default()
            ),
        }
    }
}

impl Settings {
    /// `DATABASE=sqlite` with `SQLITE_PATH`, or `DATABASE=postgres` with `POSTGRES_HOST` and so on.
    /// To name a host of PostgreSQL is enough to choose it.
    pub fn read(config: &mut Config) -> Self {
        let host = config.text("POSTGRES_HOST", "");
        let kind = config.text("DATABASE", if host.is_empty() { "sqlite" } else { "postgres" });
        match kind.as_str() {
            "sqlite" => Self::Sqlite(config.text("SQLITE_PATH", "data/apps.sqlite").into()),
            "postgres" => Self::Postgres(Box::new(
                PgConnectOptions::new_without_pgpass()
                    .host(if host.is_empty() { "127.0.0.1" } else { &host })
                    .port(config.value("POSTGRES_PORT", 5432))
                    .database(&config.text("POSTGRES_DATABASE", "chat_db"))
                    .username(&config.text("POSTGRES_USER", "postgres"))
                    .password(&config.secret("POSTGRES_PASSWORD", "")),
            )),
            other => {
                config.refuse(format!("DATABASE={other}: neither sqlite nor postgres"));
                Self::Sqlite(PathBuf::new())
            }
        }
    }
}

impl Database {
    /// Opens the file, or prepares to connect to the server, which may be away still.
    pub async fn open(settings: &Settings) -> Result<Self, sqlx::Error> {
        match settings {
            Settings::Sqlite(path) => Self::sqlite(path).await,
            Settings::Postgres(options) => {
                let limit = STATEMENT_WITHIN.as_millis().to_string();
                let options = PgConnectOptions::clone(options)
                    .options([
                        ("statement_timeout", &limit),
                        // Whoever dies in a transaction leaves its locks until then.
                        ("idle_in_transaction_session_timeout", &limit),
                    ])
                    .disable_statement_logging();
                let pool = PgPoolOptions::new()
                    .max_connections(16)
                    .acquire_timeout(Duration::from_secs(5))
                    // A query that was given up leaves a connection of which nobody knows whether
                    // it still answers: it must not keep its place for ever.
                    .after_release(|connection, _| {
                        Box::pin(async move {
                            let answer = tokio::time::timeout(PING_WITHIN, connection.ping()).await;
                            Ok(matches!(answer, Ok(Ok(()))))
                        })
                    });
                Ok(Self::Postgres(pool.connect_lazy_with(options)))
            }
        }
    }

    /// A file, and its folder, made if they are missing.
    pub async fn sqlite(path: &Path) -> Result<Self, sqlx::Error> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(10))
            .with_regexp()
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new().max_connections(8).connect_with(options).await?;
        Ok(Self::Sqlite(pool, Arc::default()))
    }

    /// One that is gone with its last handle, for tests.
    pub async fn in_memory() -> Result<Self, sqlx::Error> {
        let options =
            SqliteConnectOptions::new().in_memory(true).with_regexp().disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        Ok(Self::Sqlite(pool, Arc::default()))
    }

    /// What a transaction that writes begins with. SQLite must take the lock at once: one that
    /// reads first and then writes could be refused for what another wrote in between.
    #[must_use]
    pub fn begin(&self) -> &'static str {
        match self {
            Self::Sqlite(..) => "BEGIN IMMEDIATE",
            Self::Postgres(_) => "BEGIN",
        }
    }

    /// The turn to write, for who writes often: in the order of asking, where SQLite itself would
    /// have writers sleep and try again. None where many may write at once.
    pub async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self {
            Self::Sqlite(_, turn) => Some(turn.lock().await),
            Self::Postgres(_) => None,
        }
    }

    /// What a statement that reads ends with, so that nobody changes the row until the transaction
    /// has ended. SQLite's has the lock already.
    #[must_use]
    pub fn lock(&self) -> &'static str {
        match self {
            Self::Sqlite(..) => "",
            Self::Postgres(_) => " FOR SHARE",
        }
    }

    /// Fails if the database does not answer soon.
    pub async fn ping(&self) -> Result<(), PingError> {
        let asked =
            async { on!(self, pool => sqlx::query("SELECT 1").execute(pool).await.map(drop)) };
        match tokio::time::timeout(PING_WITHIN, asked).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(PingError::Slow),
        }
    }

    /// What a transaction begins with that may take longer than the usual statement.
    #[must_use]
    pub fn takes_long(&self) -> AssertSqlSafe<String> {
        self.ends_within(Duration::ZERO)
    }

    /// What a transaction begins with whose statements PostgreSQL gives up after this time; zero is
    /// without limit.
    #[must_use]
    pub fn ends_within(&self, limit: Duration) -> AssertSqlSafe<String> {
        AssertSqlSafe(match self {
            Self::Sqlite(..) => "SELECT 1".to_owned(),
            Self::Postgres(_) => {
                format!("SET LOCAL statement_timeout = {}", limit.as_millis())
            }
        })
    }

    /// Makes each change that was not made yet, all in one transaction. Several processes may do so
    /// at the same time.
    pub async fn migrate(&self, migrations: &[Migration]) -> Result<(), sqlx::Error> {
        on!(self, pool => {
            let mut transaction = pool.begin_with(self.begin()).await?;
            sqlx::query(self.takes_long()).execute(&mut *transaction).await?;
            if matches!(self, Self::Postgres(_)) {
                // One at a time: two that make the same table at once would fail.
                sqlx::query("SELECT pg_advisory_xact_lock(7225339)")
                    .execute(&mut *transaction)
                    .await?;
            }
            sqlx::query("CREATE TABLE IF NOT EXISTS migrations(name TEXT PRIMARY KEY)")
                .execute(&mut *transaction)
                .await?;
            for migration in migrations {
                let new = sqlx::query("INSERT INTO migrations VALUES ($1) ON CONFLICT DO NOTHING")
                    .bind(migration.name)
                    .execute(&mut *transaction)
                    .await?
                    .rows_affected();
                let statements = migration.sql.split(';').map(str::trim);
                for statement in statements.filter(|statement| new == 1 && !statement.is_empty()) {
                    sqlx::query(AssertSqlSafe(statement)).execute(&mut *transaction).await?;
                }
            }
            transaction.commit().await
        })
    }

    /// The same, waiting for a database that is away. False if the tasks stop first.
    pub async fn migrate_patiently(&self, tasks: &TaskGroup, migrations: &[Migration]) -> bool {
        let mut patience = Patience::new(tasks, "prepare the database");
        loop {
            match self.migrate(migrations).await {
                Ok(()) => return true,
                Err(error) => {
                    if patience.after(&error).await.is_none() {
                        return false;
                    }
                }
            }
        }
    }
}

/// Whether this is the database's way of saying that a row with this key exists already.
#[must_use]
pub fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// The same of the key on one column. PostgreSQL names the key after the column, SQLite tells the
/// column in words.
#[must_use]
pub fn is_duplicate_of(error: &sqlx::Error, column: &str) -> bool {
    let told = error.as_database_error().map(|error| error.constraint().unwrap_or(error.message()));
    let keys = [format!("_{column}_key"), format!(".{column}")];
    is_duplicate(error) && told.is_some_and(|told| keys.iter().any(|key| told.ends_with(key)))
}

/// Whether the database refuses what it was given (SQLSTATE classes 22 and 23), and would refuse it
/// again however long one waits.
#[must_use]
pub fn is_refusal(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return matches!(error, sqlx::Error::Encode(_));
    };
    let of_class =
        |code: std::borrow::Cow<'_, str>| code.len() == 5 && ["22", "23"].contains(&&code[..2]);
    // SQLite has numbers of its own.
    !matches!(error.kind(), sqlx::error::ErrorKind::Other) || error.code().is_some_and(of_class)
}

/// What every kind of database does; compat runs it on a real PostgreSQL, too.
pub mod conformance {
    use super::{Database, Migration, is_duplicate, is_duplicate_of};
    use sqlx::PgPool;
    use uuid::Uuid;

    const TABLE: &[Migration] = &[Migration {
        name: "conformance",
        sql: "CREATE TABLE conformance(
                id UUID PRIMARY KEY, text TEXT, at BIGINT UNIQUE, hash BYTEA);
              CREATE INDEX conformance_at ON conformance(at)",
    }];

    /// Runs all checks.
    pub async fn check(database: &Database) -> anyhow::Result<()> {
        database.ping().await?;
        database.migrate(TABLE).await?;
        database.migrate(TABLE).await?;
        let id = Uuid::now_v7();
        on!(database, pool => {
            let insert = "INSERT INTO conformance VALUES ($1, $2, $3, $4)";
            let row = || sqlx::query(insert).bind(id).bind("ü").bind(7_i64).bind(&b"\x00\xff"[..]);
            row().execute(pool).await?;
            let again = row().execute(pool).await;
            anyhow::ensure!(again.is_err_and(|error| is_duplicate(&error)), "a second of an id");
            let again = sqlx::query(insert).bind(Uuid::now_v7()).bind("ü").bind(7_i64);
            let again = again.bind(&b""[..]).execute(pool).await;
            let of = |column| again.as_ref().is_err_and(|error| is_duplicate_of(error, column));
            anyhow::ensure!(of("at") && !of("id"), "which column: {again:?}");
            let found: (Uuid, String, i64, Vec<u8>) =
                sqlx::query_as("SELECT id, text, at, hash FROM conformance WHERE id = $1")
                    .bind(id)
                    .fetch_one(pool)
                    .await?;
            anyhow::ensure!(found == (id, "ü".into(), 7, b"\x00\xff".to_vec()), "{found:?}");
            let mut transaction = pool.begin_with(database.begin()).await?;
            sqlx::query("DELETE FROM conformance").execute(&mut *transaction).await?;
            transaction.rollback().await?;
            let (count,): (i64,) =
                sqlx::query_as("SELECT COUNT(*) FROM conformance WHERE id = $1")
                    .bind(id)
                    .fetch_one(pool)
                    .await?;
            anyhow::ensure!(count == 1, "a transaction that was rolled back left something");
        });
        if let Database::Postgres(pool) = database {
            limits(pool).await?;
        }
        Ok(())
    }

    /// No statement and no transaction of somebody who has died holds others up for ever.
    async fn limits(pool: &PgPool) -> anyhow::Result<()> {
        for (setting, wanted) in
            [("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "30s")]
        {
            let select = "SELECT current_setting($1)";
            let found: String = sqlx::query_scalar(select).bind(setting).fetch_one(pool).await?;
            anyhow::ensure!(found == wanted, "{setting} is {found}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sqlite_conforms() {
        conformance::check(&Database::in_memory().await.unwrap()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/apps.sqlite");
        conformance::check(&Database::sqlite(&path).await.unwrap()).await.unwrap();
    }

    #[test]
    fn a_password_is_not_printed() {
        let flags = ["--postgres-host=db", "--postgres-password=hunter2"].map(str::to_owned);
        let mut config = Config::from_arguments(flags).unwrap();
        let settings = Settings::read(&mut config);
        assert_eq!(format!("{settings:?}"), "postgres postgres@db:5432/chat_db");
        assert!(config.describe().contains("POSTGRES_PASSWORD=(hidden)"));
    }
}
