//! The task that owns a shard: it takes commands and deadlines one after the other, appends what
//! they change, and lets answers and markers go once that is durable.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::Compression;
use tokio::sync::mpsc;

use super::command::Command;
use super::coordinator::{Coordinator, Step};
use super::markers::Markings;
use super::replay::Replay;
use crate::node::Node;
use crate::partition::Partition;
use crate::shard::append::append;
use crate::shard::load::{LoadError, is_empty, load};
use crate::shard::writes::{LOST, Release, Writes};
use crate::txn::machine::Turn;
use crate::txn::records::TransactionRecord;

/// How long a shard whose log failed waits before it reads it anew.
const REST: Duration = Duration::from_secs(1);

/// The task of one shard.
pub(super) struct Actor {
    node: Arc<Node>,
    partition: Arc<Partition>,
    mailbox: mpsc::Receiver<Command>,
    markings: Markings,
    /// A producer id that nobody has.
    spare_id: Option<i64>,
}

/// Why a shard is not served any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interruption {
    /// The broker stops, or nobody will ask again.
    End,
    /// The log failed, and what became of transactions since is not certain.
    Failure,
}

enum Event {
    Command(Command),
    Settled(Result<(), ErrorCode>),
    Time,
    End,
}

impl Actor {
    /// The task of a partition. It does not keep the mailbox open.
    pub(super) fn new(
        node: &Arc<Node>,
        partition: &Arc<Partition>,
        mailbox: &mpsc::Sender<Command>,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        let markings = Markings::new(node, mailbox.downgrade(), partition.leader_epoch());
        Self {
            node: Arc::clone(node),
            partition: Arc::clone(partition),
            mailbox: commands,
            markings,
            spare_id: None,
        }
    }

    /// Reads the log and serves it, again after each failure, until the broker stops.
    pub(super) async fn run(mut self) {
        let mut complaint = String::new();
        loop {
            let interruption = match self.load().await {
                None => return,
                Some(Ok(coordinator)) => self.serve(coordinator).await,
                Some(Err(_)) if self.partition.is_removed() => return,
                Some(Err(error)) => {
                    self.complain(&error, &mut complaint);
                    Interruption::Failure
                }
            };
            let rest = tokio::time::sleep(REST);
            if interruption == Interruption::End || self.refuse_until(rest, LOST).await.is_none() {
                return;
            }
        }
    }

    /// Tells what keeps the log from being read, once.
    fn complain(&self, error: &LoadError, last: &mut String) {
        let complaint = error.to_string();
        if *last != complaint {
            let partition = &self.partition;
            tracing::error!(%partition, %error, "transactions cannot be coordinated");
            *last = complaint;
        }
    }

    /// Reads the log; `None` when the broker stops meanwhile.
    async fn load(&mut self) -> Option<Result<Coordinator, LoadError>> {
        let partition = Arc::clone(&self.partition);
        if is_empty(partition.log()) {
            return Some(Ok(Coordinator::default()));
        }
        let loading = tokio::task::spawn_blocking(move || {
            let mut replay = Replay::default();
            load(partition.log(), |batch| replay.read(batch)).map(|()| replay)
        });
        let code = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
        let loaded = self.refuse_until(loading, code).await?.map_err(LoadError::from).flatten();
        Some(loaded.map(Replay::finish))
    }

    /// Refuses all commands while something else happens; `None` when the broker stops.
    async fn refuse_until<T>(
        &mut self,
        work: impl Future<Output = T>,
        code: ErrorCode,
    ) -> Option<T> {
        let stopping = self.node.tasks.stopping();
        tokio::pin!(work, stopping);
        loop {
            tokio::select! {
                biased;
                () = &mut stopping => return None,
                done = &mut work => return Some(done),
                command = self.mailbox.recv() => command?.refuse(code),
            }
        }
    }

