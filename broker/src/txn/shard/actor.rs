//! The task that owns a shard: it takes commands and deadlines one after the other, appends what
//! they change, and lets answers and markers go once that is durable.

use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::Compression;
use tokio::sync::mpsc::WeakSender;

use super::command::Command;
use super::coordinator::{Coordinator, Step};
use super::markers::Markings;
use super::replay::Replay;
use crate::node::Node;
use crate::partition::Partition;
use crate::shard::append::append;
use crate::shard::mailbox::{Event, Mailbox, Refuse as _, Sent};
use crate::shard::serve::{Interruption, Serve};
use crate::shard::writes::{LOST, Release, Writes};
use crate::txn::STATE_TOPIC;
use crate::txn::machine::Turn;
use crate::txn::records::TransactionRecord;

/// The task of one shard.
pub(crate) struct Actor {
    node: Arc<Node>,
    partition: Arc<Partition>,
    markings: Markings,
    /// A producer id that nobody has.
    spare_id: Option<i64>,
}

impl Serve for Actor {
    const TOPIC: &'static str = STATE_TOPIC;
    const NAME: &'static str = "transactions";
    type Command = Command;
    type Replay = Replay;

    fn new(
        node: &Arc<Node>,
        partition: &Arc<Partition>,
        mailbox: WeakSender<Sent<Command>>,
    ) -> Self {
        Self {
            node: Arc::clone(node),
            partition: Arc::clone(partition),
            markings: Markings::new(node, mailbox, partition.leader_epoch()),
            spare_id: None,
        }
    }

    async fn serve(&mut self, replay: Replay, mailbox: &mut Mailbox<Command>) -> Interruption {
        let (mut coordinator, mut writes) = (replay.finish(), Writes::default());
        let mut taken = self.take(coordinator.resume(), &mut writes);
        let mut next_check_ms = self.next_check_ms();
        while taken.is_ok() {
            let wake_ms = coordinator.deadline_ms().unwrap_or(i64::MAX).min(next_check_ms);
            let event = mailbox.next_event(&mut writes, self.pause_until(wake_ms)).await;
            taken = self.take_due(&mut coordinator, &mut writes);
            if taken.is_ok() && next_check_ms <= self.node.clock.now_ms() {
                taken = self.take(self.forget_unused(&mut coordinator), &mut writes);
                next_check_ms = self.next_check_ms();
            }
            match event {
                Event::Command(Sent { command, .. }) if taken.is_ok() => {
                    self.find_spare_id(&command).await;
                    let mut turn = Turn::at(self.node.clock.now_ms());
                    turn.spare_id = self.spare_id.take();
                    let step = coordinator.handle(command, &mut turn);
                    self.spare_id = turn.spare_id;
                    taken = self.take(step, &mut writes);
                }
                Event::Command(Sent { command, .. }) => command.refuse(LOST),
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
        self.end_markings(mailbox).await
    }
}

impl Actor {
    /// Waits for the markers that have begun, before the log is read anew. They are told to the
    /// mailbox, so that it has to be emptied meanwhile.
    async fn end_markings(&mut self, mailbox: &mut Mailbox<Command>) -> Interruption {
        let anew = self.markings.anew();
        let old = std::mem::replace(&mut self.markings, anew);
        let ended = mailbox.refuse_until(old.ended(), LOST).await;
        ended.map_or(Interruption::End, |()| Interruption::Failure)
    }

    fn pause_until(&self, wake_ms: i64) -> Duration {
        let pause_ms = wake_ms.saturating_sub(self.node.clock.now_ms()).max(0);
        Duration::from_millis(pause_ms.unsigned_abs())
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
