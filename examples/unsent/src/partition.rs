//! One partition, from the log into the stores.
//!
//! The master says how far it is, beside what it holds, and both change at once: a worker begins
//! there, whatever the group has committed. So what is written is written once, a master that has
//! lost everything is filled again from the log, and of two workers that both believe to own the
//! partition only one is believed.

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use common::kv::{Found, Kv, KvError, Mark, Marked, Pair, Read, Write};
use common::patience::Patience;
use futures_util::FutureExt as _;
use klamm_consumer::{ConsumerBatch, ConsumerRecord, PartitionStream, Position, Start};
use klamm_utils::clock::{Clock as _, SystemClock};
use klamm_utils::task::TaskGroup;
use lru::LruCache;

use crate::auxiliary::Auxiliary;
use crate::keys;
use crate::metrics::Metrics;
use crate::reports::Reports;
use crate::waiting::{Outcome, Waiting};
use crate::wire::Event;

/// Records of one step, about.
const STEP_RECORDS: usize = 1_000;
/// Records that may be on the auxiliary only, while the master is away.
const UNSETTLED_RECORDS_MAX: usize = 10_000;
/// Pairs of users whose state is at hand: more than a step and what is unsettled can touch, so
/// that none is forgotten before the master has it.
const CACHED_PAIRS: NonZeroUsize = NonZeroUsize::new(100_000).expect("it is not zero");
/// How often an idle partition is looked after.
const TICK: Duration = Duration::from_secs(1);
/// Who is further behind than this tells nobody of each change.
const REPORT_LAG_MAX: i64 = 10_000;

/// What all partitions share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) pair: Pair,
    pub(crate) reports: Reports,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: TaskGroup,
    /// The id of the topic: a topic made anew is another log.
    pub(crate) log: String,
}

/// Why a worker stops following the log from where it is.
enum Interrupted {
    /// The master is elsewhere: it lost its data, or another worker was there.
    Rewind,
    /// The partition belongs to another, or all ends.
    Gone,
}

/// What is written down of records up to an offset.
struct Step {
    end: i64,
    records: usize,
    writes: Vec<Write>,
}

/// Works a partition into the stores until it goes to another member.
pub(crate) async fn work(shared: Shared, stream: PartitionStream) {
    let partition = stream.partition();
    tracing::debug!(partition, "taken");
    let mut stream = stream;
    loop {
        let Some(settled) = begin(&shared, partition).await else { return };
        let start = if settled > 0 { Start::Offset(settled) } else { Start::Earliest };
        if stream.seek(start).is_err() {
            return;
        }
        let mut worker = Worker {
            auxiliary: Auxiliary::new(&shared.pair, partition, &shared.log),
            shared: shared.clone(),
            partition,
            cache: LruCache::new(CACHED_PAIRS),
            settled,
            reached: settled,
            unsettled: VecDeque::new(),
        };
        match worker.follow(&mut stream).await {
            Interrupted::Rewind => tracing::info!(partition, "the master is elsewhere: again"),
            Interrupted::Gone => {
                worker.commit(&stream).await;
                return;
            }
        }
    }
}

/// How far the master is.
async fn begin(shared: &Shared, partition: i32) -> Option<i64> {
    let mut patience = Patience::new(&shared.tasks, "read the mark of a partition");
    loop {
        match try_begin(shared, partition).await {
            Ok(offset) => return Some(offset),
            Err(error) => patience.after(&error).await?,
        }
    }
}

/// If the master knows nothing of this log, what it holds of another one goes.
async fn try_begin(shared: &Shared, partition: i32) -> Result<i64, BeginError> {
    let field = Read::Field(keys::MARKS.into(), partition.to_string());
    let (_, found) = shared.pair.read_master_first(&[field]).await?;
    let held = found.into_iter().next().and_then(Found::into_text);
    if let Some(offset) = offset_of(held.as_deref(), &shared.log) {
        return Ok(offset);
    }
    forget(&shared.pair.master, partition).await?;
    let mark = mark(partition, &shared.log, held, 0);
    match shared.pair.master.write_marked(&mark, &[]).await? {
        Marked::Written => Ok(0),
        Marked::Elsewhere(_) => Err(BeginError::Raced),
    }
}

#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error("another worker was there first")]
    Raced,
    #[error(transparent)]
    Kv(#[from] KvError),
}

