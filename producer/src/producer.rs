//! The producer as its users see it.

use std::sync::Arc;
use std::time::Duration;

use klamm_client::{Error, Result, Subject};
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;

use crate::accumulate::Appended;
use crate::metrics::Snapshot;
use crate::receipt::{Delivery, RecordMetadata};
use crate::record::Record;
use crate::sender::post::Post;
use crate::shared::{Shared, TopicQueues};
use crate::sink::RecordSink;

/// Sends records. Cloning shares it.
///
/// Dropping the last clone does not wait: what was accepted is sent in the background, as long as
/// the runtime lives. [`close`](Self::close) waits.
#[derive(Clone, Debug)]
pub struct Producer {
    handle: Arc<Handle>,
}

/// Tells the sender when the last clone has gone.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    tasks: TaskGroup,
    post: Arc<Post>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.shared.is_closed() {
            self.shared.close();
            let batches = self.shared.ledger.unsettled();
            if batches > 0 {
                tracing::warn!(batches, "dropped before it was closed; sending in the background");
            }
        }
    }
}

/// A record that was not accepted, and why.
#[derive(Debug, thiserror::Error)]
pub enum TryEnqueueError {
    /// There is no room now.
    #[error("the producer's memory is full")]
    Full(Box<Record>),
    /// Nobody has asked yet which partitions the topic has, or whether it has got the one that the
    /// record names: [`Producer::enqueue`] does.
    #[error("the topic is not known yet, or not this partition of it")]
    UnknownTopic(Box<Record>),
    /// It can never be accepted.
    #[error(transparent)]
    Refused(Box<Refused>),
}

/// A record that can never be accepted, and why.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    /// The record.
    pub record: Record,
    /// Why.
    pub error: Error,
}

impl TryEnqueueError {
    /// The record.
    #[must_use]
    pub fn into_record(self) -> Record {
        match self {
            Self::Full(record) | Self::UnknownTopic(record) => *record,
            Self::Refused(refused) => refused.record,
        }
    }
}

impl Producer {
    pub(crate) fn start(shared: Shared) -> Self {
        let shared = Arc::new(shared);
        let tasks = TaskGroup::new("producer");
        let post = Post::open(Arc::clone(&shared), &tasks);
        Self { handle: Arc::new(Handle { shared, tasks, post }) }
    }

    /// What it shares with its sender.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    /// The group of its tasks.
    pub(crate) fn tasks(&self) -> &TaskGroup {
        &self.handle.tasks
    }

    /// Sends a record and waits until it is stored.
    ///
    /// # Errors
    /// Why it is not, or may not be: see [`Error::possibly_written`].
    ///
    /// # Cancel safety
    /// Dropped while it waits for room, the record is not sent. Dropped later, it is, and only the
    /// news is lost.
    pub async fn send(&self, record: Record) -> Result<RecordMetadata> {
        self.enqueue(record).await?.await
    }

    /// Accepts a record, waiting only while the producer's memory is full, or its topic or the
    /// partition that it names unknown; the acknowledgement is waited for on what it returns.
    ///
    /// # Errors
    /// There was no room for `max.block.ms`, or the record can never be sent.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the record is not sent.
    pub async fn enqueue(&self, record: Record) -> Result<Delivery> {
        self.enqueue_in(0, record).await
    }

    /// Accepts a record as part of this transaction.
    pub(crate) async fn enqueue_in(&self, transaction: u64, record: Record) -> Result<Delivery> {
        match self.offer(transaction, self.intercepted(record)) {
            Ok(delivery) => Ok(delivery),
            Err(TryEnqueueError::Refused(refused)) => Err(self.refused(refused.error)),
            Err(refused) => self.enqueue_slowly(transaction, refused.into_record()).await,
        }
    }

    /// Accepts a record that the interceptors have seen, once there is room and its topic known.
    pub(crate) async fn enqueue_slowly(
        &self,
        transaction: u64,
        record: Record,
    ) -> Result<Delivery> {
        let accepted = self.wait_and_append(transaction, record).await;
        accepted.map_err(|error| self.refused(error))
    }

