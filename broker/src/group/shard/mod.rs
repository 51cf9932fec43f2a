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
//!   (those of the consumer protocol do, and wait); neither do metrics, so that they are told while
//!   the disk is slow, until so much is on its way to it that no command is taken.
//! - The state is what the log says, and who waits for whom. After a failed append it is given up
//!   and read anew; meanwhile everybody is told that the coordinator is not available.
//! - What is due is done in the order of time with the commands, by when they were sent and not by
//!   when they are read: a session does not end before a heartbeat that waits in the mailbox.
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

pub(crate) use actor::Actor;
