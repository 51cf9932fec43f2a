//! The answers: reads of one round trip, from the auxiliary where it can be.

use common::kv::{Found, Read, Result, Stores};
use klamm_utils::clock::{Clock as _, SystemClock};

use crate::keys;
use crate::metrics::Metrics;
use crate::waiting::{Body, read_summary};
use crate::wire::{Unsent, WaitingMessage, partition_of};

/// A store that heard nothing of a partition for longer is believed only if the master is away.
const STALE_MS: i64 = 5_000;

/// What waits for whom, as the stores have it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    stores: Stores,
    metrics: Metrics,
    partitions: u32,
}

impl View {
    pub(crate) fn new(stores: Stores, metrics: Metrics, partitions: u32) -> Self {
        Self { stores, metrics, partitions }
    }

    /// Who wrote to a user. Costs as much as there are senders, however much they wrote.
    pub(crate) async fn unsent(&self, user: &str) -> Result<Unsent> {
        let reads = [self.alive(user), Read::Fields(keys::details(user))];
        let (source, alive, details) = self.read(&reads).await?;
        let senders = details.into_fields();
        let mut senders: Vec<_> =
            senders.iter().filter_map(|(sender, summary)| read_summary(sender, summary)).collect();
        senders.sort_by_key(|sender| std::cmp::Reverse(sender.last_offset));
        let alive_ms = alive.and_then(|alive| alive.parse::<i64>().ok());
        let now_ms = SystemClock::new().now_ms();
        Ok(Unsent {
            touser: user.into(),
            total: senders.iter().map(|sender| sender.count).sum(),
            senders,
            source: source.into(),
            stale_ms: alive_ms.map(|alive_ms| (now_ms - alive_ms).max(0)),
        })
    }

    /// The newest messages that wait for a user from one sender, oldest first.
    pub(crate) async fn messages(&self, user: &str, sender: &str) -> Result<Vec<WaitingMessage>> {
        let reads = [self.alive(user), Read::Fields(keys::texts(user, sender))];
        let (_, _, texts) = self.read(&reads).await?;
        let messages = texts.into_fields().into_iter().filter_map(|(offset, body)| {
            let Body { message_id, at, message } = serde_json::from_str(&body).ok()?;
            Some(WaitingMessage { offset: offset.parse().ok()?, message_id, at, message })
        });
        let mut messages: Vec<_> = messages.collect();
        messages.sort_by_key(|message| message.offset);
        Ok(messages)
    }

    /// When the user's partition was last known to be up to date.
    fn alive(&self, user: &str) -> Read {
        Read::Field(keys::ALIVE.into(), partition_of(user, self.partitions).to_string())
    }

    async fn read(&self, reads: &[Read; 2]) -> Result<(&'static str, Option<String>, Found)> {
        let since_ms = SystemClock::new().now_ms().saturating_sub(STALE_MS);
        // One that has never heard of the partition lacks its users as well.
        let knows = |found: &[Found]| match found.first() {
            Some(Found::Text(Some(alive))) => alive.parse().is_ok_and(|at: i64| at >= since_ms),
            _ => false,
        };
        let (side, found) = self.stores.read(reads, knows).await?;
        self.metrics.read_from(side.name());
        let mut found = found.into_iter();
        let alive = found.next().and_then(Found::into_text);
        Ok((side.name(), alive, found.next().unwrap_or(Found::Text(None))))
    }
}
