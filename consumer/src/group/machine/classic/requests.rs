//! What a member asks, and what a leader decides.

use std::collections::BTreeSet;

use bytes::Bytes;
use klamm_client::Error;
use klamm_client::config::{Assignor, Value as _};
use klamm_protocol::api::{join_group, sync_group};
use klamm_protocol::consumer_protocol::{Assignment, Subscription, VERSION_MAX};
use klamm_protocol::wire::{Str, WireError};

use super::{ClassicMachine, Led, Phase, Role};
use crate::group::assignor::{self, Plan, Topics, to_wire, user_data};
use crate::group::machine::{Step, ms};

/// The kind of group that consumers form.
const PROTOCOL_TYPE: Str = Str::from_static("consumer");

impl ClassicMachine {
    /// Before it joins again, a member gives up what it may not keep.
    pub(super) fn prepare(&mut self) {
        self.phase = Phase::Unjoined;
        let wanted = self.found.as_ref().map(|found| &found.wanted);
        let keeps = |topic: &Str| wanted.is_none_or(|wanted| wanted.contains(topic));
        let is_cooperative = self.is_cooperative();
        let leaves = |(topic, _): &&(Str, i32)| !is_cooperative || !keeps(topic);
        self.member.leaving = self.member.owned.iter().filter(leaves).cloned().collect();
    }

    /// A member keeps what it has during a rebalance if every assignor that may be chosen allows
    /// it.
    fn is_cooperative(&self) -> bool {
        self.member.rules.assignors.iter().all(|assignor| *assignor == Assignor::CooperativeSticky)
    }

    pub(super) fn join(&mut self) -> Option<Step> {
        let wanted = self.found.as_ref()?.wanted.clone();
        self.must_rejoin = false;
        let protocols = self.member.rules.assignors.iter().map(|assignor| {
            let metadata = self.subscription(*assignor, &wanted)?;
            Ok(join_group::Protocol { name: assignor.print().into(), metadata })
        });
        let protocols = match protocols.collect::<Result<_, WireError>>() {
            Ok(protocols) => protocols,
            Err(source) => return self.cannot_say("Subscription", source),
        };
        let request = join_group::Request {
            group_id: self.member.rules.group.clone(),
            session_timeout_ms: ms(self.member.rules.session_timeout),
            rebalance_timeout_ms: ms(self.member.rules.rebalance_timeout),
            member_id: self.member.identity.member.clone(),
            group_instance_id: self.member.rules.instance.clone(),
            protocol_type: PROTOCOL_TYPE,
            protocols,
            reason: None,
        };
        self.joined_with = wanted;
        Some(Step::Join(request))
    }

    fn subscription(&self, assignor: Assignor, wanted: &BTreeSet<Str>) -> Result<Bytes, WireError> {
        let (had, generation) = &self.last;
        let subscription = Subscription {
            topics: wanted.iter().cloned().collect(),
            user_data: user_data(assignor, had, *generation),
            owned_partitions: to_wire(&self.member.owned),
            generation_id: self.member.identity.generation,
            rack_id: self.member.rules.rack.clone(),
        };
        subscription.encode(VERSION_MAX)
    }

    pub(super) fn sync(&mut self) -> Option<Step> {
        let Phase::Joined { assignor, role } = &self.phase else { return None };
        let assignor = *assignor;
        let mut plan = Plan::new();
        self.led = match role {
            Role::Follower => None,
            Role::Leader(members) | Role::Heir(members) => {
                let wanted: BTreeSet<_> =
                    members.iter().flat_map(|member| &member.topics).cloned().collect();
                let found = self.found.as_ref()?;
                if !wanted.is_subset(&found.asked) {
                    // A look at them is due.
                    return None;
                }
                let topics = of(&found.topics, &wanted);
                if matches!(role, Role::Leader(_)) {
                    plan = assignor::assign(assignor, members, &topics);
                }
                Some(Led { wanted, topics })
            }
        };
        let assignments = plan.iter().map(|(member, places)| {
            let assigned_partitions = to_wire(places);
            let assignment = Assignment { assigned_partitions, user_data: None };
            let assignment = assignment.encode(VERSION_MAX)?;
            Ok(sync_group::Assignment { member_id: member.clone(), assignment })
        });
        let assignments = match assignments.collect::<Result<_, WireError>>() {
            Ok(assignments) => assignments,
            Err(source) => return self.cannot_say("Assignment", source),
        };
        Some(Step::Sync(sync_group::Request {
            group_id: self.member.rules.group.clone(),
            generation_id: self.member.identity.generation,
            member_id: self.member.identity.member.clone(),
            group_instance_id: self.member.rules.instance.clone(),
            protocol_type: Some(PROTOCOL_TYPE),
            protocol_name: Some(assignor.print().into()),
            assignments,
        }))
    }

    /// A name is longer than the protocol can say: no topic has it.
    fn cannot_say(&mut self, api: &'static str, source: WireError) -> Option<Step> {
        let address = format!("the members of {}", self.member.rules.group).into();
        self.fatal(Error::Wire { address, api, source });
        None
    }
}

/// These topics alone.
pub(super) fn of(topics: &Topics, names: &BTreeSet<Str>) -> Topics {
    let named = topics.iter().filter(|(name, _)| names.contains(*name));
    named.map(|(name, partitions)| (name.clone(), partitions.clone())).collect()
}
