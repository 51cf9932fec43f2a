//! Each partition as a stream of its own.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use klamm_client::{Error, Result, Subject};
use klamm_protocol::wire::Str;
use klamm_utils::clock;

use crate::assignment::Place;
use crate::batch::ConsumerBatch;
use crate::consumer::Consumer;
use crate::cursor::Start;
use crate::offsets;
use crate::position::{Position, Reached};
use crate::shared::Shared;

/// The partitions of a [`Consumer`] that no stream reads yet, as they come. It never ends.
///
/// ```
/// # use klamm_client::{ClientConfig, Kafka};
/// # use klamm_consumer::{ConsumeExt as _, OffsetReset, PartitionStream, Result};
/// # use klamm_producer::{ProduceExt as _, Record};
/// async fn work(mut partition: PartitionStream) -> Result<()> {
///     while let Some(batch) = partition.next_batch().await? {
///         for record in &batch {
///             println!("{}-{} {}", batch.topic(), batch.partition(), record.offset);
///         }
///     }
///     partition.commit().await
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
/// # let broker = klamm_broker::Broker::builder().ephemeral();
/// # let broker = broker.set("group.initial.rebalance.delay.ms", "0").start().await?;
/// # let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await?;
/// # kafka.producer().build().await?.send(Record::to("orders").value("paid")).await?;
/// # let builder = kafka.consumer().group("billing").subscribe(["orders"]);
/// # let mut consumer = builder.auto_offset_reset(OffsetReset::Earliest).build().await?;
///
/// # let mut all = Vec::new();
/// loop {
///     let partition = consumer.partitions().next().await?;
///     # let task =
///     tokio::spawn(work(partition));
/// #   all.push(task);
/// #   break;
/// }
/// # consumer.close(std::time::Duration::from_secs(30)).await?;
/// # for task in all { task.await??; }
/// # broker.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Partitions<'a> {
    pub(crate) consumer: &'a mut Consumer,
}

impl Partitions<'_> {
    /// The next partition that no stream reads, as soon as there is one.
    ///
    /// # Errors
    /// What [`next_batch`](Consumer::next_batch) would tell, but for what concerns a partition that
    /// has a stream: that is told there.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has taken no partition.
    pub async fn next(&mut self) -> Result<PartitionStream> {
        poll_fn(|context| self.consumer.poll_partition(context)).await
    }
}

impl Drop for Partitions<'_> {
    fn drop(&mut self) {
        self.consumer.stop_polling();
    }
}

impl Stream for Partitions<'_> {
    type Item = Result<PartitionStream>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.consumer.poll_partition(context).map(Some)
    }
}

/// One partition of a [`Consumer`], read by itself: it waits for no other partition, and none for
/// it. It borrows nothing, so that a task of its own can have it.
///
/// - **It ends** when its partition goes to another member, or the consumer is closed: after what
///   was fetched already it gives `None`.
/// - **The other member waits** until this is dropped or, after its end,
///   [`commit`](Self::commit) has succeeded; but not quite as long as the rebalance timeout, which
///   is `max.poll.interval.ms`. Then, and where the partition was lost, it ends at once, and a
///   commit is refused as [`Error::NotAssigned`].
/// - **To ask for the next batch** says that the one before has been worked on, so that it may be
///   committed. Dropped before that, what it has not committed of the batch comes again, to whoever
///   reads the partition next.
/// - **Who takes longer** than `max.poll.interval.ms` to ask is late, and costs the consumer all
///   its partitions: see [`Error::PollInterval`]. While each partition has its stream, or there is
///   none, nobody needs to ask for further ones; from when there is one without a stream, there is
///   that time to ask for it.
#[derive(Debug)]
pub struct PartitionStream {
    shared: Arc<Shared>,
    place: Place,
    tenure: u64,
}

