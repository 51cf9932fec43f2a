//! How a member comes to its target: it gives up first, and gets then.

use std::collections::BTreeSet;

use klamm_protocol::wire::{Str, Uuid};

use super::ConsumerGroup;
use super::change::{Change, Held, Partitions, TopicPartition};
use super::effects::Effects;
use super::events::Scope;
use super::member::{Current, MemberState};

/// Where a member is to come to, and what it said of itself.
#[derive(Debug)]
pub(super) struct Aim<'a> {
    /// The epoch of the target.
    pub(super) epoch: i32,
    /// What it shall hold.
    pub(super) target: &'a Partitions,
    /// The topics that it reads. The target may have been made when it read others.
    pub(super) topics: &'a BTreeSet<Uuid>,
    /// Whether it has just begun to read other topics.
    pub(super) reads_other: bool,
    /// What it says it holds, if it says so.
    pub(super) owned: Option<&'a Partitions>,
}

impl Aim<'_> {
    /// Whether a member may still hold any of these.
    fn is_owned(&self, partitions: &Held) -> bool {
        match self.owned {
            None => true,
            Some(owned) => partitions.keys().any(|partition| owned.contains(partition)),
        }
    }

    fn is_read(&self, partition: &TopicPartition) -> bool {
        self.topics.contains(&partition.0)
    }
}

/// The next step of a member towards its target; `None` where there is none now. `is_taken` tells
/// which partitions others hold.
pub(super) fn next(
    current: &Current,
    aim: &Aim<'_>,
    is_taken: impl Fn(&TopicPartition) -> bool,
) -> Option<Current> {
    let stays = match current.state {
        MemberState::Stable => current.epoch == aim.epoch,
        MemberState::Unrevoked => aim.is_owned(&current.revoking),
        MemberState::Unreleased | MemberState::Unknown(_) => false,
    };
    let next = match stays {
        true if aim.reads_other => stop_reading(current, aim),
        true => return None,
        false => approach(current, aim, is_taken),
    };
    Some(next).filter(|next| next != current)
}

/// Gives up topics that the member does not read any more, without a new target.
fn stop_reading(current: &Current, aim: &Aim<'_>) -> Current {
    let mut assigned = current.assigned.clone();
    let unread: Held = assigned.extract_if(.., |partition, _| !aim.is_read(partition)).collect();
    if unread.is_empty() {
        return current.clone();
    }
    let mut revoking = current.revoking.clone();
    revoking.extend(unread);
    let next = Current { assigned, ..current.clone().at_epoch(current.epoch) };
    if aim.is_owned(&revoking) {
        Current { state: MemberState::Unrevoked, revoking, ..next }
    } else {
        next
    }
}

/// Gives up what it shall not hold; when that is done, gets what is free.
fn approach(
    current: &Current,
    aim: &Aim<'_>,
    is_taken: impl Fn(&TopicPartition) -> bool,
) -> Current {
    let target = || aim.target.iter().filter(|partition| aim.is_read(partition));
    let is_target = |partition: &_| aim.target.contains(partition) && aim.is_read(partition);
    let mut assigned = current.assigned.clone();
    let revoking: Held = assigned.extract_if(.., |partition, _| !is_target(partition)).collect();
    if !revoking.is_empty() && aim.is_owned(&revoking) {
        let state = MemberState::Unrevoked;
        let next = current.clone().at_epoch(current.epoch);
        return Current { state, assigned, revoking, ..next };
    }
    let missing: Vec<TopicPartition> =
        target().filter(|partition| !assigned.contains_key(partition)).copied().collect();
    let (taken, free): (Vec<_>, Vec<_>) = missing.into_iter().partition(is_taken);
    assigned.extend(free.into_iter().map(|partition| (partition, aim.epoch)));
    let state = if taken.is_empty() { MemberState::Stable } else { MemberState::Unreleased };
    let next = current.clone().at_epoch(aim.epoch);
    Current { state, assigned, revoking: Held::new(), ..next }
}

impl ConsumerGroup {
    /// A member goes a step. While it has to give partitions up, its time is limited.
    pub(super) fn lead(
        &mut self,
        id: &Str,
        current: Current,
        scope: Scope<'_>,
        effects: &mut Effects,
    ) {
        let is_revoking = current.state == MemberState::Unrevoked;
        self.make(Change::Current(id.clone(), Some(current)), effects);
        let Some(member) = self.members.get_mut(id) else { return };
        let timeout = member.subscription.rebalance_timeout;
        // A member of the classic protocol is given its time when it is asked to join again.
        let is_limited = is_revoking && member.subscription.classic.is_none();
        member.revoke_until = is_limited.then(|| scope.now.elapsed.saturating_add(timeout));
        if let Some(until) = member.revoke_until {
            self.wake.by(until);
        }
    }
}
