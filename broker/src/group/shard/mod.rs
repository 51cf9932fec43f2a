//! One partition of `__consumer_offsets` and the groups whose records are in it.
//!
//! ```text
//! handler ─ Command ─▶ mailbox ─▶ actor ─ Coordinator::handle ─▶ records ─▶ Partition::append
//!    ▲                              │                                          │
//!    └────────── answer ◀── writes ◀┴──────────── durable ◀────────────────────┘
//! ```
//!
//! | module | what it is about |
//! |---|---|
//! | [`command`] | what a shard is asked |
//! | `coordinator` | the state, pure: `members`, `consumers`, `commits`, `admin` and `upkeep` do the work |
//! | `transactions` | offsets that are committed as part of transactions |
//! | `actor` | the task that owns it: mailbox, deadlines, appends |
//! | `replay` | from the log to the state |
//!
//! # Invariants
//!
//! - The actor is the only owner of its groups and offsets, and the only writer of its partition.
//! - No answer shows what is not durable: it waits for the last record that was appended before
//!   it. Heartbeats of the classic protocol do not wait, for they show nothing that a record says
//!   (those of the consumer protocol do, and wait); neither do metrics, which must be told while
//!   the disk is slow.
//! - The state is what the log says, and who waits for whom. After a failed append it is given up
//!   and read anew; meanwhile everybody is told that the coordinator is not available.
//! - A mailbox that is full holds up who asks, and with that its connection.

mod actor;
mod admin;
pub(crate) mod command;
mod commits;
mod consumers;
mod coordinator;
mod members;
mod replay;
#[cfg(test)]
mod tests;
mod transactions;
mod upkeep;

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
        let actor =
            Actor { node: Arc::clone(node), partition: Arc::clone(&partition), mailbox: commands };
        node.tasks.spawn("groups", actor.run());
        Self { partition, mailbox }
    }

    /// Whether this is the shard of that partition, not of one that was there before, and its task
    /// runs.
    pub(crate) fn serves(&self, partition: &Arc<Partition>) -> bool {
        Arc::ptr_eq(&self.partition, partition) && !self.mailbox.is_closed()
    }

    /// Whether its partition was deleted.
    pub(crate) fn is_removed(&self) -> bool {
        self.partition.is_removed()
    }

    /// Puts a command into the mailbox, which fixes its order. If the task has ended, the command
    /// is dropped, and with it its answer.
    pub(crate) async fn send(&self, command: Command) {
        drop(self.mailbox.send(command).await);
    }
}