    async fn wait_and_append(&self, transaction: u64, record: Record) -> Result<Delivery> {
        let shared = &self.handle.shared;
        let after = shared.settings.max_block;
        let mut last = None;
        let admitted = async {
            let queues = match shared.known(&record, clock::now()) {
                Some(queues) => queues,
                None => self.find(&record, &mut last).await?,
            };
            let room = shared.ledger.reserve(record.size_max(), &shared.wake).await;
            Ok::<_, Error>((queues, room))
        };
        let admitted = tokio::time::timeout(after, admitted).await;
        let blocked = |_| {
            let subject = Subject::Name(record.topic.clone());
            let last = last.map(Arc::new).or_else(|| shared.trouble());
            Error::Blocked { subject, after, last }
        };
        let (queues, room) = admitted.map_err(blocked)??;
        // Much may have happened while it waited.
        shared.check(transaction)?;
        let moment = shared.moment(clock::now(), transaction);
        let appended = shared.append(&queues, &record, room, moment)?;
        Ok(self.sent_on(appended))
    }

    /// Has the sender see what a record that was accepted has changed.
    fn sent_on(&self, Appended { delivery, began, sealed, .. }: Appended) -> Delivery {
        if began || sealed {
            self.handle.post.send(sealed);
        }
        delivery
    }

    /// The record as the interceptors want it.
    pub(crate) fn intercepted(&self, mut record: Record) -> Record {
        if let Some(interceptors) = &self.handle.shared.interceptors {
            interceptors.on_send(&mut record);
        }
        record
    }

    /// Tells the interceptors of a record that was never accepted.
    pub(crate) fn refused(&self, error: Error) -> Error {
        match &self.handle.shared.interceptors {
            None => error,
            Some(interceptors) => interceptors.told(error),
        }
    }

    /// Asks for a topic until there is an answer that will not change by asking again, and keeps
    /// the last that may.
    async fn find(&self, record: &Record, last: &mut Option<Error>) -> Result<Arc<TopicQueues>> {
        let shared = &self.handle.shared;
        let mut backoff = shared.settings.retry.backoff();
        let age_max = shared.age_max(&record.topic);
        loop {
            let asked = match clock::now().checked_sub(age_max) {
                Some(young) => shared.kafka.topic_heard_after(&record.topic, young).await,
                None => shared.kafka.topic(&record.topic).await,
            };
            match asked {
                Ok(topic) if !topic.partitions.is_empty() => return Ok(shared.learn(&topic)),
                Ok(_) => *last = None,
                Err(error) if !error.is_retriable() => return Err(error),
                Err(error) => *last = Some(error),
            }
            tokio::time::sleep(backoff.next_pause()).await;
        }
    }

    /// Accepts a record if that needs no waiting.
    ///
    /// # Errors
    /// The record comes back with the reason.
    pub fn try_enqueue(&self, record: Record) -> std::result::Result<Delivery, TryEnqueueError> {
        self.try_enqueue_in(0, record)
    }

    /// Accepts a record as part of this transaction, if that needs no waiting.
    pub(crate) fn try_enqueue_in(
        &self,
        transaction: u64,
        record: Record,
    ) -> std::result::Result<Delivery, TryEnqueueError> {
        if self.handle.shared.interceptors.is_none() {
            return self.offer(transaction, record);
        }
        // Who offers it again offers it as it was.
        let original = record.clone();
        self.offer(transaction, self.intercepted(record)).map_err(|error| match error {
            TryEnqueueError::Full(_) => TryEnqueueError::Full(Box::new(original)),
            TryEnqueueError::UnknownTopic(_) => TryEnqueueError::UnknownTopic(Box::new(original)),
            TryEnqueueError::Refused(refused) => {
                let error = self.refused(refused.error);
                TryEnqueueError::Refused(Box::new(Refused { record: original, error }))
            }
        })
    }

