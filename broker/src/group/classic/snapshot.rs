//! What outlives the coordinator: the content of the group's record.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::wire::Str;

use super::events::{Limits, Moment};
use super::member::Member;
use super::members::Members;
use super::subscription::subscribed_topics;
use super::{ClassicGroup, Phase};
use crate::group::wake::Wake;

/// What a group's record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// None or empty if it never had members.
    pub(crate) protocol_type: Option<Str>,
    pub(crate) generation: i32,
    pub(crate) protocol: Option<Str>,
    pub(crate) leader: Option<Str>,
    /// When it came into its state, by the wall clock; none in records of old brokers.
    pub(crate) state_since_ms: Option<i64>,
    pub(crate) members: Vec<MemberSnapshot>,
}

/// What a group's record says of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemberSnapshot {
    pub(crate) member_id: Str,
    pub(crate) instance_id: Option<Str>,
    pub(crate) client_id: Str,
    pub(crate) client_host: Str,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) session_timeout: Duration,
    /// What it sent for the protocol of the generation.
    pub(crate) metadata: Bytes,
    pub(crate) assignment: Bytes,
}

impl ClassicGroup {
    /// What is to be stored. The record's only moments are a group that is new, empty or stable,
    /// and one that has just taken over from one of the consumer protocol: that one has members,
    /// who are to join again, and no leader.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = self.members.iter().map(|member| MemberSnapshot {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout,
            session_timeout: member.session_timeout,
            metadata: member.metadata(protocol),
            assignment: member.assignment.clone(),
        });
        Snapshot {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_since_ms: self.phase_since_ms,
            members: members.collect(),
        }
    }

    /// Whether the record that [`snapshot`](Self::snapshot) tells of can be stored. What is not
    /// sent by members is small, and counted with room to spare.
    pub(crate) fn fits_record(&self) -> bool {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let sizes = self.members.iter().map(|member| member.record_bytes(protocol));
        sizes.fold(protocol.len(), usize::saturating_add) <= self.limits.record_bytes_max
    }

    /// The group that a record tells of: empty, or stable without a rebalance. Sessions begin anew.
    /// A group without a leader goes on with the rebalance that it was in. One that is greater than
    /// it may be now begins one, in which the last to join are refused.
    pub(crate) fn restore(snapshot: Snapshot, limits: Limits, now: Moment) -> Self {
        let mut group = Self {
            limits,
            phase: Phase::Empty,
            phase_since_ms: snapshot.state_since_ms,
            generation: snapshot.generation,
            protocol_type: snapshot.protocol_type.filter(|kind| !kind.is_empty()),
            protocol: snapshot.protocol,
            leader: snapshot.leader,
            members: Members::default(),
            pending: BTreeMap::new(),
            topics: None,
            wake: Wake::default(),
        };
        for stored in snapshot.members {
            let member = Member::restored(stored, group.protocol.as_ref(), now.elapsed);
            group.members.insert(member);
        }
        group.topics = subscribed_topics(
            group.protocol_type.as_deref(),
            group.protocol.as_deref(),
            &group.members,
        );
        if !group.members.is_empty() {
            group.phase = Phase::Stable { sync_until: None };
        }
        let is_leaderless = !group.members.is_empty() && group.leader.is_none();
        if is_leaderless || group.members.len() > limits.size_max {
            let until = now.elapsed.saturating_add(group.members.rebalance_timeout());
            group.enter(Phase::Preparing { until, initial: None }, now);
        }
        group.wake = group.next_wake();
        group
    }
}
