//! The shards of one topic, and how they are asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::mailbox::{Mailbox, Refuse};
use super::serve::{Serve, run};
use super::{Answer, Asked, partition_of};
use crate::node::Node;
use crate::partition::Partition;

/// As many commands wait for a shard at most.
const MAILBOX: usize = 1024;

/// The shards of one topic that run.
pub(crate) struct Shards<S: Serve> {
    /// By partition. Guarded by a lock that is held for a look-up or to start a task.
    shards: Mutex<HashMap<i32, Arc<Shard<S::Command>>>>,
}

impl<S: Serve> Default for Shards<S> {
    fn default() -> Self {
        Self { shards: Mutex::default() }
    }
}

impl<S: Serve> Shards<S> {
    /// Starts the shards whose partitions hold records.
    pub(crate) fn start(&self, node: &Arc<Node>) {
        let Some(topic) = node.topics.by_name(S::TOPIC) else { return };
        for partition in topic.partitions().iter() {
            if partition.offsets().end.get() > partition.offsets().start.get() {
                self.shard(node, Arc::clone(partition));
            }
        }
    }

    /// Asks the shard to which a name belongs. Its order against later commands is fixed when this
    /// returns.
    pub(crate) async fn ask<T>(
        &self,
        node: &Arc<Node>,
        name: &str,
        command: impl FnOnce(Answer<T>) -> S::Command,
    ) -> Asked<T> {
        match self.partition(node, name) {
            Some(partition) => self.shard(node, partition).ask(command).await,
            None => Asked::nobody(),
        }
    }

    /// Asks the shard of a partition; nobody if there is none.
    pub(crate) async fn ask_partition<T>(
        &self,
        node: &Arc<Node>,
        index: i32,
        command: impl FnOnce(Answer<T>) -> S::Command,
    ) -> Asked<T> {
        let topic = node.topics.by_name(S::TOPIC);
        match topic.and_then(|topic| topic.partition(index)) {
            Some(partition) => self.shard(node, partition).ask(command).await,
            None => Asked::nobody(),
        }
    }

    /// Asks every shard that runs.
    pub(crate) async fn ask_all<T>(
        &self,
        command: impl Fn(Answer<T>) -> S::Command,
    ) -> Vec<Asked<T>> {
        let shards: Vec<_> = self.lock().values().cloned().collect();
        let mut asked = Vec::with_capacity(shards.len());
        for shard in &shards {
            asked.push(shard.ask(&command).await);
        }
        asked
    }

    /// The partition to which a name belongs, if it is there.
    pub(crate) fn partition(&self, node: &Node, name: &str) -> Option<Arc<Partition>> {
        let topic = node.topics.by_name(S::TOPIC)?;
        let count = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
        topic.partition(partition_of(name, count)?)
    }

    /// Forgets the shards whose partitions were deleted.
    pub(crate) fn forget_removed(&self) {
        self.lock().retain(|_, shard| !shard.partition.is_removed());
    }

    fn shard(&self, node: &Arc<Node>, partition: Arc<Partition>) -> Arc<Shard<S::Command>> {
        let mut shards = self.lock();
        let known = shards.get(&partition.index).filter(|shard| shard.serves(&partition));
        if let Some(shard) = known {
            return Arc::clone(shard);
        }
        let index = partition.index;
        let shard = Arc::new(Shard::start::<S>(node, partition));
        shards.insert(index, Arc::clone(&shard));
        shard
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Arc<Shard<S::Command>>>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle to the task of one shard.
struct Shard<C> {
    partition: Arc<Partition>,
    mailbox: mpsc::Sender<C>,
}

impl<C: Refuse> Shard<C> {
    /// Starts the task, which ends with the broker, with the partition, or when nobody has a
    /// handle any more.
    fn start<S: Serve<Command = C>>(node: &Arc<Node>, partition: Arc<Partition>) -> Self {
        let (mailbox, commands) = mpsc::channel(MAILBOX);
        let shard = S::new(node, &partition, mailbox.downgrade());
        let commands = Mailbox::new(commands, &node.tasks);
        node.tasks.spawn(S::NAME, run(shard, Arc::clone(&partition), commands));
        Self { partition, mailbox }
    }

    /// Whether this is the shard of that partition, not of one that was there before, and its task
    /// runs.
    fn serves(&self, partition: &Arc<Partition>) -> bool {
        Arc::ptr_eq(&self.partition, partition) && !self.mailbox.is_closed()
    }

    /// Puts a command into the mailbox, which fixes its order. If the task has ended, the command
    /// is dropped, and with it its answer.
    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> C) -> Asked<T> {
        let (answer, asked) = Asked::somebody();
        drop(self.mailbox.send(command(answer)).await);
        asked
    }
}
