//! What was gathered becomes rows.

use std::collections::HashMap;
use std::time::Duration;

use common::db::is_refusal;
use common::patience::Patience;
use klamm_client::Error;
use klamm_consumer::Start;
use klamm_utils::clock;

use super::gather::Gathered;
use super::{Parts, Persister, Settings};
use crate::log::Log;
use crate::store::{self, Advance, NewRow, WriteError};

/// A write that takes longer is given up, and tried again.
const WRITE_WITHIN: Duration = Duration::from_secs(30);

/// What came of writing.
#[derive(Debug)]
pub(super) enum Wrote {
    /// All of it is written, or will be read again.
    Done,
    /// The same, and a partition cannot be read on.
    Unread(Error),
    /// The topic was made anew.
    OtherTopic,
    /// The tasks are to stop.
    Stopping,
}

impl Persister {
    /// Writes what was gathered, however long the database is away.
    pub(super) async fn write(&self, parts: &mut Parts, mut gathered: Gathered) -> Wrote {
        let failed = gathered.failed.take();
        if gathered.advances.is_empty() && failed.is_none() {
            return Wrote::Done;
        }
        let mut wrote = self.is_same_topic(parts).await;
        if matches!(wrote, Wrote::Done) && !gathered.advances.is_empty() {
            wrote = self.write_rows(parts, gathered).await;
        }
        match (wrote, failed) {
            (Wrote::Done, Some(error)) => Wrote::Unread(error),
            (wrote, _) => wrote,
        }
    }

    async fn write_rows(&self, parts: &mut Parts, gathered: Gathered) -> Wrote {
        let Gathered { mut rows, advances, ends, .. } = gathered;
        let begun = clock::now();
        let Settings { kafka_topic, kafka_group, .. } = &self.settings;
        let advances: Vec<Advance> = advances.into_values().collect();
        let mut patience = Patience::new(&self.tasks, "write messages");
        let new = loop {
            self.metrics.lag.set(lag_of(parts));
            let of = (&**kafka_group, &**kafka_topic, &*parts.log.epoch);
            // What a write that was given up has done after all is found by the next one.
            let written = within(store::write(&self.database, of, &rows, &advances)).await;
            self.health.tell(&written);
            match written {
                Ok(new) => break new,
                Err(WriteError::Overtaken(part)) => {
                    tracing::info!(part, "another writer has gone on: reading what it wrote");
                    return self.begin_anew(parts, &advances).await;
                }
                Err(WriteError::OtherTopic) => return Wrote::OtherTopic,
                Err(WriteError::Database(error)) if is_refusal(&error) && !rows.is_empty() => {
                    tracing::warn!(%error, "the database refuses some of the messages");
                    match self.sift(parts, rows).await {
                        Some(taken) => rows = taken,
                        None => return Wrote::Stopping,
                    }
                }
                Err(error @ (WriteError::Database(_) | WriteError::Slow)) => {
                    if patience.after(&error).await.is_none() {
                        return Wrote::Stopping;
                    }
                }
            }
        };
        self.metrics.rows.inc_by(new);
        self.metrics.batch_rows.observe(rows.len() as f64);
        self.metrics.batch_seconds.observe(begun.elapsed().as_secs_f64());
        parts.next.extend(advances.iter().map(|advance| (advance.part, advance.to)));
        self.metrics.lag.set(lag_of(parts));
        if let Err(error) = parts.consumer.commit_offsets(ends.into_values()).await {
            tracing::debug!(%error, "the broker was not told how far the database is");
        }
        Wrote::Done
    }

    /// Whether the broker still has the topic that was opened. Asked when records were gathered:
    /// all of them are of this one then, for no topic's id comes again.
    async fn is_same_topic(&self, parts: &Parts) -> Wrote {
        let Log { kafka, topic, epoch, .. } = &parts.log;
        let topic = topic.as_str().into();
        let mut patience = Patience::new(&self.tasks, "ask which topic it is");
        loop {
            let asked = tokio::select! {
                asked = kafka.topic_heard_after(&topic, clock::now()) => asked,
                () = self.tasks.stopping() => return Wrote::Stopping,
            };
            self.kafka.tell(&asked);
            match asked {
                Ok(found) if found.id.to_string() == *epoch => return Wrote::Done,
                Ok(_) => return Wrote::OtherTopic,
                Err(error) => {
                    if patience.after(&error).await.is_none() {
                        return Wrote::Stopping;
                    }
                }
            }
        }
    }

