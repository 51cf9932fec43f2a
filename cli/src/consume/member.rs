//! Reading as a member of a group.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use klamm_client::admin::{Admin, OffsetSpec};
use klamm_client::config::keys;
use klamm_client::{Error as ClientError, Kafka};
use klamm_consumer::{Consumer, ConsumerBatch, ConsumerEvent, ConsumerEvents, Position};
use tokio::time::{Interval, MissedTickBehavior};

use super::{QUIET, Records, Silence, ready};
use crate::connect::interrupted;
use crate::failure::{ErrorStyle, Failure};
use crate::outcome::note;
use crate::place::Partition;

/// How long leaving the group may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// A consumer in a group, which commits what was printed: every `auto.commit.interval.ms`, before
/// a partition goes to another member, and at the end.
pub(super) struct Member {
    consumer: Consumer,
    events: ConsumerEvents,
    admin: Admin,
    records: Records,
    errors: ErrorStyle,
    /// How far each partition was printed, where that is not committed yet.
    printed: BTreeMap<Partition, Position>,
    goal: Goal,
}

/// When it is over.
enum Goal {
    /// When the user ends it.
    Never,
    /// When each partition that the member has was read to where it ended when the member got it:
    /// the ends by partition, and none where it was.
    Ends(BTreeMap<Partition, Option<i64>>),
}

/// What the member waits for.
enum Next {
    Event(ConsumerEvent),
    Batch(Result<ConsumerBatch, ClientError>),
    Commit,
}

impl Member {
    pub(super) fn new(
        consumer: Consumer,
        admin: Admin,
        records: Records,
        errors: ErrorStyle,
        follows: bool,
    ) -> Self {
        let goal = if follows { Goal::Never } else { Goal::Ends(BTreeMap::new()) };
        let events = consumer.events();
        Self { consumer, events, admin, records, errors, printed: BTreeMap::new(), goal }
    }

    /// Prints until it is over or the user ends it. Then commits, and leaves the group.
    pub(super) async fn run(mut self, kafka: &Kafka, group: &str) -> anyhow::Result<()> {
        let mut commits = tokio::time::interval(kafka.config().get(&keys::AUTO_COMMIT_INTERVAL));
        commits.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (silence, admin, errors) = (Silence::new(kafka), self.admin.clone(), self.errors);
        let ask = async || ask_coordinator(&admin, group).await;
        let ended = tokio::select! {
            ended = self.print_all(&mut commits, &silence) => ended,
            never = silence.tell(errors, ask) => match never {},
            interrupted = interrupted() => interrupted,
        };
        tokio::select! {
            left = self.leave(ended) => left,
            // Once more is at once.
            interrupted = interrupted() => interrupted,
        }
    }

