//! The consumer as its users see it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use klamm_client::{ConfigError, Error, GroupMetadata, Result, Subject};
use klamm_protocol::wire::Str;
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;

use crate::assignment::Place;
use crate::batch::{ConsumerBatch, ConsumerRecord, ConsumerRecords};
use crate::cursor::{Cursor, Start};
use crate::events::ConsumerEvents;
use crate::group::Subscription;
use crate::metrics::Snapshot;
use crate::offsets;
use crate::partitions::{PartitionStream, Partitions};
use crate::position::Position;
use crate::shared::Shared;

/// Receives records from partitions of its own choice, or from those that its group gives it. It
/// fetches ahead of its caller, as far as its settings allow.
///
/// Dropping it waits for nothing: in the background it commits what was worked on, if it commits
/// by itself, and leaves its group. [`close`](Self::close) waits for both.
#[derive(Debug)]
pub struct Consumer {
    shared: Arc<Shared>,
    tasks: TaskGroup,
    /// What a stream has not given of its last batch.
    rest: Option<ConsumerRecords>,
    /// The moves of partitions up to which that was known to count.
    moves: u64,
    /// When a stream has last said that it is being read.
    streamed_at: Instant,
}

/// How often a stream that is read record by record says so.
const STREAMED_EVERY: Duration = Duration::from_secs(1);

/// The part of the time for closing in which it may commit, half of it for streams to let go; the
/// rest is for leaving the group.
const COMMITTING: f64 = 0.75;

impl Drop for Consumer {
    fn drop(&mut self) {
        self.end_streams();
        self.tasks.stop();
    }
}

impl Consumer {
    pub(crate) fn new(shared: Arc<Shared>, tasks: TaskGroup) -> Self {
        Self { shared, tasks, rest: None, moves: 0, streamed_at: clock::now() }
    }

    /// Receives from these partitions and from no others, beginning there.
    ///
    /// # Errors
    /// It subscribes: then its group chooses.
    pub fn assign(&self, places: impl IntoIterator<Item = (Str, i32, Start)>) -> Result<()> {
        if self.shared.group.as_ref().is_some_and(|group| group.subscribes()) {
            return Err(chosen_otherwise("assign", "subscribe"));
        }
        let mut assignment = self.shared.assignment();
        assignment.assign(places, clock::now());
        self.shared.note_move();
        // Streams of partitions that were taken away end.
        self.shared.deliver(assignment);
        self.shared.was_polled();
        self.shared.ring();
        Ok(())
    }

    /// Subscribes to these topics and to no others, as
    /// [`ConsumerBuilder::subscribe`](crate::ConsumerBuilder::subscribe) does. The group
    /// rebalances.
    ///
    /// # Errors
    /// It was not built to subscribe, or a pattern is none.
    pub fn subscribe<T: Into<Str>>(&self, topics: impl IntoIterator<Item = T>) -> Result<()> {
        let group = self.shared.group.as_ref().filter(|group| group.subscribes());
        let group = group.ok_or_else(|| chosen_otherwise("subscribe", "assign"))?;
        group.resubscribe(Subscription::parse(topics, group.protocol)?);
        Ok(())
    }

    /// The partitions that it receives from, in the order of their names.
    #[must_use]
    pub fn assignment(&self) -> Vec<Place> {
        self.shared.assignment().places().cloned().collect()
    }

    /// What becomes of its partitions in its group, from now on; the first event tells what it
    /// has. Without a group there are none.
    ///
    /// Whoever asks for the events must read them: see [`ConsumerEvents`].
    #[must_use]
    pub fn events(&self) -> ConsumerEvents {
        let mut assignment = self.shared.assignment();
        let assigned = assignment.places().cloned().collect();
        assignment.events.subscribe(assigned)
    }

