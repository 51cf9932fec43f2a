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

pub(crate) use actor::Actor;
