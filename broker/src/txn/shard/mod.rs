//! One partition of `__transaction_state` and the transactional ids whose records are in it.
//!
//! ```text
//! handler ─ Command ─▶ mailbox ─▶ actor ─ Coordinator::handle ─▶ records ─▶ Partition::append
//!    ▲                   ▲          │                                          │
//!    └────── answer ─────│── writes ◀┴──────────── durable ◀───────────────────┘
//!                        └─ Marked ─ markers ◀─────────┘
//! ```
//!
//! | module | what it is about |
//! |---|---|
//! | [`command`] | what a shard is asked |
//! | `coordinator` | the state, pure |
//! | `actor` | the task that owns it: mailbox, deadlines, appends |
//! | `markers` | the tasks that tell partitions how a transaction ended |
//! | `replay` | from the log to the state |
//!
//! # Invariants
//!
//! - The actor is the only owner of its transactional ids, and the only writer of its partition.
//! - No answer shows what is not durable, and no marker is written for what is not decided for
//!   good: both wait for the last record that was appended before them.
//! - The state is what the log says. After a failed append it is given up and read anew; meanwhile
//!   everybody is told that the coordinator is not available. Nobody writes markers for what was
//!   read before.
//! - A mailbox that is full holds up who asks, and with that its connection.

mod actor;
pub(crate) mod command;
mod coordinator;
mod markers;
mod replay;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::mpsc;

use self::actor::Actor;
use self::command::Command;
use crate::node::Node;
use crate::partition::Partition;

/// As many commands wait for a shard at most.
const MAILBOX: usize = 1024;

/// A handle to the task of one shard.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    partition: Arc<Partition>,
    mailbox: mpsc::Sender<Command>,
}

impl Shard {
    /// Starts the task, which ends with the broker, with the partition, or when nobody has a
    /// handle any more.
    pub(crate) fn start(node: &Arc<Node>, partition: Arc<Partition>) -> Self {
        let (mailbox, commands) = mpsc::channel(MAILBOX);
        let actor = Actor::new(node, &partition, &mailbox, commands);
        node.tasks.spawn("transactions", actor.run());
        Self { partition, mailbox }
    }

    /// Whether this is the shard of that partition, not of one that was there before, and its task
    /// runs.
    pub(crate) fn serves(&self, partition: &Arc<Partition>) -> bool {
        Arc::ptr_eq(&self.partition, partition) && !self.mailbox.is_closed()
    }

    /// Puts a command into the mailbox, which fixes its order. If the task has ended, the command
    /// is dropped, and with it its answer.
    pub(crate) async fn send(&self, command: Command) {
        drop(self.mailbox.send(command).await);
    }
}
