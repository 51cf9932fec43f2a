//! The shards of one topic, and how they are asked.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use klamm_utils::clock::Clock;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::mailbox::{Mailbox, Refuse, Sent};
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

    /// Asks the shard to which a name belongs. Its order against later commands is fixed once this
    /// has been awaited.
    pub(crate) fn ask<T>(
        &self,
        node: &Arc<Node>,
        name: &str,
        command: impl FnOnce(Answer<T>) -> S::Command,
    ) -> impl Future<Output = Asked<T>> {
        self.send(node, self.partition(node, name), command).delivered()
    }

    /// Asks the shard of a partition; nobody if there is none.
    pub(crate) fn ask_partition<T>(
        &self,
        node: &Arc<Node>,
        index: i32,
        command: impl FnOnce(Answer<T>) -> S::Command,
    ) -> impl Future<Output = Asked<T>> {
        let topic = node.topics.by_name(S::TOPIC);
        let partition = topic.and_then(|topic| topic.partition(index));
        self.send(node, partition, command).delivered()
    }

    /// Asks every shard that runs.
    pub(crate) async fn ask_all<T>(
        &self,
        command: impl Fn(Answer<T>) -> S::Command,
    ) -> Vec<Asked<T>> {
        let shards: Vec<_> = self.lock().values().cloned().collect();
        let mut asked = Vec::with_capacity(shards.len());
        for shard in &shards {
            asked.push(shard.send(&command).delivered().await);
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

    fn send<T>(
        &self,
        node: &Arc<Node>,
        partition: Option<Arc<Partition>>,
        command: impl FnOnce(Answer<T>) -> S::Command,
    ) -> Delivery<T> {
        match partition {
            Some(partition) => self.shard(node, partition).send(command),
            None => Delivery { asked: Asked::nobody(), rest: None },
        }
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
    mailbox: mpsc::Sender<Sent<C>>,
    clock: Arc<dyn Clock>,
}

impl<C: Refuse> Shard<C> {
    /// Starts the task, which ends with the broker, with the partition, or when nobody has a
    /// handle any more.
    fn start<S: Serve<Command = C>>(node: &Arc<Node>, partition: Arc<Partition>) -> Self {
        let (mailbox, commands) = mpsc::channel(MAILBOX);
        let shard = S::new(node, &partition, mailbox.downgrade());
        let commands = Mailbox::new(commands, &node.tasks);
        node.tasks.spawn(S::NAME, run(shard, Arc::clone(&partition), commands));
        Self { partition, mailbox, clock: Arc::clone(&node.clock) }
    }

    /// Whether this is the shard of that partition, not of one that was there before, and its task
    /// runs.
    fn serves(&self, partition: &Arc<Partition>) -> bool {
        Arc::ptr_eq(&self.partition, partition) && !self.mailbox.is_closed()
    }

    /// Puts a command into the mailbox, which fixes its order; into a full one once it is awaited.
    /// If the task has ended, the command is dropped, and with it its answer.
    fn send<T>(&self, command: impl FnOnce(Answer<T>) -> C) -> Delivery<T> {
        let (answer, asked) = Asked::somebody();
        let sent = Sent::now(command(answer), &*self.clock);
        let rest = match self.mailbox.try_send(sent) {
            Ok(()) | Err(TrySendError::Closed(_)) => None,
            Err(TrySendError::Full(sent)) => {
                let mailbox = self.mailbox.clone();
                let rest = async move { drop(mailbox.send(sent).await) };
                Some(Box::pin(rest) as Pin<Box<dyn Future<Output = ()> + Send>>)
            }
        };
        Delivery { asked, rest }
    }
}

/// A command on its way into a mailbox. It is there already, unless the mailbox is full: what waits
/// for that has no room in each connection.
struct Delivery<T> {
    asked: Asked<T>,
    rest: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<T> Delivery<T> {
    async fn delivered(self) -> Asked<T> {
        if let Some(rest) = self.rest {
            rest.await;
        }
        self.asked
    }
}
