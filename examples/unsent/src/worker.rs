//! The work on one partition, step by step, from where the master is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use common::kv::Write;
use common::patience::Patience;
use futures_util::FutureExt as _;
use klamm_consumer::{ConsumerRecord, PartitionStream, Position};
use klamm_utils::clock::{Clock as _, SystemClock};

use crate::auxiliary::Auxiliary;
use crate::cache::{Cache, Pair};
use crate::expiry::Expiry;
use crate::follower::{Follower, Stand, Step};
use crate::keys;
use crate::marks::Place;
use crate::partition::Shared;
use crate::records::{Next, Piece, Placed, Ready, STEP_RECORDS, piece, some_records};
use crate::states::{States, StatesError};
use crate::topics::RETENTION;
use crate::waiting::Outcome;
use crate::wire::Event;

/// Records that may be on the auxiliary only, while the master is away.
const UNSETTLED_RECORDS_MAX: usize = 10_000;
/// How often an idle partition is looked after.
const TICK: Duration = Duration::from_secs(1);
/// Who is further behind than this is not up to date, and tells nobody of each change.
const LAG_MAX: i64 = 10_000;

/// Why a worker stops following the log from where it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Interrupted {
    #[error("the master is elsewhere: it lost its data, or another worker was there")]
    MasterElsewhere,
    #[error("the partition cannot be read: {0}")]
    Unreadable(klamm_consumer::Error),
    #[error("the partition belongs to another, or all ends")]
    Gone,
}