impl PartitionStream {
    pub(crate) fn new(shared: Arc<Shared>, place: Place, tenure: u64) -> Self {
        Self { shared, place, tenure }
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &Str {
        &self.place.0
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.place.1
    }

    /// The next batch of records; `None` when there will be no more.
    ///
    /// # Errors
    /// The partition cannot be read on: what was wrong is told once, and a [`seek`](Self::seek)
    /// mends it. What may pass is not told but tried again.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has taken nothing.
    pub async fn next_batch(&mut self) -> Result<Option<ConsumerBatch>> {
        let asking = Asking { stream: self };
        poll_fn(|context| asking.stream.poll_batch(context)).await.transpose()
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<ConsumerBatch>>> {
        loop {
            let next = self.shared.assignment().next_of(
                (&self.place, self.tenure),
                self.shared.settings.isolation,
                (context.waker(), clock::now()),
            );
            // There may be room to fetch, and what was given before is worked on.
            match next {
                Poll::Ready(Some(Ok(_))) => self.shared.took(),
                _ => self.shared.was_polled(),
            }
            let Some(next) = ready!(next) else { return Poll::Ready(None) };
            let opened = next.and_then(|fetched| self.shared.open(&self.place, &fetched));
            if let Some(opened) = opened.transpose() {
                return Poll::Ready(Some(opened));
            }
        }
    }

    /// Commits everything that it has given, the last batch included.
    ///
    /// # Errors
    /// The partition is [not assigned](Error::NotAssigned) any more, the consumer has no group, or
    /// the coordinator refuses. What may pass is tried again for `default.api.timeout.ms`.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may have committed or not.
    pub async fn commit(&self) -> Result<()> {
        let position = {
            let mut assignment = self.shared.assignment();
            let cursor = assignment.claimed(&self.place, self.tenure);
            let cursor = cursor.ok_or_else(|| not_assigned(&self.place))?;
            let (topic, partition) = self.place.clone();
            let position = |offset| Position::new(topic, partition, offset);
            cursor.position().map(|offset| position(offset).with_epoch(cursor.epoch()))
        };
        if let Some(position) = position {
            return self.commit_to(position).await;
        }
        self.shared.assignment().stream_let_go(&self.place, self.tenure);
        self.shared.was_polled();
        Ok(())
    }

    /// Commits that the group goes on there, and whatever is kept beside it:
    /// [`ConsumerBatch::end`] is the position after a batch.
    ///
    /// # Errors
    /// As [`commit`](Self::commit); and the position must be one of this partition.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may have committed or not.
    pub async fn commit_to(&self, position: Position) -> Result<()> {
        let offset = position.offset;
        let place = (position.topic.clone(), position.partition);
        if place != self.place || position.tenure.is_some_and(|tenure| tenure != self.tenure) {
            return Err(not_assigned(&place));
        }
        let term = {
            let mut assignment = self.shared.assignment();
            assignment.claimed(&place, self.tenure).map(|cursor| cursor.term())
        };
        let term = Some(term.ok_or_else(|| not_assigned(&place))?);
        let reached = Reached { position, term };
        offsets::first_failure(offsets::commit(&self.shared, vec![reached]).await?)?;
        self.shared.assignment().stream_committed(&self.place, self.tenure, offset);
        self.shared.was_polled();
        Ok(())
    }

    /// The offset of the next record to be delivered; none until a broker has said where the
    /// partition begins or ends, and none when it is gone.
    #[must_use]
    pub fn position(&self) -> Option<i64> {
        self.shared.assignment().claimed(&self.place, self.tenure)?.position()
    }

    /// How many offsets lie before the end of the partition, as last heard.
    #[must_use]
    pub fn lag(&self) -> Option<i64> {
        let mut assignment = self.shared.assignment();
        assignment.claimed(&self.place, self.tenure)?.lag()
    }

    /// Goes elsewhere in the partition.
    ///
    /// # Errors
    /// The partition is not assigned any more.
    pub fn seek(&mut self, start: Start) -> Result<()> {
        let mut assignment = self.shared.assignment();
        let cursor = assignment.claimed(&self.place, self.tenure);
        cursor.ok_or_else(|| not_assigned(&self.place))?.seek(start);
        drop(assignment);
        self.shared.ring();
        Ok(())
    }
}

impl Stream for PartitionStream {
    type Item = Result<ConsumerBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_batch(context)
    }
}

impl Drop for PartitionStream {
    fn drop(&mut self) {
        let mut assignment = self.shared.assignment();
        assignment.release(&self.place, self.tenure, clock::now());
        self.shared.deliver(assignment);
        self.shared.was_polled();
        self.shared.ring();
    }
}

/// A stream waits for its next batch, and no longer when this is dropped.
struct Asking<'a> {
    stream: &'a mut PartitionStream,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let PartitionStream { shared, place, tenure } = &*self.stream;
        shared.assignment().stops_asking(place, *tenure, clock::now());
    }
}

fn not_assigned((topic, partition): &Place) -> Error {
    Error::NotAssigned { subject: Subject::Partition(topic.clone(), *partition) }
}