    /// Accepts a record that the interceptors have seen, if that needs no waiting.
    pub(crate) fn offer(
        &self,
        transaction: u64,
        record: Record,
    ) -> std::result::Result<Delivery, TryEnqueueError> {
        let shared = &self.handle.shared;
        let refuse =
            |record, error| Err(TryEnqueueError::Refused(Box::new(Refused { record, error })));
        if let Err(error) = shared.check(transaction) {
            return refuse(record, error);
        }
        let now = clock::now();
        let Some(queues) = shared.known(&record, now) else {
            return Err(TryEnqueueError::UnknownTopic(Box::new(record)));
        };
        let Some(room) = shared.ledger.try_reserve(record.size_max()) else {
            return Err(TryEnqueueError::Full(Box::new(record)));
        };
        match shared.append(&queues, &record, room, shared.moment(now, transaction)) {
            Ok(appended) => Ok(self.sent_on(appended)),
            Err(error) => refuse(record, error),
        }
    }

    /// Sends records and waits for all of them. Those of one partition keep their order.
    ///
    /// # Cancel safety
    /// Dropped before it returns, some records are sent and others not.
    pub async fn send_all(
        &self,
        records: impl IntoIterator<Item = Record>,
    ) -> Vec<Result<RecordMetadata>> {
        self.send_all_in(0, records).await
    }

    /// Sends records as part of this transaction.
    pub(crate) async fn send_all_in(
        &self,
        transaction: u64,
        records: impl IntoIterator<Item = Record>,
    ) -> Vec<Result<RecordMetadata>> {
        let mut accepted = Vec::new();
        for record in records {
            accepted.push(self.enqueue_in(transaction, record).await);
        }
        let mut results = Vec::with_capacity(accepted.len());
        for delivery in accepted {
            results.push(match delivery {
                Ok(delivery) => delivery.await,
                Err(error) => Err(error),
            });
        }
        results
    }

    /// A [`futures_sink::Sink`] of records, of which there may be several.
    pub fn sink(&self) -> RecordSink<'static> {
        RecordSink::new(self.clone(), 0)
    }

    /// What it has done so far.
    #[must_use]
    pub fn metrics(&self) -> Snapshot {
        self.handle.shared.snapshot()
    }

    /// Sends without lingering what was accepted, and waits until its fate is known; each record's
    /// is told by its own [`Delivery`].
    ///
    /// # Cancel safety
    /// Dropped before it returns, what was accepted is sent nevertheless.
    pub async fn flush(&self) {
        self.handle.shared.seal_all();
        self.handle.shared.ledger.flushed().await;
    }

    /// Accepts no more records, sends those it has, and ends. What is not acknowledged when the
    /// deadline is over is given up.
    ///
    /// # Errors
    /// Something had to be given up.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the producer is closed and sends what it has in the background.
    pub async fn close(&self, deadline: Duration) -> Result<()> {
        let Handle { shared, tasks, .. } = &*self.handle;
        shared.close();
        let flushed = tokio::time::timeout(deadline, shared.ledger.flushed()).await;
        tasks.stop();
        match flushed {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::Abandoned { subject: Subject::Cluster }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_refused_comes_back_with_the_reason() {
        let record = || Record::to("orders").value("paid");
        let refused = Refused { record: record(), error: Error::Closed };
        let mut said = Vec::new();
        for error in [
            TryEnqueueError::Full(Box::new(record())),
            TryEnqueueError::UnknownTopic(Box::new(record())),
            TryEnqueueError::Refused(Box::new(refused)),
        ] {
            // Another variant needs a row above.
            match &error {
                TryEnqueueError::Full(_)
                | TryEnqueueError::UnknownTopic(_)
                | TryEnqueueError::Refused(_) => said.push(error.to_string()),
            }
            assert_eq!(error.into_record().topic, "orders");
        }
        assert_eq!(
            said,
            [
                "the producer's memory is full",
                "the topic is not known yet, or not this partition of it",
                "the client is closed"
            ]
        );
    }
}
