//! Who has an account. The table of users is another service's: it is only read.

use super::Pod;

/// Names that are remembered.
pub(super) const REMEMBERED: usize = 10_000;

/// The name of a user as the account has it, whatever the case; none if there is no account.
pub(super) async fn account(pod: &Pod, name: &str) -> Result<Option<String>, sqlx::Error> {
    let key = common::auth::normal(name);
    if let Some(found) = pod.known().get(&key) {
        return Ok(Some(found.clone()));
    }
    let found = match pod.0.store.account(&key).await {
        Ok(found) => found,
        Err(error) if has_no_accounts(&error) => {
            tracing::debug!(%error, "accounts are not known here: a name is taken as it is");
            return Ok(Some(name.to_owned()));
        }
        Err(error) => return Err(error),
    };
    if let Some(found) = &found {
        pod.known().put(key, found.clone());
    }
    Ok(found)
}

/// Whether there is no table of users here, or this service may not read it. Whatever else the
/// database says may be otherwise a moment later.
fn has_no_accounts(error: &sqlx::Error) -> bool {
    const UNDEFINED_TABLE: &str = "42P01";
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    error.as_database_error().is_some_and(|error| match error.code().as_deref() {
        Some(UNDEFINED_TABLE | INSUFFICIENT_PRIVILEGE) => true,
        // SQLite has one number for whatever is wrong with a statement.
        Some("1") => error.message().starts_with("no such table"),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::error::Error;
    use std::fmt;

    use common::db::Database;
    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;
    use crate::store::Store;

    /// What a server says.
    #[derive(Debug)]
    struct Said {
        code: &'static str,
        message: &'static str,
    }

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.message)
        }
    }

    impl Error for Said {}

    impl DatabaseError for Said {
        fn message(&self) -> &str {
            self.message
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.code.into())
        }

        fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    /// It was: a server that was just shut down, or was too slow, had no accounts, and messages to
    /// anybody were kept for good.
    #[test]
    fn a_database_that_is_away_is_not_one_without_accounts() {
        let says = |code, message| {
            has_no_accounts(&sqlx::Error::Database(Box::new(Said { code, message })))
        };
        assert!(says("42P01", "relation \"users\" does not exist"));
        assert!(says("42501", "permission denied for table users"));
        for (code, message) in [
            ("57P01", "terminating connection due to administrator command"),
            ("57014", "canceling statement due to statement timeout"),
            ("5", "database is locked"),
            ("1", "SQL logic error"),
        ] {
            assert!(!says(code, message), "{code}: {message}");
        }
        assert!(!has_no_accounts(&sqlx::Error::PoolTimedOut));
    }

    #[tokio::test]
    async fn sqlite_says_so_of_a_table_that_is_not_there() {
        let store = Store::new(Database::in_memory().await.unwrap());
        assert!(has_no_accounts(&store.account("bob").await.unwrap_err()));
    }
}