/// Follows a partition from where the master is.
pub(crate) struct Worker<'a> {
    shared: &'a Shared,
    place: &'a Place,
    master: Follower,
    auxiliary: Auxiliary,
    cache: Cache,
    expiry: Expiry,
    /// How far this worker is.
    reached: i64,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(shared: &'a Shared, place: &'a Place, settled: i64) -> Self {
        let master = shared.stores.master.clone();
        Self {
            master: Follower::new(master, place.clone(), settled, Some(settled)),
            auxiliary: Auxiliary::new(&shared.stores, place, settled),
            cache: Cache::new(),
            expiry: Expiry::new(place.partition),
            reached: settled,
            shared,
            place,
        }
    }

    /// How far this worker is.
    pub(crate) fn reached(&self) -> i64 {
        self.reached
    }

    /// Follows it until that makes no sense any more.
    pub(crate) async fn follow(&mut self, stream: &mut PartitionStream) -> Interrupted {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_full = self.master.records() >= UNSETTLED_RECORDS_MAX;
            let fills = self.auxiliary.is_filled() && self.master.is_settled();
            let done = tokio::select! {
                biased;
                () = self.shared.tasks.stopping() => Err(Interrupted::Gone),
                _ = ticks.tick() => self.look_after(stream).await,
                batch = stream.next_batch(), if !is_full => {
                    match interrupted(batch.map(|batch| batch.map(piece))) {
                        Ok(first) => self.take(stream, first).await,
                        Err(interrupted) => Err(interrupted),
                    }
                }
                () = std::future::ready(()), if fills => {
                    self.auxiliary.fill(&self.shared.stores.master, self.reached).await;
                    // Others have something to do as well.
                    tokio::task::yield_now().await;
                    Ok(())
                }
            };
            if let Err(interrupted) = done {
                return interrupted;
            }
        }
    }

    /// Works on what lies ready, in steps.
    async fn take(
        &mut self,
        stream: &mut PartitionStream,
        first: Piece,
    ) -> Result<(), Interrupted> {
        let Ready { records, end, last } = Ready::gather(first, || {
            let next = stream.next_batch().now_or_never();
            next.map(|batch| batch.map(|batch| batch.map(piece)))
        });
        let tells = is_current(stream);
        let mut rest = records.into_iter().peekable();
        loop {
            let some = some_records(&mut rest);
            let next = rest.peek().map(|record| record.offset);
            self.step(some, next.unwrap_or(end), tells).await?;
            if next.is_none() {
                break;
            }
        }
        last.map_or(Ok(()), |last| interrupted(last).map(drop))
    }

    async fn step(
        &mut self,
        records: Vec<ConsumerRecord>,
        end: i64,
        tells: bool,
    ) -> Result<(), Interrupted> {
        let count = records.len();
        let events = self.read(records).await?;
        self.work_in(&events, (end, count), tells).await?;
        self.shared.metrics.records.inc_by(count as u64);
        Ok(())
    }

    /// Works events into the stores, which are at `end` then, and so many records further.
    async fn work_in(
        &mut self,
        events: &[Placed],
        (end, records): (i64, usize),
        tells: bool,
    ) -> Result<(), Interrupted> {
        let mut writes = self.fetch_states(events).await?;
        let touched = self.apply(events, &mut writes);
        let step = Arc::new(Step { start: self.reached, end, records, writes });
        self.reached = end;
        if self.auxiliary.write(&step).await {
            self.shared.metrics.wrote_to("aux", step.writes.len());
        }
        if tells {
            self.report(&touched).await;
        }
        self.master.push(step);
        // One that is away is asked each second, and nobody waits for it until then.
        if !self.master.is_away() {
            self.settle().await?;
        }
        if self.master.is_settled() {
            self.auxiliary.fill(&self.shared.stores.master, self.reached).await;
        }
        Ok(())
    }

    /// What the records say. Those that say nothing go where they can be looked at.
    async fn read(&self, records: Vec<ConsumerRecord>) -> Result<Vec<Placed>, Interrupted> {
        let mut events = Vec::with_capacity(records.len());
        for record in records {
            match Event::parse(record.value.as_deref(), record.offset) {
                Ok(event) => {
                    events.push(Placed { event, offset: record.offset, at: record.timestamp });
                }
                Err(error) => {
                    tracing::warn!(%error, partition = self.place.partition, record.offset, "refused");
                    self.shared.metrics.dead_letters.inc();
                    let mut patience = Patience::new(&self.shared.tasks, "keep a dead letter");
                    while let Err(error) = self.shared.reports.bury(&record, &error).await {
                        patience.after(&error).await.ok_or(Interrupted::Gone)?;
                    }
                }
            }
        }
        Ok(events)
    }

    /// Has the state at hand of everybody that the events are about, and gives what is to be
    /// written for that.
    async fn fetch_states(&mut self, events: &[Placed]) -> Result<Vec<Write>, Interrupted> {
        let pairs: BTreeSet<Pair> = events.iter().map(Placed::pair).collect();
        let missing: Vec<_> = pairs.into_iter().filter(|pair| !self.cache.has(pair)).collect();
        if missing.is_empty() {
            self.shared.metrics.read_from("cache");
            return Ok(Vec::new());
        }
        let mut patience = Patience::new(&self.shared.tasks, "read what waits");
        let (side, states) = loop {
            let (place, reached) = (self.place, self.reached);
            let settled = self.master.reached().unwrap_or(reached);
            let states = States { stores: &self.shared.stores, place, settled, reached };
            match states.fetch(missing.clone()).await {
                Ok(states) => break states,
                // It may have done what it did not answer to.
                Err(StatesError::MasterElsewhere) if self.master.is_settled() => {
                    return Err(Interrupted::MasterElsewhere);
                }
                Err(StatesError::MasterElsewhere) => self.settle().await?,
                Err(error) => patience.after(&error).await.ok_or(Interrupted::Gone)?,
            }
        };
        self.shared.metrics.read_from(side.name());
        let mut writes = Vec::new();
        for state in states {
            writes.extend(state.again);
            self.cache.put(state.pair, state.waiting);
        }
        Ok(writes)
    }

    /// The arithmetic: what is to be written, and whose state is another.
    fn apply(&mut self, events: &[Placed], writes: &mut Vec<Write>) -> BTreeSet<Pair> {
        let (mut all, mut changed) = (BTreeSet::new(), BTreeSet::new());
        for placed in events {
            let pair = placed.pair();
            let Placed { event, offset, at } = placed;
            let outcome =
                self.cache.change(&pair, |waiting| waiting.apply(event, *offset, *at, writes));
            if outcome == Outcome::Changed {
                changed.insert(pair.clone());
            }
            all.insert(pair);
        }
        for pair in &all {
            if let Some(waiting) = self.cache.peek(pair) {
                waiting.summarise(keys::users(self.place.partition), &pair.0, &pair.1, writes);
            }
        }
        changed
    }

    /// This is news, not state: what cannot be told at once is not told again.
    async fn report(&self, pairs: &BTreeSet<Pair>) {
        for pair in pairs {
            let Some(waiting) = self.cache.peek(pair) else { continue };
            let sender = waiting.sender(&pair.1);
            if !self.shared.reports.change(&pair.0, &pair.1, sender).await {
                return;
            }
        }
    }

    /// Has the master take what it does not have. If it is away, that stays for later.
    async fn settle(&mut self) -> Result<(), Interrupted> {
        let settled = self.master.settle().await;
        self.shared.metrics.wrote_to("master", self.master.take_written());
        self.shared.metrics.master.tell(&settled);
        match settled {
            Ok(Stand::Settled) => {
                self.cache.shrink();
                Ok(())
            }
            Ok(Stand::Behind | Stand::Ahead) => Err(Interrupted::MasterElsewhere),
            Err(_) => Ok(()),
        }
    }

    /// What is done every second: settles, says that it lives, brings the auxiliary up to date,
    /// and commits, so that the group's lag can be seen.
    async fn look_after(&mut self, stream: &PartitionStream) -> Result<(), Interrupted> {
        let current = is_current(stream);
        if self.master.is_settled() {
            // With nothing to say the mark is looked at all the same.
            let now_ms = SystemClock::new().now_ms();
            let writes = current.then(|| self.place.sign_of_life(now_ms)).into_iter().collect();
            let (start, end) = (self.reached, self.reached);
            self.master.push(Arc::new(Step { start, end, records: 0, writes }));
        }
        self.settle().await?;
        let settled = self.master.is_settled().then_some(self.reached);
        self.auxiliary.look_after(&self.shared.stores.master, settled, current).await;
        if current && settled.is_some() && self.auxiliary.is_at(self.reached) {
            self.forget().await?;
        }
        self.shared.metrics.unsettled(self.place.partition, self.master.records());
        self.commit(stream).await;
        Ok(())
    }

    /// Lets go of some of what has waited for longer than the log keeps it.
    async fn forget(&mut self) -> Result<(), Interrupted> {
        let at = SystemClock::new().now_ms();
        let retention_ms = i64::try_from(RETENTION.as_millis()).unwrap_or(i64::MAX);
        let master = &self.shared.stores.master;
        let old = match self.expiry.piece(master, at.saturating_sub(retention_ms)).await {
            Ok(old) => old,
            Err(error) => {
                tracing::debug!(%error, self.place.partition, "what is old waits on");
                return Ok(());
            }
        };
        if !old.is_empty() {
            tracing::debug!(self.place.partition, senders = old.len(), "waited for too long");
        }
        let offset = self.reached;
        let placed = |old| Placed { event: Event::HandedOver(old), offset, at };
        let events: Vec<_> = old.into_iter().map(placed).collect();
        // A user may have heard of thousands.
        for some in events.chunks(STEP_RECORDS) {
            self.work_in(some, (offset, 0), true).await?;
        }
        Ok(())
    }

    /// For those who look at the group only: a worker begins where the master is.
    pub(crate) async fn commit(&self, stream: &PartitionStream) {
        let Some(settled) = self.master.reached() else { return };
        let position = Position::new(stream.topic().clone(), self.place.partition, settled);
        if let Err(error) = stream.commit_to(position).await {
            tracing::debug!(%error, partition = self.place.partition, "not committed");
        }
    }
}

/// Whether little is left to be read. Nobody knows before the log was asked.
fn is_current(stream: &PartitionStream) -> bool {
    stream.lag().is_some_and(|lag| lag < LAG_MAX)
}

/// What a stream has given, or why it gives no more.
fn interrupted(next: Next) -> Result<Piece, Interrupted> {
    next.map_err(Interrupted::Unreadable)?.ok_or(Interrupted::Gone)
}