    /// The rows that the database takes; the others are put aside. None if the tasks stop first.
    async fn sift(&self, parts: &Parts, rows: Vec<NewRow>) -> Option<Vec<NewRow>> {
        let mut patience = Patience::new(&self.tasks, "write messages");
        let (mut taken, mut left) = (Vec::new(), vec![rows]);
        while let Some(mut rows) = left.pop() {
            match within(store::rehearse(&self.database, &rows)).await {
                Ok(()) => taken.append(&mut rows),
                Err(WriteError::Database(error)) if is_refusal(&error) => match &rows[..] {
                    [NewRow { message, part, offset }] => {
                        let letter = self.letter((*part, *offset), &error);
                        let letter = letter.key(message.room.clone()).value(message.encode());
                        self.put_aside(parts, vec![letter]).await;
                    }
                    _ => {
                        left.push(rows.split_off(rows.len() / 2));
                        left.push(rows);
                    }
                },
                Err(error) => {
                    left.push(rows);
                    patience.after(&error).await?;
                }
            }
        }
        Some(taken)
    }

    /// Goes on in these partitions where the database is.
    async fn begin_anew(&self, parts: &mut Parts, advances: &[Advance]) -> Wrote {
        let Some(next) = self.offsets_patiently().await else { return Wrote::Stopping };
        parts.next = next;
        let topic = self.settings.kafka_topic.as_str().into();
        for Advance { part, .. } in advances {
            let from = parts.next.get(part).copied().unwrap_or(0);
            if let Err(error) = parts.consumer.seek(&topic, *part, Start::Offset(from)) {
                tracing::debug!(%error, part, "the partition has gone to another");
            }
        }
        Wrote::Done
    }
    /// Where each partition goes on, as the database has it. None if the tasks stop first.
    async fn offsets_patiently(&self) -> Option<HashMap<i32, i64>> {
        let Settings { kafka_group, kafka_topic, .. } = &self.settings;
        let mut patience = Patience::new(&self.tasks, "read the offsets");
        loop {
            let asked = tokio::select! {
                asked = within(store::offsets(&self.database, kafka_group, kafka_topic)) => asked,
                () = self.tasks.stopping() => return None,
            };
            self.health.tell(&asked);
            match asked {
                Ok(next) => return Some(next),
                Err(error) => patience.after(&error).await?,
            }
        }
    }
}

/// What the database answers in time.
async fn within<T, E: Into<WriteError>>(
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, WriteError> {
    match tokio::time::timeout(WRITE_WITHIN, asked).await {
        Ok(answer) => answer.map_err(E::into),
        Err(_) => Err(WriteError::Slow),
    }
}

/// How many records there are that the database does not have, as far as the consumer knows.
fn lag_of(parts: &Parts) -> i64 {
    let places = parts.consumer.assignment();
    let lags = places.iter().filter_map(|(topic, part)| {
        let end = parts.consumer.high_watermark(topic, *part)?;
        Some(end.saturating_sub(parts.next.get(part).copied().unwrap_or(0)).max(0))
    });
    lags.sum()
}

#[cfg(test)]
mod tests {
    use common::db::Database;
    use common::telemetry::Telemetry;
    use futures_util::FutureExt as _;
    use klamm_utils::task::TaskGroup;

    use super::*;
    use crate::persister::Metrics;

    /// It waited for the database, which may take as long as it likes.
    #[tokio::test]
    async fn a_writer_that_begins_anew_stops_though_the_database_does_not_answer() {
        let (tasks, telemetry) = (TaskGroup::new("test"), Telemetry::new());
        let database = Database::in_memory().await.unwrap();
        let Database::Sqlite(pool, _) = &database else { panic!("it is SQLite") };
        let _only_one = pool.acquire().await.unwrap();
        let persister = Persister {
            settings: Settings::dev(""),
            database: database.clone(),
            kafka: telemetry.needs("kafka"),
            health: telemetry.needs("database"),
            metrics: Metrics::new(&telemetry),
            tasks: tasks.clone(),
        };
        tasks.stop();
        assert_eq!(persister.offsets_patiently().now_or_never(), Some(None));
    }
}