    /// The next batch of records, from one partition; partitions take turns. To ask for it says
    /// that the one before has been worked on: it may be committed, and its partition may go to
    /// another member.
    ///
    /// # Errors
    /// A partition cannot be read on: what was wrong is told once, the others go on, and a
    /// [`seek`](Self::seek) mends it. What may pass is not told but tried again.
    /// [`Error::PollInterval`] is told once, too; the call after it joins the group again. What
    /// ends the membership for good is told at every call.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has taken nothing.
    pub async fn next_batch(&mut self) -> Result<ConsumerBatch> {
        let polling = Polling { consumer: self };
        poll_fn(|context| polling.consumer.poll_batch(context)).await
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Result<ConsumerBatch>> {
        if let Some(rest) = self.take_rest() {
            self.shared.assignment().polled(clock::now());
            return Poll::Ready(Ok(rest.into()));
        }
        let polled = self.poll_next_batch(context);
        match polled {
            Poll::Ready(Ok(_)) => self.shared.took(),
            _ => self.shared.was_polled(),
        }
        polled
    }

    fn poll_next_batch(&mut self, context: &mut Context<'_>) -> Poll<Result<ConsumerBatch>> {
        loop {
            let next = {
                let mut assignment = self.shared.assignment();
                let next = assignment.next(self.shared.settings.isolation);
                match next {
                    Some(_) => assignment.polled(clock::now()),
                    None => {
                        assignment.polls();
                        assignment.wait(context.waker());
                    }
                }
                next
            };
            let Some(next) = next else { return Poll::Pending };
            let opened = next.and_then(|(place, fetched)| self.shared.open(&place, &fetched));
            if let Some(opened) = opened.transpose() {
                return Poll::Ready(opened);
            }
        }
    }

    /// The partitions one by one, each as a stream of its own to be moved into a task of its own:
    /// see [`PartitionStream`]. A partition that has a stream is not read by
    /// [`next_batch`](Self::next_batch).
    pub fn partitions(&mut self) -> Partitions<'_> {
        self.drop_what_moved();
        if let Some(rest) = self.rest.take().filter(|rest| rest.next_offset().is_some()) {
            self.hand_back(&rest);
        }
        Partitions { consumer: self }
    }

    /// What a stream has left of its last batch. What is of a partition that was paused since comes
    /// when that is resumed.
    fn take_rest(&mut self) -> Option<ConsumerRecords> {
        self.drop_what_moved();
        let rest = self.rest.take().filter(|rest| rest.next_offset().is_some())?;
        let is_paused =
            self.shared.assignment().cursor(&rest.place()).is_some_and(|cursor| cursor.paused);
        if is_paused {
            self.hand_back(&rest);
        }
        (!is_paused).then_some(rest)
    }

    /// Has a partition begin where a stream has left it.
    fn hand_back(&self, rest: &ConsumerRecords) {
        let mut assignment = self.shared.assignment();
        let is_mine = assignment.in_hand_to().is_some();
        let Some(offset) = rest.next_offset().filter(|_| is_mine) else { return };
        if let Some(cursor) = assignment.cursor_mut(&rest.place()) {
            cursor.seek(Start::Offset(offset));
        }
        drop(assignment);
        self.shared.ring();
    }

    pub(crate) fn poll_partition(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<PartitionStream>> {
        let mut assignment = self.shared.assignment();
        let next = match assignment.take_failure() {
            Some(error) => Poll::Ready(Err(error)),
            None => match assignment.claim(clock::now()) {
                Some(claimed) => Poll::Ready(Ok(claimed)),
                None => Poll::Pending,
            },
        };
        if next.is_pending() {
            assignment.polls();
            assignment.wait_for_partition(context.waker());
        } else {
            assignment.polled(clock::now());
        }
        drop(assignment);
        self.shared.was_polled();
        next.map_ok(|(place, tenure)| PartitionStream::new(Arc::clone(&self.shared), place, tenure))
    }

    /// The records one by one. A partition's [position](Self::position) goes forward by whole
    /// batches; what a dropped stream has not given of its last batch comes next or, if its
    /// partition is paused meanwhile, when that is resumed.
    pub fn stream(&mut self) -> RecordStream<'_> {
        self.rest = self.take_rest();
        RecordStream { consumer: self }
    }

