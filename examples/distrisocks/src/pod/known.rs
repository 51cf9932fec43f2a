//! Who has an account. The table of users is another service's: it is only read.

use super::Pod;

/// Names that are remembered.
const KNOWN_MAX: usize = 10_000;

/// The name of a user as the account has it, whatever the case; none if there is no account.
pub(super) async fn account(pod: &Pod, name: &str) -> Result<Option<String>, sqlx::Error> {
    let key = common::auth::normal(name);
    if let Some(found) = pod.known().get(&key) {
        return Ok(Some(found.clone()));
    }
    let found = match pod.0.store.account(&key).await {
        Ok(found) => found,
        // There is no such table here, or this service may not read it.
        Err(error) if error.as_database_error().is_some() => {
            tracing::debug!(%error, "accounts are not known here: a name is taken as it is");
            return Ok(Some(name.to_owned()));
        }
        Err(error) => return Err(error),
    };
    if let Some(found) = &found {
        let mut known = pod.known();
        known.put(key, found.clone());
        if known.len() > KNOWN_MAX {
            known.pop_lru();
        }
    }
    Ok(found)
}
