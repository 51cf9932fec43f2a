//! What passes between a group of this protocol and one of the consumer protocol, when one takes
//! the other's place.

use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::checks::CONSUMER;
use super::effects::Effects;
use super::events::{Limits, Moment, Protocol};
use super::member::Member;
use super::snapshot::MemberSnapshot;
use super::subscription::subscribed_topics;
use super::{ClassicGroup, Phase};

/// What a group leaves to its successor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handover {
    /// The generation, or the epoch of a group of the consumer protocol.
    pub(crate) generation: i32,
    pub(crate) members: Vec<HandedMember>,
}

/// A member that goes on in the successor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HandedMember {
    pub(crate) member_id: Str,
    pub(crate) instance_id: Option<Str>,
    pub(crate) client_id: Str,
    pub(crate) client_host: Str,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// The ways of assigning that it knows, the best liked first.
    pub(crate) protocols: Vec<Protocol>,
    /// What it sent for the one in use, or for the first where none is.
    pub(crate) metadata: Bytes,
    /// What it holds.
    pub(crate) assignment: Bytes,
}

impl ClassicGroup {
    /// What a group of the consumer protocol needs to take over. The next thing to call is
    /// [`dismiss`](Self::dismiss).
    pub(crate) fn handover(&self) -> Handover {
        let members = self.members.iter().map(|member| {
            let first = member.protocols.first().map(|protocol| &protocol.name);
            let protocol = self.protocol.as_ref().or(first).map_or("", |name| name);
            HandedMember {
                member_id: member.id.clone(),
                instance_id: member.instance_id.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                session_timeout: member.session_timeout,
                rebalance_timeout: member.rebalance_timeout,
                protocols: member.protocols.clone(),
                metadata: member.metadata(protocol),
                assignment: member.assignment.clone(),
            }
        });
        Handover { generation: self.generation, members: members.collect() }
    }

    /// Whoever waits is told to join again, and finds the successor.
    pub(crate) fn dismiss(&mut self, now: Moment, effects: &mut Effects) {
        let code = ErrorCode::REBALANCE_IN_PROGRESS;
        self.cancel_syncs(code, now, effects);
        let ids: Vec<Str> = self.members.iter().map(|member| member.id.clone()).collect();
        for id in ids {
            if let Some(token) = self.members.take_joining(&id) {
                effects.refuse(token, code, id);
            }
        }
    }

    /// The group that takes over from one of the consumer protocol. Its members are to join again,
    /// and keep what they hold until they have. Nobody leads until then, which tells whoever reads
    /// the record that the members are still to share what those who left had.
    pub(crate) fn taken_over(handover: Handover, limits: Limits, now: Moment) -> Self {
        let mut group = Self {
            generation: handover.generation,
            protocol_type: Some(Str::from_static(CONSUMER)),
            ..Self::new(limits, now)
        };
        for handed in handover.members {
            let protocols = handed.protocols.clone();
            let mut member = Member::restored(handed.into(), None, now.elapsed);
            member.protocols = protocols;
            group.members.insert(member);
        }
        group.protocol = group.members.vote();
        group.topics = subscribed_topics(Some(CONSUMER), group.protocol.as_deref(), &group.members);
        let until = now.elapsed.saturating_add(group.members.rebalance_timeout());
        group.enter(Phase::Preparing { until, initial: None }, now);
        group.wake = group.next_wake();
        group
    }
}

impl From<HandedMember> for MemberSnapshot {
    fn from(handed: HandedMember) -> Self {
        Self {
            member_id: handed.member_id,
            instance_id: handed.instance_id,
            client_id: handed.client_id,
            client_host: handed.client_host,
            rebalance_timeout: handed.rebalance_timeout,
            session_timeout: handed.session_timeout,
            metadata: handed.metadata,
            assignment: handed.assignment,
        }
    }
}