    /// Goes elsewhere in a partition.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn seek(&self, topic: &Str, partition: i32, start: Start) -> Result<()> {
        self.with(&(topic.clone(), partition), |cursor| cursor.seek(start))?;
        self.shared.note_move();
        self.shared.ring();
        Ok(())
    }

    /// Delivers nothing from a partition until it is resumed.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn pause(&self, topic: &Str, partition: i32) -> Result<()> {
        self.with(&(topic.clone(), partition), |cursor| cursor.paused = true)?;
        // If it was full, the others were not asked for.
        self.shared.ring();
        Ok(())
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
        self.shared.assignment().cursor(&(topic.clone(), partition))?.lag()
    }

    /// What it has done so far, and how things stand.
    #[must_use]
    pub fn metrics(&self) -> Snapshot {
        let assignment = self.shared.assignment();
        let (lags, idle) = (assignment.lags(), assignment.idle(clock::now()));
        self.shared.metrics.read(lags, idle)
    }

    /// Commits that the group goes on there, and whatever is kept beside it:
    /// [`ConsumerBatch::end`] is the position after a batch.
    ///
    /// # Errors
    /// The partition is [not assigned](Error::NotAssigned) any more, the consumer has no group,
    /// or the coordinator refuses. What may pass is tried again for `default.api.timeout.ms`.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may have committed or not.
    pub async fn commit(&self, position: Position) -> Result<()> {
        self.commit_offsets([position]).await
    }

    /// Commits the positions of several partitions.
    ///
    /// # Errors
    /// As [`commit`](Self::commit): the first failure. The other partitions are committed
    /// nevertheless.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may have committed or not.
    pub async fn commit_offsets(
        &self,
        positions: impl IntoIterator<Item = Position>,
    ) -> Result<()> {
        let reached = self.shared.assignment().reached(positions);
        offsets::first_failure(offsets::commit(&self.shared, reached).await?)
    }

    /// Commits everything that was delivered, the last batch included.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may have committed or not.
    pub async fn commit_delivered(&self) -> Result<()> {
        let delivered = {
            let assignment = self.shared.assignment();
            let mut delivered = assignment.delivered();
            // In a partition that was moved or taken since, the rest means nothing.
            if let Some(rest) = self.rest.as_ref().filter(|_| assignment.in_hand_to().is_some())
                && let Some(offset) = rest.next_offset()
                && let Some(mine) = delivered.iter_mut().find(|position| rest.is_of(position))
            {
                mine.offset = mine.offset.min(offset);
            }
            assignment.reached(delivered)
        };
        offsets::first_failure(offsets::commit(&self.shared, delivered).await?)
    }

    /// Where the group goes on in these partitions, as far as that was committed.
    ///
    /// # Errors
    /// The consumer has no group, or the coordinator does not answer for
    /// `default.api.timeout.ms`. What it refuses for one partition stands beside that.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn committed(
        &self,
        partitions: &[Place],
    ) -> Result<Vec<(Place, Result<Option<Position>>)>> {
        offsets::committed_soon(&self.shared, partitions).await
    }

    /// Its group, and who it is in it now: for a producer that commits offsets of the group in a
    /// transaction. None without a group. Ask for it in each transaction, for it changes when the
    /// group rebalances: the group refuses it where the batch that was taken last is another
    /// member's by now, and as long as there is a [`PartitionStream`] that has lost its partition:
    /// drop that. And let the consumer commit nothing by itself (`enable.auto.commit`).
    #[must_use]
    pub fn group_metadata(&self) -> Option<GroupMetadata> {
        let group = self.shared.group.as_ref()?;
        // The two change together.
        let assignment = self.shared.assignment();
        let identity = group.identity();
        let committer = match group.subscribes() {
            true if !identity.is_member() || assignment.has_lost_what_is_in_hand() => {
                group.fenced(&identity)
            }
            _ => group.committer(&identity),
        };
        Some(GroupMetadata { id: group.id.clone(), committer })
    }

    /// Has the streams of partitions end and waits for them, commits what was worked on, if it
    /// commits by itself, leaves the group, and ends its tasks; no later than `deadline`. Streams
    /// are waited for no longer than three eighths of the time. A static member keeps its
    /// partitions until its session is over.
    ///
    /// # Errors
    /// The commit failed, or did not come through in three quarters of the time. Everything else
    /// is done nevertheless.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the consumer is closed in the background.
    pub async fn close(self, deadline: Duration) -> Result<()> {
        let begun = tokio::time::Instant::now();
        self.note_worked();
        if self.rest.is_none() {
            self.shared.assignment().put_down();
        }
        let committing = deadline.mul_f64(COMMITTING);
        let streams = self.end_streams();
        if tokio::time::timeout(committing / 2, self.shared.let_go(&streams)).await.is_err() {
            tracing::warn!(?streams, "closed while streams of partitions are at work");
        }
        let outcome = self.commit_last(committing.saturating_sub(begun.elapsed())).await;
        self.shared.assignment().close();
        self.tasks.stop();
        self.tasks.join(deadline.saturating_sub(begun.elapsed())).await;
        outcome
    }

    /// Has the streams of partitions end with what is fetched already.
    fn end_streams(&self) -> Vec<Place> {
        let mut assignment = self.shared.assignment();
        let streams = assignment.end_streams();
        self.shared.deliver(assignment);
        streams
    }

    /// Commits what was worked on, if it commits by itself.
    async fn commit_last(&self, within: Duration) -> Result<()> {
        let group = self.shared.group.as_ref();
        let Some(group) = group.filter(|group| group.auto_commit.is_some()) else { return Ok(()) };
        let commit = offsets::try_commit_worked(&self.shared, |_| true);
        let Ok(mut outcomes) = tokio::time::timeout(within, commit).await else {
            let subject = Subject::Name(group.id.clone());
            return Err(Error::LastCommit { subject, after: within });
        };
        // What went to another member is committed by that one.
        outcomes.retain(|(_, outcome)| !matches!(outcome, Err(Error::NotAssigned { .. })));
        offsets::first_failure(outcomes)
    }

    /// Notes how far a stream has come in its batch.
    fn note_worked(&self) {
        let Some(rest) = &self.rest else { return };
        match rest.next_offset() {
            Some(offset) => self.shared.assignment().worked_to(offset),
            None => {
                self.shared.assignment().put_down();
                self.shared.was_polled();
            }
        }
    }

    /// Drops what is left of a batch whose partition was taken away or sent elsewhere, and what
    /// its log has lost of it.
    fn drop_what_moved(&mut self) {
        let Some(rest) = &mut self.rest else { return };
        self.moves = self.shared.moves();
        match self.shared.assignment().in_hand_to() {
            Some(end) => rest.cut(end),
            None => self.rest = None,
        }
    }

    /// To take a record is to ask for more, as far as `max.poll.interval.ms` is concerned.
    fn note_streamed(&mut self) {
        let now = clock::now();
        if now.duration_since(self.streamed_at) >= STREAMED_EVERY {
            self.streamed_at = now;
            self.shared.assignment().polled(now);
        }
    }

    pub(crate) fn stop_polling(&self) {
        let mut assignment = self.shared.assignment();
        if assignment.is_polling() {
            assignment.polled(clock::now());
        }
    }

    fn with<T>(&self, place: &(Str, i32), change: impl FnOnce(&mut Cursor) -> T) -> Result<T> {
        let mut assignment = self.shared.assignment();
        let subject = || Subject::Partition(place.0.clone(), place.1);
        let cursor = assignment
            .cursor_mut(place)
            .ok_or_else(|| Error::NotAssigned { subject: subject() })?;
        Ok(change(cursor))
    }
}