    async fn serve(&mut self, mut coordinator: Coordinator) -> Interruption {
        let mut writes = Writes::default();
        let mut taken = self.take(coordinator.resume(), &mut writes);
        let mut next_check_ms = self.next_check_ms();
        while taken.is_ok() {
            let wake_ms = coordinator.deadline_ms().unwrap_or(i64::MAX).min(next_check_ms);
            let event = self.next_event(&mut writes, wake_ms).await;
            taken = self.take_due(&mut coordinator, &mut writes);
            if taken.is_ok() && next_check_ms <= self.node.clock.now_ms() {
                taken = self.take(self.forget_unused(&mut coordinator), &mut writes);
                next_check_ms = self.next_check_ms();
            }
            match event {
                Event::Command(command) if taken.is_ok() => {
                    self.find_spare_id(&command).await;
                    let mut turn = Turn::at(self.node.clock.now_ms());
                    turn.spare_id = self.spare_id.take();
                    let step = coordinator.handle(command, &mut turn);
                    self.spare_id = turn.spare_id;
                    taken = self.take(step, &mut writes);
                }
                Event::Command(command) => command.refuse(LOST),
                Event::Settled(settled) => taken = taken.and(settled),
                Event::Time => {}
                Event::End => {
                    writes.drain().await;
                    self.markings.ended().await;
                    return Interruption::End;
                }
            }
        }
        self.markings.stop();
        writes.fail().await;
        self.end_markings().await
    }

    /// Waits for the markers that have begun, before the log is read anew. They are told to the
    /// mailbox, so that it has to be emptied meanwhile.
    async fn end_markings(&mut self) -> Interruption {
        let anew = self.markings.anew();
        let old = std::mem::replace(&mut self.markings, anew);
        let ended = self.refuse_until(old.ended(), LOST).await;
        ended.map_or(Interruption::End, |()| Interruption::Failure)
    }

    async fn next_event(&mut self, writes: &mut Writes, wake_ms: i64) -> Event {
        let has_room = writes.has_room();
        let pause_ms = wake_ms.saturating_sub(self.node.clock.now_ms()).max(0);
        let pause = Duration::from_millis(pause_ms.unsigned_abs());
        tokio::select! {
            biased;
            () = self.node.tasks.stopping() => Event::End,
            settled = writes.settled() => Event::Settled(settled),
            command = self.mailbox.recv(), if has_room => {
                command.map_or(Event::End, Event::Command)
            }
            () = tokio::time::sleep(pause) => Event::Time,
        }
    }

    /// Aborts what has been open for too long.
    fn take_due(
        &self,
        coordinator: &mut Coordinator,
        writes: &mut Writes,
    ) -> Result<(), ErrorCode> {
        let now_ms = self.node.clock.now_ms();
        while let Some(step) = coordinator.expire(now_ms) {
            self.take(step, writes)?;
        }
        Ok(())
    }

    fn forget_unused(&self, coordinator: &mut Coordinator) -> Step {
        let expiration = self.node.config().transactions.id_expiration.as_millis();
        let expiration_ms = i64::try_from(expiration).unwrap_or(i64::MAX);
        coordinator.forget_unused(self.node.clock.now_ms().saturating_sub(expiration_ms))
    }

    /// Has a producer id ready for a command that may need one. Where there is none to be had, the
    /// command is told so if it does.
    async fn find_spare_id(&mut self, command: &Command) {
        if self.spare_id.is_none() && command.may_take_id() {
            self.spare_id = self.node.producer_ids.next(&self.node.catalog).await.ok();
        }
    }

    /// Carries out what an event brings about.
    fn take(&self, step: Step, writes: &mut Writes) -> Result<(), ErrorCode> {
        let now_ms = self.node.clock.now_ms();
        let records = step.records.iter().map(TransactionRecord::encode);
        let appended = append(&self.partition, records, Compression::None, now_ms, writes);
        let start = |(transactional_id, markers)| {
            let markings = self.markings.clone();
            let start: Release = Box::new(move |kept| {
                if kept.is_ok() {
                    markings.start(transactional_id, markers);
                }
            });
            start
        };
        let mut releases = step.answers;
        releases.extend(step.markers.into_iter().map(start));
        match appended {
            Ok(()) => writes.hold(releases),
            Err(_) => releases.into_iter().for_each(|release| release(Err(LOST))),
        }
        appended
    }

    fn next_check_ms(&self) -> i64 {
        let interval = self.node.config().transactions.id_check_interval.as_millis();
        let interval_ms = i64::try_from(interval).unwrap_or(i64::MAX);
        self.node.clock.now_ms().saturating_add(interval_ms)
    }
}
