//! The task that owns a shard: it takes commands and deadlines one after the other, appends what
//! they change, and lets answers go once that is durable.

use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use tokio::sync::mpsc::WeakSender;

use super::command::Command;
use super::coordinator::{Coordinator, Setting, Step};
use super::replay::Replay;
use crate::catalog::Image;
use crate::config::BrokerConfig;
use crate::group::OFFSETS_TOPIC;
use crate::group::classic::Moment;
use crate::group::consumer::Topics;
use crate::group::records::GroupRecord;
use crate::node::Node;
use crate::partition::Partition;
use crate::shard::append::append;
use crate::shard::mailbox::{Event, Mailbox, Refuse as _, Sent};
use crate::shard::serve::{Interruption, Serve};
use crate::shard::writes::{LOST, Writes};

/// The task of one shard.
pub(crate) struct Actor {
    pub(super) node: Arc<Node>,
    pub(super) partition: Arc<Partition>,
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

impl Serve for Actor {
    const TOPIC: &'static str = OFFSETS_TOPIC;
    const NAME: &'static str = "groups";
    type Command = Command;
    type Replay = Replay;

    fn new(node: &Arc<Node>, partition: &Arc<Partition>, _: WeakSender<Sent<Command>>) -> Self {
        Self { node: Arc::clone(node), partition: Arc::clone(partition) }
    }

    async fn serve(&mut self, replay: Replay, mailbox: &mut Mailbox<Command>) -> Interruption {
        let mut writes = Writes::default();
        let mut coordinator = replay.finish(self.circumstances().setting(self.now()));
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
            let pause = wake.saturating_sub(self.node.clock.elapsed());
            let event = mailbox.next_event(&mut writes, pause).await;
            let circumstances = self.circumstances();
            let setting = circumstances.setting(self.now());
            let by = match &event {
                Event::Command(sent) => Some(sent.at),
                Event::Time => Some(setting.now.elapsed),
                Event::Settled(_) | Event::End => None,
            };
            taken = self.take_due(by, &mut coordinator, setting, &mut writes);
            if taken.is_ok() && next_check <= setting.now.elapsed {
                taken = self.take(coordinator.expire_offsets(setting), &mut writes);
                next_check = self.next_check();
            }
            match event {
                Event::Command(Sent { command, .. }) if taken.is_err() => command.refuse(LOST),
                Event::Command(Sent { command, .. }) => match command {
                    Command::CommitInTransaction(commit, answer) => {
                        self.commit_in_transaction(&mut coordinator, commit, answer, &mut writes);
                    }
                    Command::EndTransaction(marker, outcome, answer) => {
                        let end = (marker, outcome);
                        self.end_transaction(&mut coordinator, end, answer, &mut writes);
                    }
                    command => taken = self.take(coordinator.handle(command, setting), &mut writes),
                },
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
}

impl Actor {
    /// Does in all groups what was due by then, if anything is to be.
    fn take_due(
        &self,
        by: Option<Duration>,
        coordinator: &mut Coordinator,
        setting: Setting<'_>,
        writes: &mut Writes,
    ) -> Result<(), ErrorCode> {
        while let Some(step) = by.and_then(|by| coordinator.expire(by, setting)) {
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