/// Takes everything about the users of a partition out of a store.
pub(crate) async fn forget(kv: &Kv, partition: i32) -> Result<(), KvError> {
    let users: Vec<_> = kv.members(&keys::users(partition)).await?.into_iter().collect();
    for users in users.chunks(STEP_RECORDS) {
        let reads: Vec<_> = users.iter().map(|user| Read::Members(keys::senders(user))).collect();
        let senders = kv.read(&reads).await?.into_iter().map(Found::into_members);
        let mut writes = Vec::new();
        for (user, senders) in users.iter().zip(senders) {
            let texts = senders.iter().map(|sender| Write::Delete(keys::texts(user, sender)));
            writes.extend(texts);
            writes.extend([keys::senders(user), keys::details(user)].map(Write::Delete));
        }
        kv.write(&writes).await?;
    }
    kv.write(&[Write::Delete(keys::users(partition))]).await
}

struct Worker {
    shared: Shared,
    partition: i32,
    auxiliary: Auxiliary,
    cache: LruCache<(String, String), Waiting>,
    /// How far the master is.
    settled: i64,
    /// How far this worker is.
    reached: i64,
    /// What the master does not have yet, in order.
    unsettled: VecDeque<Step>,
}

impl Worker {
    async fn follow(&mut self, stream: &mut PartitionStream) -> Interrupted {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_full = self.unsettled_records() >= UNSETTLED_RECORDS_MAX;
            tokio::select! {
                biased;
                () = self.shared.tasks.stopping() => return Interrupted::Gone,
                _ = ticks.tick() => {
                    if let Err(interrupted) = self.look_after(stream).await {
                        return interrupted;
                    }
                }
                batch = stream.next_batch(), if !is_full => match batch {
                    Ok(Some(batch)) => {
                        if let Err(interrupted) = self.step(stream, batch).await {
                            return interrupted;
                        }
                    }
                    Ok(None) => return Interrupted::Gone,
                    Err(error) => {
                        tracing::warn!(%error, partition = self.partition, "cannot be read");
                        return Interrupted::Rewind;
                    }
                },
            }
        }
    }

    /// Works on what lies ready, and settles it.
    async fn step(
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
        let count = records.len();
        let events = self.read(records).await?;
        self.fetch_states(&events).await?;
        let (writes, touched) = self.apply(&events);
        self.auxiliary.write(&writes, end).await;
        if stream.lag().is_none_or(|lag| lag < REPORT_LAG_MAX) {
            self.report(&touched).await;
        }
        self.unsettled.push_back(Step { end, records: count, writes });
        self.reached = end;
        self.shared.metrics.records.inc_by(count as u64);
        self.settle().await
    }

    /// What the records say. Those that say nothing go where they can be looked at.
    async fn read(&self, records: Vec<ConsumerRecord>) -> Result<Vec<Placed>, Interrupted> {
        let mut events = Vec::with_capacity(records.len());
        for record in records {
            match Event::parse(record.value.as_deref()) {
                Ok(event) => {
                    events.push(Placed { event, offset: record.offset, at: record.timestamp });
                }
                Err(error) => {
                    tracing::warn!(%error, partition = self.partition, record.offset, "refused");
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

    /// Has the state at hand of everybody that the events are about.
    async fn fetch_states(&mut self, events: &[Placed]) -> Result<(), Interrupted> {
        let pairs = events.iter().map(|placed| placed.event.pair());
        let pairs: BTreeSet<_> = pairs.map(|(to, from)| (to.to_owned(), from.to_owned())).collect();
        let missing: Vec<_> =
            pairs.into_iter().filter(|pair| self.cache.get(pair).is_none()).collect();
        if missing.is_empty() {
            self.shared.metrics.read_from("cache");
            return Ok(());
        }
        let mut reads = vec![Read::Field(keys::MARKS.into(), self.partition.to_string())];
        for (to, from) in &missing {
            reads.push(Read::Field(keys::details(to), from.clone()));
            reads.push(Read::Fields(keys::texts(to, from)));
        }
        let mut patience = Patience::new(&self.shared.tasks, "read what waits");
        let (side, found) = loop {
            let reaches = |found: &[Found]| self.reaches(found);
            match self.shared.pair.read(&reads, reaches).await {
                Ok(read) => break read,
                Err(error) => patience.after(&error).await.ok_or(Interrupted::Gone)?,
            }
        };
        self.shared.metrics.read_from(side.name());
        let mut found = found.into_iter().skip(1);
        for pair in missing {
            let (summary, texts) = (found.next(), found.next());
            let summary = summary.and_then(Found::into_text);
            let texts = texts.map(Found::into_fields).unwrap_or_default();
            self.cache.put(pair, Waiting::from_store(summary.as_deref(), &texts));
        }
        Ok(())
    }

    /// Whether a store that holds this mark knows all that the master does.
    fn reaches(&self, found: &[Found]) -> bool {
        let Some(Found::Text(mark)) = found.first() else { return false };
        let reached = offset_of(mark.as_deref(), &self.shared.log);
        reached.is_some_and(|reached| reached >= self.settled)
    }

    /// The arithmetic: what is to be written, and whose state is another.
    fn apply(&mut self, events: &[Placed]) -> (Vec<Write>, BTreeSet<(String, String)>) {
        let (mut writes, mut all, mut changed) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for Placed { event, offset, at } in events {
            let (to, from) = event.pair();
            let pair = (to.to_owned(), from.to_owned());
            let waiting = self.cache.get_or_insert_mut(pair.clone(), Waiting::default);
            if waiting.apply(event, *offset, *at, &mut writes) == Outcome::Changed {
                changed.insert(pair.clone());
            }
            all.insert(pair);
        }
        // Also of those who were known: the auxiliary may be ahead of the master.
        for pair in &all {
            if let Some(waiting) = self.cache.peek(pair) {
                writes.push(Write::AddMember(keys::users(self.partition), pair.0.clone()));
                waiting.summarise(&pair.0, &pair.1, &mut writes);
            }
        }
        writes.push(self.sign_of_life());
        (writes, changed)
    }

    async fn report(&self, pairs: &BTreeSet<(String, String)>) {
        for pair in pairs {
            if let Some(waiting) = self.cache.peek(pair) {
                let sender = waiting.sender(&pair.1);
                self.shared.reports.change(&pair.0, &pair.1, sender).await;
            }
        }
    }

    /// Has the master take what it does not have. If it is away, that stays for later.
    async fn settle(&mut self) -> Result<(), Interrupted> {
        while let Some(step) = self.unsettled.front() {
            let expected = Some(written_mark(&self.shared.log, self.settled));
            let mark = mark(self.partition, &self.shared.log, expected, step.end);
            let marked = self.shared.pair.master.write_marked(&mark, &step.writes).await;
            self.shared.metrics.master.tell(&marked);
            match marked {
                Ok(Marked::Written) => {
                    self.shared.metrics.wrote_to("master", step.writes.len());
                    self.settled = step.end;
                    self.unsettled.pop_front();
                }
                Ok(Marked::Elsewhere(_)) => return Err(Interrupted::Rewind),
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// What is done every second: settles, says that it lives, brings the auxiliary up to date,
    /// and commits, so that the group's lag can be seen.
    async fn look_after(&mut self, stream: &PartitionStream) -> Result<(), Interrupted> {
        if self.unsettled.is_empty() {
            let (end, writes) = (self.reached, vec![self.sign_of_life()]);
            self.unsettled.push_back(Step { end, records: 0, writes });
        }
        self.settle().await?;
        if self.unsettled.is_empty() {
            let from = &self.shared.pair.master;
            self.auxiliary.catch_up(from, self.reached).await;
        }
        self.auxiliary.write(&[self.sign_of_life()], self.reached).await;
        self.shared.metrics.unsettled(self.partition, self.unsettled_records());
        self.commit(stream).await;
        Ok(())
    }

    /// For those who look at the group only: a worker begins where the master is.
    async fn commit(&self, stream: &PartitionStream) {
        let position = Position::new(stream.topic().clone(), self.partition, self.settled);
        if let Err(error) = stream.commit_to(position).await {
            tracing::debug!(%error, partition = self.partition, "not committed");
        }
    }

    fn sign_of_life(&self) -> Write {
        let now_ms = SystemClock::new().now_ms();
        Write::SetField(keys::ALIVE.into(), self.partition.to_string(), now_ms.to_string())
    }

    fn unsettled_records(&self) -> usize {
        self.unsettled.iter().map(|step| step.records).sum()
    }
}

/// An event and where it lies.
struct Placed {
    event: Event,
    offset: i64,
    at: i64,
}

/// How a mark is written.
pub(crate) fn written_mark(log: &str, offset: i64) -> String {
    format!("{log}:{offset}")
}

/// The offset of a mark; none if it is of another log.
pub(crate) fn offset_of(mark: Option<&str>, log: &str) -> Option<i64> {
    let (of, offset) = mark?.rsplit_once(':')?;
    if of == log { offset.parse().ok() } else { None }
}

pub(crate) fn mark(partition: i32, log: &str, expected: Option<String>, offset: i64) -> Mark {
    let (hash, field) = (keys::MARKS.into(), partition.to_string());
    Mark { hash, field, expected, value: written_mark(log, offset) }
}
