//! Members of the classic protocol. While consumers move from one protocol to the other, a group
//! serves both.
//!
//! To such a member a join is a heartbeat that says everything: it is answered at once, with the
//! member's epoch for a generation, and without anybody to lead. A sync tells what it holds then,
//! and a heartbeat whether another join would bring it further. Who is asked to join, or has
//! joined, has its rebalance timeout to go on.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use klamm_protocol::consumer_protocol::{self, TopicPartitions};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};

use super::ConsumerGroup;
use super::change::{Held, Partitions, by_topic};
use super::effects::{Effects, Refusal};
use super::events::{Heartbeat, Scope};
use super::member::{ClassicMember, Member, MemberState};
use super::topics::Topics;
use crate::group::classic::{Identity, Join, JoinRefusal, Joined, Protocol, Sync, Synced};

/// What members of this group do, in words of the classic protocol.
const PROTOCOL_TYPE: &str = crate::group::classic::CONSUMER;

impl ConsumerGroup {
    /// A client of the classic protocol joins, or a member joins again.
    ///
    /// # Errors
    /// It may not, or is to come back with the id that it is given. Nothing has changed.
    pub(crate) fn join(
        &mut self,
        join: Join,
        scope: Scope<'_>,
        effects: &mut Effects,
    ) -> Result<Joined, JoinRefusal> {
        let sent = join.member.member_id.detached();
        let refuse = |code| JoinRefusal { code, member_id: sent.clone() };
        let instance_id = join.member.instance_id.as_ref();
        if self.members.len() >= scope.limits.size_max && !self.is_counted(&sent, instance_id) {
            return Err(refuse(ErrorCode::GROUP_MAX_SIZE_REACHED));
        }
        if !self.supports(&join) {
            return Err(refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
        }
        if sent.is_empty() && join.id_required {
            let (code, member_id) = (ErrorCode::MEMBER_ID_REQUIRED, new_id(&join));
            return Err(JoinRefusal { code, member_id });
        }
        let inconsistent = || refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        let beat = heartbeat(join, scope.topics).ok_or_else(inconsistent)?;
        let admitted = self.admit_classic(&beat, sent.is_empty(), scope, effects);
        admitted.map_err(|refusal| refuse(refusal.code()))?;
        let (id, timeout) = (beat.member_id.clone(), beat.rebalance_timeout.unwrap_or_default());
        let told = self.admitted(beat, scope, effects);
        let until = scope.now.elapsed.saturating_add(timeout);
        self.wake.by(until);
        if let Some(member) = self.members.get_mut(&id) {
            member.sync_until = Some(until);
        }
        Ok(self.joined(id, told.epoch))
    }

    /// Whether the members of the classic protocol have a way of assigning in common with this one.
    /// Nobody uses it, but they may be among themselves again.
    fn supports(&self, join: &Join) -> bool {
        let classic: Vec<&ClassicMember> =
            self.members.values().filter_map(|it| it.subscription.classic.as_ref()).collect();
        let mut supporters = HashMap::<&str, usize>::new();
        for member in &classic {
            let names: HashSet<&str> = member.protocols.iter().map(|it| &*it.name).collect();
            names.into_iter().for_each(|name| *supporters.entry(name).or_default() += 1);
        }
        let is_common = |protocol: &Protocol| {
            supporters.get(&*protocol.name).copied().unwrap_or(0) == classic.len()
        };
        join.protocol_type == PROTOCOL_TYPE && join.protocols.iter().any(is_common)
    }

    /// A static client that starts again takes over from its predecessor, even if that speaks the
    /// other protocol and has not left.
    fn admit_classic(
        &mut self,
        beat: &Heartbeat,
        is_new: bool,
        scope: Scope<'_>,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let predecessor = match &beat.instance_id {
            Some(instance_id) if is_new => self.static_ids.get(instance_id).cloned(),
            Some(instance_id) => self.check_instance(&beat.member_id, instance_id).map(|_| None)?,
            None => None,
        };
        self.check_size(beat, predecessor.as_ref().unwrap_or(&beat.member_id), scope)?;
        if let Some(predecessor) = predecessor {
            self.replace(&predecessor, &beat.member_id, effects);
        }
        Ok(())
    }

