//! How a group of this protocol takes over from one of the classic protocol, and gives over to one.

use bytes::Bytes;
use klamm_protocol::consumer_protocol::{self, TopicPartitions};
use klamm_protocol::wire::Str;

use super::ConsumerGroup;
use super::change::{Change, GroupEpoch, Held, Partitions, TargetEpoch, TopicPartition};
use super::classic::{assignment, by_id};
use super::effects::Effects;
use super::events::Scope;
use super::member::{ClassicMember, Current, Member, Subscription};
use super::topics::Topics;
use crate::group::classic::{HandedMember, Handover};

/// Why a group cannot take over from one of the classic protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// A member does not speak of topics and partitions as consumers do.
    Malformed,
    /// What a member was assigned is more than partitions, and would be lost.
    CustomAssignor,
    /// A member says more of itself than can be stored.
    TooLarge,
}

impl Unfit {
    /// What Kafka says about it, where it refuses the same.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "the embedded consumer protocol is malformed",
            Self::CustomAssignor => {
                "an unsupported custom assignor is in use. Please refer to the documentation or \
                 switch to a default assignor before re-attempting the upgrade"
            }
            Self::TooLarge => "a member says more of itself than can be stored",
        }
    }
}

/// A member of the classic protocol, understood.
struct Understood {
    id: Str,
    subscription: Subscription,
    held: Partitions,
}

impl ConsumerGroup {
    /// The group that takes over from one of the classic protocol: everybody holds, and shall
    /// hold, what it was assigned last.
    ///
    /// # Errors
    /// There is a member that it cannot have.
    pub(crate) fn taken_over(
        handover: Handover,
        scope: Scope<'_>,
        effects: &mut Effects,
    ) -> Result<Self, Unfit> {
        let epoch = handover.generation;
        let understood = handover.members.into_iter().map(|it| understand(it, scope));
        let understood: Vec<Understood> = understood.collect::<Result<_, _>>()?;
        let mut group = Self::default();
        let mut members = Vec::with_capacity(understood.len());
        for Understood { id, subscription, held } in understood {
            group.make(Change::Member(id.clone(), Some(subscription)), effects);
            members.push((id, held));
        }
        let metadata_hash = group.metadata_hash(scope.topics);
        group.make(Change::Epoch(Some(GroupEpoch { epoch, metadata_hash })), effects);
        for (id, held) in members {
            // Nothing is held by two, whatever the leader has assigned.
            let is_free = |partition: &TopicPartition| !group.holders.contains_key(partition);
            let held: Partitions = held.into_iter().filter(is_free).collect();
            let assigned: Held = held.iter().map(|partition| (*partition, epoch)).collect();
            let current = Current { epoch, previous_epoch: epoch, assigned, ..Current::default() };
            group.make(Change::Target(id.clone(), Some(held)), effects);
            group.make(Change::Current(id, Some(current)), effects);
        }
        let target_epoch = TargetEpoch { epoch, assigned_ms: 0 };
        group.make(Change::TargetEpoch(Some(target_epoch)), effects);
        Ok(group.restored(scope))
    }

    /// What a group of the classic protocol needs to take over; `None` while there are members of
    /// this one, or none at all. The generation is the epoch of the target: whoever has come to it
    /// is told to join again, and not that it is of another generation.
    pub(crate) fn handover(&self, topics: &Topics) -> Option<Handover> {
        let handed = self.members.iter().map(|(id, member)| hand(id, member, topics));
        let members: Vec<HandedMember> = handed.collect::<Option<_>>()?;
        let handover = Handover { generation: self.target_epoch.epoch, members };
        (!handover.members.is_empty()).then_some(handover)
    }
}

fn understand(member: HandedMember, scope: Scope<'_>) -> Result<Understood, Unfit> {
    let said = consumer_protocol::Subscription::decode(member.metadata);
    let said = said.map_err(|_| Unfit::Malformed)?;
    let held = by_id(&assigned(member.assignment)?, scope.topics);
    let (session_timeout, protocols) = (member.session_timeout, member.protocols);
    let subscription = Subscription {
        instance_id: member.instance_id,
        rack_id: said.rack_id.map(|id| id.detached()),
        client_id: member.client_id,
        client_host: member.client_host,
        topic_names: said.topics.iter().map(Str::detached).collect(),
        pattern: Str::default(),
        rebalance_timeout: member.rebalance_timeout,
        assignor: None,
        classic: Some(ClassicMember { session_timeout, protocols }),
    };
    if subscription.record_bytes() > scope.limits.record_bytes_max {
        return Err(Unfit::TooLarge);
    }
    Ok(Understood { id: member.member_id, subscription, held })
}

/// The partitions of an assignment, if it tells of nothing else.
fn assigned(assignment: Bytes) -> Result<Vec<TopicPartitions>, Unfit> {
    // Who has not been assigned anything yet has no bytes.
    if assignment.is_empty() {
        return Ok(Vec::new());
    }
    let told = consumer_protocol::Assignment::decode(assignment).map_err(|_| Unfit::Malformed)?;
    if told.user_data.is_some_and(|user_data| !user_data.is_empty()) {
        return Err(Unfit::CustomAssignor);
    }
    Ok(told.assigned_partitions)
}

fn hand(id: &Str, member: &Member, topics: &Topics) -> Option<HandedMember> {
    let subscription = member.subscription.clone();
    let classic = subscription.classic?;
    let metadata = classic.protocols.first().map(|first| first.metadata.clone());
    Some(HandedMember {
        member_id: id.clone(),
        instance_id: subscription.instance_id,
        client_id: subscription.client_id,
        client_host: subscription.client_host,
        session_timeout: classic.session_timeout,
        rebalance_timeout: subscription.rebalance_timeout,
        protocols: classic.protocols,
        metadata: metadata.unwrap_or_default(),
        assignment: assignment(member, topics),
    })
}
