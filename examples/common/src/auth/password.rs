//! Passwords: argon2id with 19 MiB and two passes, as OWASP has it at the least.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

use super::AuthError;

/// How many are computed at a time: each takes a core for some 20 ms.
const AT_ONCE: usize = 2;

/// How many may wait for their turn; others are told to come back.
const WAITING_MAX: usize = 64;

/// Bounds what passwords may cost; clones share the bound.
#[derive(Clone, Debug)]
pub(super) struct Passwords {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// Compared with when there is no such user, so that it takes as long.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash(b"nobody").unwrap_or_default());

impl Passwords {
    pub(super) fn new() -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE + WAITING_MAX));
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), places }
    }

    /// Takes both turns, so that nobody has one.
    #[cfg(test)]
    pub(super) fn take_turns(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.turns.try_acquire_many(2).expect("nobody has a turn")
    }

    /// What is kept of a password.
    pub(super) async fn hash(&self, password: &str) -> Result<String, AuthError> {
        let password = password.to_owned();
        let hashed = self.work(move || hash(password.as_bytes())).await?;
        hashed.ok_or(AuthError::Invalid("This password cannot be used"))
    }

    /// Whether the password is the one of `hash`. Without a hash it is not, and takes as long.
    pub(super) async fn verify(
        &self,
        password: &str,
        hash: Option<&str>,
    ) -> Result<bool, AuthError> {
        let (password, hash) = (normal(password), hash.map(str::to_owned));
        self.work(move || {
            let known = hash.as_deref().unwrap_or(&NOBODY);
            let right = PasswordHash::new(known).is_ok_and(|known| {
                Argon2::default().verify_password(password.as_bytes(), &known).is_ok()
            });
            right && hash.is_some()
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AuthError> {
        let busy = AuthError::TooMany(Duration::from_secs(2));
        let Ok(_place) = Arc::clone(&self.places).try_acquire_owned() else { return Err(busy) };
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else { return Err(busy) };
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|_| busy)
    }
}

/// The same letters in the same bytes, whichever keyboard wrote them.
pub(super) fn normal(password: &str) -> String {
    unicode_normalization::UnicodeNormalization::nfkc(password).collect()
}

fn hash(password: &[u8]) -> Option<String> {
    Argon2::default().hash_password(password).ok().map(|hash| hash.to_string())
}