    /// Commits and leaves the group, and tells what went wrong first.
    async fn leave(mut self, ended: anyhow::Result<()>) -> anyhow::Result<()> {
        // What the output did not take was not printed.
        let committed = match self.records.settle(&ended).await {
            Ok(true) => self.commit().await,
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        let closed = self.consumer.close(CLOSE_WITHIN).await;
        match ended {
            Err(error) if !error.is::<Failure>() => Err(error),
            _ => committed.and(ended).and(Ok(closed?)),
        }
    }

    async fn print_all(&mut self, commits: &mut Interval, silence: &Silence) -> anyhow::Result<()> {
        while !self.records.is_enough() && !self.goal.is_reached() {
            let next = match ready(self.next(commits)).await {
                Some(next) => next,
                None => {
                    // Nothing is there now: who watches sees all that there was.
                    self.records.flush().await?;
                    match tokio::time::timeout(QUIET, self.next(commits)).await {
                        Ok(next) => next,
                        Err(_) => {
                            self.look();
                            continue;
                        }
                    }
                }
            };
            if !matches!(next, Next::Commit) {
                silence.broken();
            }
            match next {
                Next::Event(event) => self.follow(event).await?,
                Next::Commit => self.commit().await?,
                Next::Batch(Ok(batch)) => {
                    self.print(&batch)?;
                    self.records.relieve().await?;
                }
                // Its events tell that everything is lost; the next call joins again.
                Next::Batch(Err(error @ ClientError::PollInterval { .. })) => {
                    note(self.errors, &error.to_string());
                }
                Next::Batch(Err(error)) => return Err(error.into()),
            }
        }
        self.records.flush().await
    }

    /// # Cancel safety
    /// Dropped before it returns, it has taken nothing.
    async fn next(&mut self, commits: &mut Interval) -> Next {
        tokio::select! {
            biased;
            Some(event) = self.events.next() => Next::Event(event),
            _ = commits.tick() => Next::Commit,
            batch = self.consumer.next_batch() => Next::Batch(batch),
        }
    }

    fn print(&mut self, batch: &ConsumerBatch) -> anyhow::Result<()> {
        let place = (batch.topic().clone(), batch.partition());
        let Some(until) = self.goal.until(&place) else { return Ok(()) };
        let left_out = self.records.print(batch, until)?;
        let mut position = batch.end();
        position.offset = left_out.unwrap_or(position.offset);
        let offset = position.offset;
        self.printed.insert(place.clone(), position);
        if self.goal.advance(&place, offset) {
            self.consumer.pause(&place.0, place.1)?;
        }
        Ok(())
    }

    /// Notes how far all partitions have come: marks of transactions are not delivered.
    fn look(&mut self) {
        for (topic, partition) in self.consumer.assignment() {
            if let Some(offset) = self.consumer.position(&topic, partition) {
                self.goal.advance(&(topic, partition), offset);
            }
        }
    }

    async fn follow(&mut self, event: ConsumerEvent) -> anyhow::Result<()> {
        match event {
            ConsumerEvent::Assigned(places) => self.goal.begin(&self.admin, places).await?,
            ConsumerEvent::Revoking(revocation) => {
                self.commit().await?;
                self.forget(revocation.partitions());
            }
            ConsumerEvent::Lost(places) => self.forget(&places),
            // The next batch tells of everything else.
            _ => {}
        }
        Ok(())
    }

    fn forget(&mut self, places: &[Partition]) {
        for place in places {
            self.printed.remove(place);
            self.goal.forget(place);
        }
    }

    /// Commits what was printed of the partitions that the member still has.
    async fn commit(&mut self) -> anyhow::Result<()> {
        self.records.flush().await?;
        let assigned: BTreeSet<_> = self.consumer.assignment().into_iter().collect();
        self.printed.retain(|place, _| assigned.contains(place));
        match self.consumer.commit_offsets(self.printed.values().cloned()).await {
            Ok(()) => self.printed.clear(),
            // It went to another member just now, who prints it again.
            Err(ClientError::NotAssigned { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Asks whoever coordinates the group about it, whatever the answer is.
async fn ask_coordinator(admin: &Admin, group: &str) -> anyhow::Result<()> {
    let described = admin.describe_groups(&[group.into()]).await?;
    let mut failed = described.into_iter().filter_map(|(_, described)| described.err());
    match failed.find(ClientError::is_retriable) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

impl Goal {
    /// Asks where these partitions end now, if that matters.
    async fn begin(&mut self, admin: &Admin, places: Vec<Partition>) -> anyhow::Result<()> {
        let Self::Ends(ends) = self else { return Ok(()) };
        let end = |(topic, partition)| (topic, partition, OffsetSpec::Latest);
        let wanted: Vec<_> = places.into_iter().map(end).collect();
        for (place, found) in admin.list_offsets(&wanted).await? {
            ends.insert(place, Some(found?.offset.unwrap_or(0)));
        }
        Ok(())
    }

    /// Where a partition ends; none if it was read to its end.
    fn until(&self, place: &Partition) -> Option<i64> {
        match self {
            Self::Never => Some(i64::MAX),
            Self::Ends(ends) => ends.get(place).copied().unwrap_or(Some(i64::MAX)),
        }
    }

    /// Notes that a partition was read up to an offset; tells whether that is its end.
    fn advance(&mut self, place: &Partition, offset: i64) -> bool {
        let Self::Ends(ends) = self else { return false };
        let Some(end) = ends.get_mut(place) else { return false };
        let is_over = end.is_some_and(|end| offset >= end);
        if is_over {
            *end = None;
        }
        is_over
    }

    fn forget(&mut self, place: &Partition) {
        if let Self::Ends(ends) = self {
            ends.remove(place);
        }
    }

    fn is_reached(&self) -> bool {
        matches!(self, Self::Ends(ends) if !ends.is_empty() && ends.values().all(Option::is_none))
    }
}
