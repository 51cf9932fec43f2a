//! The consumer as its users see it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use klamm_client::config::{IsolationLevel, OffsetReset, keys};
use klamm_client::{ClientConfig, Error, Kafka, Result, Subject};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::task::TaskGroup;

use crate::batch::{ConsumerBatch, ConsumerRecord, ConsumerRecords};
use crate::cursor::{Cursor, Start};
use crate::fetcher::{self, Settings, Shared};

/// Makes consumers of a client.
pub trait ConsumeExt {
    /// A consumer to be built, with the client's settings.
    fn consumer(&self) -> ConsumerBuilder;
}

impl ConsumeExt for Kafka {
    fn consumer(&self) -> ConsumerBuilder {
        let config = self.config().clone();
        ConsumerBuilder { kafka: self.clone(), config, places: Vec::new() }
    }
}

/// A consumer to be built. Setters never fail; what is wrong is told by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use]
pub struct ConsumerBuilder {
    kafka: Kafka,
    config: ClientConfig,
    places: Vec<(Str, Option<i32>, Start)>,
}

impl ConsumerBuilder {
    /// From this partition, beginning there.
    pub fn assign(mut self, topic: impl Into<Str>, partition: i32, start: Start) -> Self {
        self.places.push((topic.into(), Some(partition), start));
        self
    }

    /// From all partitions that the topic has now, beginning there.
    pub fn assign_topic(mut self, topic: impl Into<Str>, start: Start) -> Self {
        self.places.push((topic.into(), None, start));
        self
    }

    /// Whether records of unfinished and aborted transactions are seen. By default they are.
    pub fn isolation_level(mut self, level: IsolationLevel) -> Self {
        self.config = self.config.with(&keys::ISOLATION_LEVEL, &level);
        self
    }

    /// Where to go on when a partition has no such offset. The default is its end.
    pub fn auto_offset_reset(mut self, policy: OffsetReset) -> Self {
        self.config = self.config.with(&keys::AUTO_OFFSET_RESET, &policy);
        self
    }

    /// How long a broker waits for records before it answers that there are none.
    pub fn fetch_max_wait(mut self, wait: Duration) -> Self {
        self.config = self.config.with(&keys::FETCH_MAX_WAIT, &wait);
        self
    }

    /// Sets by name, as [`ClientConfig::set`] does.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.config = self.config.set(name, value);
        self
    }

    /// The consumer, which begins to fetch.
    ///
    /// # Errors
    /// The settings are wrong, or a topic of which all partitions are wanted is not there.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it leaves nothing behind.
    pub async fn build(self) -> Result<Consumer> {
        let settings = Settings::of(&self.config)?;
        let mut places = Vec::new();
        for (topic, partition, start) in self.places {
            match partition {
                Some(partition) => places.push((topic, partition, start)),
                None => places.extend(partitions(&self.kafka, &topic, start).await?),
            }
        }
        let shared = Arc::new(Shared::new(self.kafka, settings));
        let tasks = TaskGroup::new("consumer");
        let consumer = Consumer { shared: Arc::clone(&shared), tasks: tasks.clone() };
        consumer.assign(places);
        tasks.spawn("lead", fetcher::lead(shared, tasks.clone()));
        Ok(consumer)
    }
}

/// All partitions of a topic, each with this start.
async fn partitions(kafka: &Kafka, topic: &Str, start: Start) -> Result<Vec<(Str, i32, Start)>> {
    let found = kafka.topic(topic).await?;
    Ok(found.partitions.iter().map(|partition| (topic.clone(), partition.index, start)).collect())
}