/// What was built for one way of choosing partitions does not take the other.
fn chosen_otherwise(name: &'static str, other: &'static str) -> Error {
    let reason = "either the group chooses the partitions, or the application";
    ConfigError::Contradiction { name, other, reason }.into()
}

/// Somebody waits for the next batch, and no longer when this is dropped.
struct Polling<'a> {
    consumer: &'a mut Consumer,
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.consumer.stop_polling();
    }
}

/// The records of a [`Consumer`], one by one. It never ends.
#[derive(Debug)]
pub struct RecordStream<'a> {
    consumer: &'a mut Consumer,
}

impl Drop for RecordStream<'_> {
    fn drop(&mut self) {
        self.consumer.note_worked();
        self.consumer.stop_polling();
    }
}

impl Stream for RecordStream<'_> {
    type Item = Result<ConsumerRecord>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.consumer.shared.moves() != self.consumer.moves {
                self.consumer.drop_what_moved();
            }
            if let Some(record) = self.consumer.rest.as_mut().and_then(Iterator::next) {
                self.consumer.note_streamed();
                return Poll::Ready(Some(Ok(record)));
            }
            self.consumer.rest = None;
            match self.consumer.poll_batch(context) {
                Poll::Ready(Ok(batch)) => self.consumer.rest = Some(batch.into_iter()),
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
