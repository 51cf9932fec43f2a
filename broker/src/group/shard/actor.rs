//! The task that owns a shard: it takes commands and deadlines one after the other, appends what
//! they change, and lets answers go once that is durable.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use tokio::sync::mpsc;

use super::command::Command;
use super::coordinator::{Coordinator, Setting, Step};
use super::replay::Replay;
use crate::catalog::Image;
use crate::config::BrokerConfig;
use crate::group::classic::Moment;
use crate::group::consumer::Topics;
use crate::group::records::GroupRecord;
use crate::node::Node;
use crate::partition::Partition;
use crate::shard::append::append;
use crate::shard::load::{LoadError, is_empty, load};
use crate::shard::writes::{LOST, Writes};

/// How long a shard whose log failed waits before it reads it anew.
const REST: Duration = Duration::from_secs(1);

/// The task of one shard.
pub(super) struct Actor {
    pub(super) node: Arc<Node>,
    pub(super) partition: Arc<Partition>,
    pub(super) mailbox: mpsc::Receiver<Command>,
}

/// Why a shard is not served any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interruption {
    /// The broker stops, or nobody will ask again.
    End,
    /// The log failed, and what groups did since is not certain.
    Failure,
}

/// What holds at one moment.
pub(super) struct Circumstances {
    config: Arc<BrokerConfig>,
    image: Arc<Image>,
    topics: Arc<Topics>,
}

impl Circumstances {
    pub(super) fn setting(&self, now: Moment) -> Setting<'_> {
        Setting { now, config: &self.config.groups, topics: &self.topics, image: &self.image }
    }
}

#[expect(clippy::large_enum_variant, reason = "there is one, for a moment")]
enum Event {
    Command(Command),
    Settled(Result<(), ErrorCode>),
    Time,
    End,
}

impl Actor {
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
            tracing::error!(%partition, %error, "groups cannot be coordinated");
            *last = complaint;
        }
    }

    /// Reads the log; `None` when the broker stops meanwhile.
    async fn load(&mut self) -> Option<Result<Coordinator, LoadError>> {
        let partition = Arc::clone(&self.partition);
        let loaded = if is_empty(partition.log()) {
            Ok(Replay::default())
        } else {
            let loading = tokio::task::spawn_blocking(move || {
                let mut replay = Replay::default();
                load(partition.log(), |batch| replay.read(batch)).map(|()| replay)
            });
            let code = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
            self.refuse_until(loading, code).await?.map_err(LoadError::from).flatten()
        };
        let circumstances = self.circumstances();
        Some(loaded.map(|replay| replay.finish(circumstances.setting(self.now()))))
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
        let image = self.node.catalog.image();
        let mut step = Step::default();
        let is_gone = |topic: &str, id: Option<_>| match id {
            Some(id) => image.topic_by_id(id).is_none(),
            None => image.topic(topic).is_none(),
        };
        coordinator.forget_topics(is_gone, &mut step);
        let mut next_check = self.next_check();
        let mut taken = self.take(step, &mut writes);
        while taken.is_ok() {
            let wake = coordinator.deadline().map_or(next_check, |due| due.min(next_check));
            let event = self.next_event(&mut writes, wake).await;
            let circumstances = self.circumstances();
            let setting = circumstances.setting(self.now());
            taken = self.take_due(&mut coordinator, setting, &mut writes);
            if taken.is_ok() && next_check <= setting.now.elapsed {
                taken = self.take(coordinator.expire_offsets(setting), &mut writes);
                next_check = self.next_check();
            }
            match event {
                Event::Command(Command::CommitInTransaction(commit, answer)) if taken.is_ok() => {
                    self.commit_in_transaction(&mut coordinator, commit, answer, &mut writes);
                }
                Event::Command(Command::EndTransaction(marker, outcome, answer))
                    if taken.is_ok() =>
                {
                    let end = (marker, outcome);
                    self.end_transaction(&mut coordinator, end, answer, &mut writes);
                }
                Event::Command(command) if taken.is_ok() => {
                    taken = self.take(coordinator.handle(command, setting), &mut writes);
                }
                Event::Command(command) => command.refuse(LOST),
                Event::Settled(settled) => taken = taken.and(settled),
                Event::Time => {}
                Event::End => {
                    writes.drain().await;
                    return Interruption::End;
                }
            }
        }
        writes.fail().await;
        Interruption::Failure
    }

    async fn next_event(&mut self, writes: &mut Writes, wake: Duration) -> Event {
        let has_room = writes.has_room();
        let pause = wake.saturating_sub(self.node.clock.elapsed());
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

    /// Does what is due in all groups.
    fn take_due(
        &self,
        coordinator: &mut Coordinator,
        setting: Setting<'_>,
        writes: &mut Writes,
    ) -> Result<(), ErrorCode> {
        while let Some(step) = coordinator.expire(setting) {
            self.take(step, writes)?;
        }
        Ok(())
    }

    /// Carries out what an event brings about.
    fn take(&self, step: Step, writes: &mut Writes) -> Result<(), ErrorCode> {
        self.node.metrics.count_rebalances(step.rebalances);
        let codec = self.node.config().groups.topic_compression;
        let now_ms = self.node.clock.now_ms();
        let records = step.records.iter().map(GroupRecord::encode);
        let appended = append(&self.partition, records, codec, now_ms, writes);
        match appended {
            Ok(()) => writes.hold(step.answers),
            Err(_) => step.answers.into_iter().for_each(|release| release(Err(LOST))),
        }
        appended
    }

    pub(super) fn now(&self) -> Moment {
        let clock = &self.node.clock;
        Moment { elapsed: clock.elapsed(), unix_ms: clock.now_ms() }
    }

    pub(super) fn circumstances(&self) -> Circumstances {
        let image = self.node.catalog.image();
        let topics = self.node.groups.topics(&image);
        Circumstances { config: self.node.config(), image, topics }
    }

    fn next_check(&self) -> Duration {
        let interval = self.node.config().groups.offsets_check_interval;
        self.node.clock.elapsed().saturating_add(interval)
    }
}