/// Receives records from partitions of its own choice. It fetches ahead of its caller, as far as
/// its settings allow.
///
/// Dropping it waits for nothing.
#[derive(Debug)]
pub struct Consumer {
    shared: Arc<Shared>,
    tasks: TaskGroup,
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Consumer {
    /// Receives from these partitions and from no others, beginning there.
    pub fn assign(&self, places: impl IntoIterator<Item = (Str, i32, Start)>) {
        self.shared.assignment().assign(places);
        self.shared.ring();
    }

    /// The partitions that it receives from, in the order of their names.
    #[must_use]
    pub fn assignment(&self) -> Vec<(Str, i32)> {
        self.shared.assignment().places().cloned().collect()
    }

    /// The next batch of records, from one partition; partitions take turns.
    ///
    /// # Errors
    /// A partition cannot be read on: what was wrong is told once, the others go on, and a
    /// [`seek`](Self::seek) mends it. What may pass is not told but tried again.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has taken nothing.
    pub async fn next_batch(&mut self) -> Result<ConsumerBatch> {
        poll_fn(|context| self.poll_batch(context)).await
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Result<ConsumerBatch>> {
        let Shared { settings, .. } = &*self.shared;
        loop {
            let next = {
                let mut assignment = self.shared.assignment();
                let next = assignment.next(settings.isolation);
                if next.is_none() {
                    assignment.wait(context.waker());
                }
                next
            };
            // Batches that are not shown make room, too.
            self.shared.made_room();
            let Some(next) = next else { return Poll::Pending };
            let (place, fetched) = match next {
                Ok(next) => next,
                Err(error) => return Poll::Ready(Err(error)),
            };
            match ConsumerBatch::decode(place.clone(), &fetched, settings) {
                Ok(batch) if batch.records().is_empty() => {}
                Ok(batch) => return Poll::Ready(Ok(batch)),
                Err(error) => {
                    self.with(&place, |cursor| cursor.stop_at(fetched.from)).ok();
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    /// The records one by one. A partition's position goes forward by whole batches.
    pub fn stream(&mut self) -> RecordStream<'_> {
        RecordStream { consumer: self, batch: None }
    }

    /// Goes elsewhere in a partition.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn seek(&self, topic: &Str, partition: i32, start: Start) -> Result<()> {
        self.with(&(topic.clone(), partition), |cursor| cursor.seek(start))?;
        self.shared.ring();
        Ok(())
    }

    /// Delivers nothing from a partition until it is resumed.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn pause(&self, topic: &Str, partition: i32) -> Result<()> {
        self.with(&(topic.clone(), partition), |cursor| cursor.paused = true)
    }

    /// Delivers from a partition again.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn resume(&self, topic: &Str, partition: i32) -> Result<()> {
        let place = (topic.clone(), partition);
        self.with(&place, |cursor| cursor.paused = false)?;
        self.shared.ready(&place);
        self.shared.ring();
        Ok(())
    }

    /// The offset of the next record to be delivered; none until a broker has said where the
    /// partition begins or ends.
    #[must_use]
    pub fn position(&self, topic: &Str, partition: i32) -> Option<i64> {
        self.shared.assignment().cursor(&(topic.clone(), partition))?.position()
    }

    /// The offset that the partition's next record would have, as last heard.
    #[must_use]
    pub fn high_watermark(&self, topic: &Str, partition: i32) -> Option<i64> {
        self.shared.assignment().cursor(&(topic.clone(), partition))?.high_watermark()
    }

    /// How many offsets lie before the end of a partition, as last heard.
    #[must_use]
    pub fn lag(&self, topic: &Str, partition: i32) -> Option<i64> {
        let assignment = self.shared.assignment();
        let cursor = assignment.cursor(&(topic.clone(), partition))?;
        Some((cursor.high_watermark()? - cursor.position()?).max(0))
    }

    fn with<T>(&self, place: &(Str, i32), change: impl FnOnce(&mut Cursor) -> T) -> Result<T> {
        let mut assignment = self.shared.assignment();
        let cursor = assignment.cursor_mut(place).ok_or_else(|| Error::Broker {
            code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            message: Some(Str::from_static("the partition is not assigned")),
            subject: Subject::Partition(place.0.clone(), place.1),
        })?;
        Ok(change(cursor))
    }
}

/// The records of a [`Consumer`], one by one. It never ends.
#[derive(Debug)]
pub struct RecordStream<'a> {
    consumer: &'a mut Consumer,
    batch: Option<ConsumerRecords>,
}

impl Stream for RecordStream<'_> {
    type Item = Result<ConsumerRecord>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(record) = self.batch.as_mut().and_then(Iterator::next) {
                return Poll::Ready(Some(Ok(record)));
            }
            match self.consumer.poll_batch(context) {
                Poll::Ready(Ok(batch)) => self.batch = Some(batch.into_iter()),
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
