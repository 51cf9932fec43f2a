//! What is read from the log, until it is written.

use std::collections::HashMap;
use std::time::Duration;

use klamm_client::Error;
use klamm_consumer::{ConsumerBatch, Position, Start};
use klamm_producer::Record;

use super::{Parts, Persister};
use crate::message::Message;
use crate::store::{Advance, NewRow};

/// How many records are gathered at most.
const ROWS_MAX: usize = 2_000;

/// For how long records are gathered.
const GATHER_FOR: Duration = Duration::from_millis(50);

/// Records that are written together.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) rows: Vec<NewRow>,
    pub(super) advances: HashMap<i32, Advance>,
    pub(super) ends: HashMap<i32, Position>,
    /// The broker refused something: the topic may be another one.
    pub(super) failed: Option<Error>,
}

impl Persister {
    /// Records of the next moments, or as many as are written at once.
    pub(super) async fn gather(&self, parts: &mut Parts) -> Gathered {
        let mut gathered = Gathered::default();
        let mut until = None;
        while gathered.rows.len() < ROWS_MAX {
            let next = parts.consumer.next_batch();
            let batch = match until {
                None => next.await,
                Some(until) => match tokio::time::timeout_at(until, next).await {
                    Ok(batch) => batch,
                    Err(_) => break,
                },
            };
            match batch {
                Ok(batch) => {
                    self.kafka.well();
                    self.take(parts, batch, &mut gathered).await;
                    until.get_or_insert_with(|| tokio::time::Instant::now() + GATHER_FOR);
                }
                Err(error) => {
                    self.kafka.away(&error);
                    gathered.failed = Some(error);
                    break;
                }
            }
        }
        gathered
    }

    /// Takes the records of a batch that the database does not have.
    async fn take(&self, parts: &mut Parts, batch: ConsumerBatch, gathered: &mut Gathered) {
        let (part, end) = (batch.partition(), batch.end());
        let from = parts.next.get(&part).copied().unwrap_or(0);
        let next = gathered.advances.get(&part).map_or(from, |advance| advance.to);
        let Some(first) = batch.records().first().map(|record| record.offset) else { return };
        // A database that is new, or older than what the broker was told, gets what it lacks; if
        // the gap is there again, the log does not have it any more.
        if first > next && parts.sought.insert(part, next) != Some(next) {
            match parts.consumer.seek(batch.topic(), part, Start::Offset(next)) {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, "the partition has gone to another"),
            }
        }
        let mut letters = Vec::new();
        for record in batch.records().iter().filter(|record| record.offset >= next) {
            let place = (part, record.offset);
            match Message::decode(record.value.as_deref()) {
                Ok(message) => {
                    gathered.rows.push(NewRow { message, part, offset: record.offset });
                }
                Err(error) => {
                    let key = record.key.clone().unwrap_or_default();
                    let value = record.value.clone().unwrap_or_default();
                    letters.push(self.letter(place, &error).key(key).value(value));
                }
            }
        }
        self.put_aside(parts, letters).await;
        let to = end.offset.max(next);
        gathered.advances.entry(part).or_insert(Advance { part, from, to }).to = to;
        gathered.ends.insert(part, end);
    }

    /// A record that is put aside, without its value.
    pub(super) fn letter(
        &self,
        (part, offset): (i32, i64),
        error: &impl std::fmt::Display,
    ) -> Record {
        Record::to(self.settings.dead_letters())
            .header("x-error", error.to_string())
            .header("x-attempts", "1")
            .header("x-source-partition", part.to_string())
            .header("x-source-offset", offset.to_string())
    }

    /// Keeps records that cannot be rows where somebody can look at them. The rest does not wait
    /// long for a broker that cannot take them: they stay in the log as well.
    pub(super) async fn put_aside(&self, parts: &Parts, letters: Vec<Record>) {
        self.metrics.dead_letters.inc_by(letters.len() as u64);
        let sent = letters.into_iter().map(|letter| parts.producer.send(letter));
        for sent in futures_util::future::join_all(sent).await {
            match sent {
                Ok(_) => tracing::warn!("a record that cannot be a row was put aside"),
                Err(error) => {
                    tracing::error!(%error, "a record that cannot be a row was passed over");
                }
            }
        }
    }
}
