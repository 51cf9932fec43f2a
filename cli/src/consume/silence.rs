//! What it means that nothing comes: there is nothing, or nobody answers.

use std::cell::Cell;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use klamm_client::Kafka;
use klamm_client::config::keys;
use klamm_utils::clock;

use super::QUIET;
use crate::failure::{ErrorStyle, message};
use crate::outcome::note;

/// How long nothing has come. A consumer does not tell that brokers are away, as they may come
/// back: whoever wants to know asks them something else.
#[derive(Debug)]
pub(crate) struct Silence {
    /// For how long nothing must come before somebody is asked.
    patience: Duration,
    since: Cell<Instant>,
}

impl Silence {
    /// Begins now, and is suspicious after `default.api.timeout.ms`.
    pub(crate) fn new(kafka: &Kafka) -> Self {
        let patience = kafka.config().get(&keys::API_TIMEOUT).max(QUIET);
        Self { patience, since: Cell::new(clock::now()) }
    }

    /// Notes that something came.
    pub(crate) fn broken(&self) {
        self.since.set(clock::now());
    }

    /// Asks whenever nothing came for so long, until that fails; gives the reason.
    pub(crate) async fn unanswered<T>(
        &self,
        ask: impl AsyncFn() -> anyhow::Result<T>,
    ) -> anyhow::Error {
        loop {
            let since = self.since.get();
            let until = since + self.patience;
            if clock::now() < until {
                tokio::time::sleep_until(until.into()).await;
                continue;
            }
            match ask().await {
                Err(error) if self.since.get() == since => return error,
                // Something came while it was asked.
                Err(_) => {}
                Ok(_) => self.broken(),
            }
        }
    }

    /// The same for who waits nevertheless: says once in each silence that nobody answers.
    pub(crate) async fn tell<T>(
        &self,
        errors: ErrorStyle,
        ask: impl AsyncFn() -> anyhow::Result<T>,
    ) -> Infallible {
        let mut told = None;
        loop {
            let error = self.unanswered(&ask).await;
            let since = Some(self.since.get());
            if told != since {
                let (patience, error) = (self.patience, message(&error));
                note(errors, &format!("nothing has come for {patience:?}, waiting: {error}"));
                told = since;
            }
            tokio::time::sleep(self.patience).await;
        }
    }
}
