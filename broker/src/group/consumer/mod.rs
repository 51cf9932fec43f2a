//! One group of the consumer protocol (KIP-848), as a pure machine: events and the time in,
//! changes and answers out.
//!
//! Members do not assign, and do not wait for each other. A member says with its heartbeats what
//! it reads and what it holds; the group decides what it shall hold, and leads each member there
//! by itself:
//!
//! ```text
//!  subscriptions, topics ──▶ group epoch ──▶ target, by an assignor ──▶ what each member holds
//!     `heartbeat`,            `follow`           `target`                 `reconcile`
//!     `topics`
//! ```
//!
//! - The **epoch** of the group goes up with every change of who reads what.
//! - The **target** says who shall hold which partition, and for which epoch of the group it was
//!   made.
//! - A **member** has an epoch, too: that of the target which it has come to. Before it moves on
//!   to a newer one it gives up what it shall not hold any more; what it shall hold and another
//!   member has not given up yet, it gets later.
//!
//! The coordinator that drives it
//!
//! 1. calls one of the methods that take an event, with the moment it happened and the topics
//!    that there are,
//! 2. writes the [`Change`]s that the effects list to the log, in their order,
//! 3. lets the answer go once that is durable, and
//! 4. calls [`expire`](ConsumerGroup::expire) no later than
//!    [`deadline`](ConsumerGroup::deadline) asks.
//!
//! # Invariants
//!
//! - **A partition is held by at most one member.** A member holds what it was told to hold until
//!   it says that it does not, or is out of the group.
//!   In that it is believed, as in Kafka: what it was told to hold, and says that it does not hold
//!   yet, another may get at once. It must not begin with it before that heartbeat is answered.
//! - Everything but sessions and deadlines follows from the changes: what a method does it does
//!   by [applying](ConsumerGroup::apply) them, and so does who reads the log.
//! - A refused event changes nothing.
//! - Nothing kept here shares a request's buffer.
//!
//! The rules, and the codes of refusals, are those of `GroupMetadataManager` and
//! `CurrentAssignmentBuilder` in Kafka 4.3, but for two about patterns: there, one is matched in
//! the background, and its topics join the subscription with a later heartbeat; and it may be of
//! any size, where one that is matched at once must not hold others up for long.

mod admit;
mod assignor;
mod change;
mod checks;
mod classic;
mod describe;
mod effects;
mod events;
mod expire;
mod follow;
mod heartbeat;
mod leave;
mod member;
mod pattern;
mod reconcile;
mod target;
#[cfg(test)]
mod tests;
mod topics;
mod transfer;

use std::collections::{BTreeMap, HashMap};

use klamm_protocol::wire::Str;

pub(crate) use assignor::Assignor;
pub(crate) use change::{
    Change, GroupEpoch, Held, Matches, Partitions, TargetEpoch, TopicPartition, by_topic,
};
pub(crate) use checks::Committer;
pub(crate) use describe::{Description, MemberDescription, State};
pub(crate) use effects::{Beat, Effects, Refusal};
pub(crate) use events::{Heartbeat, LEFT_FOR_A_WHILE, Leave, Limits, Scope};
use member::Member;
pub(crate) use member::{ClassicMember, Current, MemberState, Subscription};
use pattern::Compiled;
#[cfg(test)]
pub(crate) use topics::Topic;
pub(crate) use topics::Topics;
pub(crate) use transfer::Unfit;

use super::wake::Wake;

/// One group of the consumer protocol.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConsumerGroup {
    epoch: GroupEpoch,
    target_epoch: TargetEpoch,
    /// What each member shall hold.
    targets: BTreeMap<Str, Partitions>,
    members: BTreeMap<Str, Member>,
    /// The members that are static, by their instance ids.
    static_ids: HashMap<Str, Str>,
    /// Who holds a partition, or is still to give it up.
    holders: HashMap<TopicPartition, Str>,
    /// The topics that the patterns of members stand for.
    patterns: BTreeMap<Str, Matches>,
    /// The same patterns, as far as they were matched since the start.
    compiled: Compiled,
    /// The version of the topics that were looked at last; none since the start.
    topics_seen: Option<i64>,
    wake: Wake,
}

impl ConsumerGroup {
    /// Does what a change says, and has it written.
    fn make(&mut self, change: Change, effects: &mut Effects) {
        self.apply(change.clone());
        effects.changes.push(change);
    }
}