    fn joined(&self, member_id: Str, generation: i32) -> Joined {
        let classic =
            self.members.get(&member_id).and_then(|member| member.subscription.classic.as_ref());
        let protocol = classic.and_then(|classic| classic.protocols.first());
        Joined {
            member_id,
            generation,
            protocol_type: Some(Str::from_static(PROTOCOL_TYPE)),
            protocol: protocol.map(|protocol| protocol.name.clone()),
            leader: Str::default(),
            skip_assignment: false,
            members: Vec::new(),
        }
    }

    /// A member of the classic protocol asks what it holds.
    ///
    /// # Errors
    /// As Kafka's SyncGroup; REBALANCE_IN_PROGRESS where it is to join again first.
    pub(crate) fn sync(&mut self, sync: &Sync, scope: Scope<'_>) -> Result<Synced, ErrorCode> {
        let target_epoch = self.target_epoch.epoch;
        let id = self.check_classic(&sync.member, sync.generation)?;
        let member = self.members.get_mut(&id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let classic = member.subscription.classic.as_ref();
        let first = classic.and_then(|classic| classic.protocols.first());
        let is_type = |said: &Str| said.as_str() == PROTOCOL_TYPE;
        let is_protocol = |said: &Str| first.is_none_or(|first| first.name == *said);
        if !sync.protocol_type.as_ref().is_none_or(is_type)
            || !sync.protocol.as_ref().is_none_or(is_protocol)
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        let current = &member.current;
        if target_epoch > current.epoch && current.state != MemberState::Unrevoked {
            self.ask_to_join(&id, scope);
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        member.sync_until = None;
        let assignment = assignment(member, scope.topics);
        self.refresh(&id, scope);
        Ok(Synced {
            protocol_type: sync.protocol_type.clone(),
            protocol: sync.protocol.clone(),
            assignment,
        })
    }

    /// A member of the classic protocol is alive.
    ///
    /// # Errors
    /// As Kafka's Heartbeat; REBALANCE_IN_PROGRESS where another join brings it further.
    pub(crate) fn classic_heartbeat(
        &mut self,
        member: &Identity,
        generation: i32,
        scope: Scope<'_>,
        effects: &mut Effects,
    ) -> Result<(), ErrorCode> {
        let id = self.check_classic(member, generation)?;
        self.refresh(&id, scope);
        // It may be that nobody else is there to notice.
        self.follow(false, scope, effects);
        self.retarget(scope, effects);
        if !self.would_go_on(&id) {
            return Ok(());
        }
        self.ask_to_join(&id, scope);
        Err(ErrorCode::REBALANCE_IN_PROGRESS)
    }

    /// Members leave, or an operator takes them out, whatever protocol they speak. Says for each
    /// what came of it, in their order.
    pub(crate) fn leave_all(
        &mut self,
        leavers: &[Identity],
        scope: Scope<'_>,
        effects: &mut Effects,
    ) -> Vec<Result<(), ErrorCode>> {
        let found = leavers.iter().map(|leaver| self.find_leaver(leaver));
        let found: Vec<Result<Str, ErrorCode>> = found.collect();
        let mut ids: Vec<Str> = found.iter().flatten().cloned().collect();
        ids.sort();
        ids.dedup();
        self.fence(&ids, scope, effects);
        found.into_iter().map(|found| found.map(drop)).collect()
    }

    fn find_leaver(&self, leaver: &Identity) -> Result<Str, ErrorCode> {
        let id = match &leaver.instance_id {
            Some(instance_id) if leaver.member_id.is_empty() => {
                self.static_ids.get(instance_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?
            }
            Some(instance_id) => {
                let checked = self.check_instance(&leaver.member_id, instance_id);
                checked.map_err(|refusal| refusal.code())?;
                &leaver.member_id
            }
            None => &leaver.member_id,
        };
        let known = self.members.get_key_value(id).map(|(id, _)| id.clone());
        known.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
    }

    fn check_classic(&self, identity: &Identity, generation: i32) -> Result<Str, ErrorCode> {
        let id = &identity.member_id;
        if let Some(instance_id) = &identity.instance_id {
            self.check_instance(id, instance_id).map_err(|refusal| refusal.code())?;
        }
        let known = self.members.get_key_value(id);
        let known = known.filter(|(_, member)| member.subscription.classic.is_some());
        let (id, member) = known.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member.current.epoch == generation {
            Ok(id.clone())
        } else {
            Err(ErrorCode::ILLEGAL_GENERATION)
        }
    }

    /// Whether a member would come nearer to its target if it joined.
    fn would_go_on(&self, id: &Str) -> bool {
        let Some(member) = self.members.get(id) else { return false };
        let current = &member.current;
        match current.state {
            MemberState::Unrevoked => true,
            _ if current.epoch < self.target_epoch.epoch => true,
            MemberState::Unreleased => {
                let target = self.targets.get(id).into_iter().flatten();
                let mut missing = target.filter(|it| !current.assigned.contains_key(it));
                !missing.any(|partition| self.is_held_by_other(partition, id))
            }
            MemberState::Stable | MemberState::Unknown(_) => false,
        }
    }

    /// Its time begins when it is asked for the first time.
    fn ask_to_join(&mut self, id: &Str, scope: Scope<'_>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let until = scope.now.elapsed.saturating_add(member.subscription.rebalance_timeout);
        let until = *member.join_until.get_or_insert(until);
        self.wake.by(until);
    }
}

/// The id of a client that came without one.
fn new_id(join: &Join) -> Str {
    Uuid(join.uuid).to_string().into()
}

/// What a join says, as a heartbeat of the consumer protocol says it; `None` if the first of its
/// protocols does not say what it reads in the form of consumers.
fn heartbeat(join: Join, topics: &Topics) -> Option<Heartbeat> {
    let first = join.protocols.first()?;
    let said = consumer_protocol::Subscription::decode(first.metadata.clone()).ok()?;
    let member_id = match join.member.member_id.is_empty() {
        true => new_id(&join),
        false => join.member.member_id.detached(),
    };
    let protocols = join.protocols.iter().map(|protocol| Protocol {
        name: protocol.name.detached(),
        metadata: Bytes::copy_from_slice(&protocol.metadata),
    });
    Some(Heartbeat {
        member_id,
        epoch: 0,
        instance_id: join.member.instance_id,
        rack_id: said.rack_id,
        rebalance_timeout: Some(join.rebalance_timeout),
        topic_names: Some(said.topics),
        pattern: Some(Str::default()),
        assignor: None,
        owned: Some(by_id(&said.owned_partitions, topics)),
        classic: Some(ClassicMember {
            session_timeout: join.session_timeout,
            protocols: protocols.collect(),
        }),
        client_id: join.client_id,
        client_host: join.client_host,
    })
}

/// Partitions of topics that there are, by the ids of these.
pub(super) fn by_id(said: &[TopicPartitions], topics: &Topics) -> Partitions {
    let of_topic = |of: &TopicPartitions| {
        let id = topics.get(&of.topic).map(|topic| topic.id);
        let indexes = of.partitions.clone().into_iter();
        id.into_iter().flat_map(move |id| indexes.clone().map(move |index| (id, index)))
    };
    said.iter().flat_map(of_topic).collect()
}

/// What a member holds, in the form that its protocol has.
pub(super) fn assignment(member: &Member, topics: &Topics) -> Bytes {
    let classic = member.subscription.classic.as_ref();
    let first = classic.and_then(|classic| classic.protocols.first());
    let head = first.and_then(|first| first.metadata.first_chunk());
    let version = head.map_or(0, |head| i16::from_be_bytes(*head));
    let assigned_partitions = by_name(&member.current.assigned, topics);
    let told = consumer_protocol::Assignment { assigned_partitions, user_data: None };
    // Names of topics are never too long to be said.
    told.encode(version).unwrap_or_default()
}

fn by_name(held: &Held, topics: &Topics) -> Vec<TopicPartitions> {
    let told = |(id, partitions): (Uuid, Vec<i32>)| {
        topics.name(&id).map(|name| TopicPartitions { topic: name.clone(), partitions })
    };
    by_topic(held.keys().copied()).into_iter().filter_map(told).collect()
}
