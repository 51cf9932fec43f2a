//! One partition, from the log into the stores.
//!
//! The master says how far it is, beside what it holds, and both change at once: a worker begins
//! there, whatever the group has committed. So what is written is written once, a master that has
//! lost everything is filled again from the log, and of two workers that both believe to own the
//! partition only one is believed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use common::kv::{Pair as Stores, Write};
use common::patience::Patience;
use futures_util::FutureExt as _;
use klamm_consumer::{ConsumerBatch, ConsumerRecord, PartitionStream, Position, Start};
use klamm_utils::clock::{Clock as _, SystemClock};
use klamm_utils::task::TaskGroup;

use crate::auxiliary::Auxiliary;
use crate::begin::begin;
use crate::cache::{Cache, Pair};
use crate::follower::{Follower, Stand, Step};
use crate::keys;
use crate::marks::Place;
use crate::metrics::Metrics;
use crate::reports::Reports;
use crate::states::{States, StatesError};
use crate::waiting::Outcome;
use crate::wire::Event;

/// Records of one step, at most.
const STEP_RECORDS: usize = 1_000;
/// Bytes of the records of one step, about.
const STEP_BYTES: usize = 256 * 1024;
/// Records that may be on the auxiliary only, while the master is away.
const UNSETTLED_RECORDS_MAX: usize = 10_000;
/// How often an idle partition is looked after.
const TICK: Duration = Duration::from_secs(1);
/// Who is further behind than this is not up to date, and tells nobody of each change.
const LAG_MAX: i64 = 10_000;

/// What all partitions share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) pair: Stores,
    pub(crate) reports: Reports,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: TaskGroup,
    /// The id of the topic: a topic made anew is another log.
    pub(crate) log: String,
}

/// Why a worker stops following the log from where it is.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error("the master is elsewhere: it lost its data, or another worker was there")]
    MasterElsewhere,
    #[error("the partition cannot be read: {0}")]
    Unreadable(klamm_consumer::Error),
    #[error("the partition belongs to another, or all ends")]
    Gone,
}

/// Works a partition into the stores until it goes to another member.
pub(crate) async fn work(shared: Shared, mut stream: PartitionStream) {
    let partition = stream.partition();
    let place = Place::new(partition, &shared.log);
    tracing::debug!(partition, "taken");
    let mut patience = Patience::new(&shared.tasks, "follow a partition");
    loop {
        let begun = tokio::select! {
            begun = begin(&shared.pair, &place, &shared.tasks) => begun,
            () = shared.tasks.stopping() => None,
        };
        let Some(settled) = begun else { return };
        let start = if settled > 0 { Start::Offset(settled) } else { Start::Earliest };
        if stream.seek(start).is_err() {
            return;
        }
        let mut worker = Worker::new(&shared, &place, settled);
        let interrupted = worker.follow(&mut stream).await;
        if let Interrupted::Gone = interrupted {
            worker.commit(&stream).await;
            return;
        }
        if worker.reached > settled {
            // What is wrong now was not wrong before.
            patience = Patience::new(&shared.tasks, "follow a partition");
        }
        if patience.after(&interrupted).await.is_none() {
            return;
        }
    }
}

struct Worker<'a> {
    shared: &'a Shared,
    place: &'a Place,
    master: Follower,
    auxiliary: Auxiliary,
    cache: Cache,
    /// How far this worker is.
    reached: i64,
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared, place: &'a Place, settled: i64) -> Self {
        let master = shared.pair.master.clone();
        Self {
            master: Follower::new(master, place.clone(), settled, Some(settled)),
            auxiliary: Auxiliary::new(&shared.pair, place, settled),
            cache: Cache::new(),
            reached: settled,
            shared,
            place,
        }
    }

    async fn follow(&mut self, stream: &mut PartitionStream) -> Interrupted {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_full = self.master.records() >= UNSETTLED_RECORDS_MAX;
            let fills = self.auxiliary.is_filled() && self.master.is_settled();
            let done = tokio::select! {
                biased;
                () = self.shared.tasks.stopping() => Err(Interrupted::Gone),
                _ = ticks.tick() => self.look_after(stream).await,
                batch = stream.next_batch(), if !is_full => match batch {
                    Ok(Some(batch)) => self.take(stream, batch).await,
                    Ok(None) => Err(Interrupted::Gone),
                    Err(error) => Err(Interrupted::Unreadable(error)),
                },
                () = std::future::ready(()), if fills => {
                    self.auxiliary.fill(&self.shared.pair.master, self.reached).await;
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
        first: ConsumerBatch,
    ) -> Result<(), Interrupted> {
        let (mut end, mut records) = (first.end_offset(), Vec::from_iter(first));
        while records.len() < STEP_RECORDS {
            match stream.next_batch().now_or_never() {
                Some(Ok(Some(batch))) => {
                    end = batch.end_offset();
                    records.extend(batch);
                }
                _ => break,
            }
        }
        let tells = is_current(stream);
        let mut rest = records.into_iter().peekable();
        loop {
            let some = some_records(&mut rest);
            let next = rest.peek().map(|record| record.offset);
            self.step(some, next.unwrap_or(end), tells).await?;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    async fn step(
        &mut self,
        records: Vec<ConsumerRecord>,
        end: i64,
        tells: bool,
    ) -> Result<(), Interrupted> {
        let count = records.len();
        let events = self.read(records).await?;
        let mut writes = self.fetch_states(&events).await?;
        let touched = self.apply(&events, &mut writes);
        let step = Arc::new(Step { start: self.reached, end, records: count, writes });
        self.reached = end;
        if self.auxiliary.write(&step).await {
            self.shared.metrics.wrote_to("aux", step.writes.len());
        }
        if tells {
            self.report(&touched).await;
        }
        self.master.push(step);
        self.shared.metrics.records.inc_by(count as u64);
        // One that is away is asked each second, and nobody waits for it until then.
        if !self.master.is_away() {
            self.settle().await?;
        }
        if self.master.is_settled() {
            self.auxiliary.fill(&self.shared.pair.master, self.reached).await;
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
            let states = States { stores: &self.shared.pair, place, settled, reached };
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
        self.auxiliary.look_after(&self.shared.pair.master, settled, current).await;
        self.shared.metrics.unsettled(self.place.partition, self.master.records());
        self.commit(stream).await;
        Ok(())
    }

    /// For those who look at the group only: a worker begins where the master is.
    async fn commit(&self, stream: &PartitionStream) {
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

/// The records of the next step.
fn some_records(
    rest: &mut std::iter::Peekable<impl Iterator<Item = ConsumerRecord>>,
) -> Vec<ConsumerRecord> {
    let (mut some, mut bytes) = (Vec::new(), 0);
    while some.len() < STEP_RECORDS && bytes < STEP_BYTES {
        let Some(record) = rest.next() else { break };
        bytes += record.value.as_ref().map_or(0, |value| value.len());
        some.push(record);
    }
    some
}

/// An event and where it lies.
struct Placed {
    event: Event,
    offset: i64,
    at: i64,
}

impl Placed {
    fn pair(&self) -> Pair {
        let (to, from) = self.event.pair();
        (to.to_owned(), from.to_owned())
    }
}
