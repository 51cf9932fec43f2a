//! A client, as Kafka's own behave.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::super::super::*;

/// There are so many partitions to be consumed.
pub(super) const PARTITIONS: u8 = 7;

/// What a client is like.
#[derive(Clone, Debug)]
pub(super) struct Traits {
    /// Of JoinGroup.
    pub(super) version: i16,
    /// Clients with the same instance id fence each other. The oldest version has none.
    pub(super) instance: Option<u8>,
    pub(super) likes_sticky: bool,
    pub(super) session: Duration,
    pub(super) rebalance: Duration,
}

/// What a client does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It does not run.
    Nothing,
    Join,
    Joining(Token),
    Sync,
    Syncing(Token),
    Heartbeat,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) traits: Traits,
    pub(super) cooperative: bool,
    pub(super) next: Next,
    pub(super) member_id: Str,
    /// The generation that it has joined, or -1.
    pub(super) joined: i32,
    /// The generation whose assignment it has, or -1.
    pub(super) synced: i32,
    /// The partitions that it consumes.
    pub(super) consumes: BTreeSet<u8>,
    /// What it hands out as the leader.
    assignments: Vec<(Str, Bytes)>,
    /// Goes up when it wants something else.
    wish: u8,
}

impl Client {
    pub(super) fn new(traits: Traits, cooperative: bool) -> Self {
        Self {
            traits,
            cooperative,
            next: Next::Nothing,
            member_id: Str::default(),
            joined: -1,
            synced: -1,
            consumes: BTreeSet::new(),
            assignments: Vec::new(),
            wish: 0,
        }
    }

    pub(super) fn runs(&self) -> bool {
        self.next != Next::Nothing
    }

    pub(super) fn start(&mut self) {
        *self = Self::new(self.traits.clone(), self.cooperative);
        self.next = Next::Join;
    }

    pub(super) fn stop(&mut self) {
        *self = Self::new(self.traits.clone(), self.cooperative);
    }

    /// Wants something else.
    pub(super) fn change(&mut self) {
        self.wish += 1;
        if self.next == Next::Heartbeat {
            self.next = Next::Join;
        }
    }

    /// Will not get the answer that it waits for, and asks again.
    pub(super) fn disconnect(&mut self) {
        self.next = match self.next {
            Next::Joining(_) => Next::Join,
            Next::Syncing(_) => Next::Sync,
            ref next => next.clone(),
        };
    }

    /// Whether it is there to take this answer.
    pub(super) fn waits_for(&self, token: Token) -> bool {
        [Next::Joining(token), Next::Syncing(token)].contains(&self.next)
    }

    pub(super) fn is_static(&self) -> bool {
        self.instance_id().is_some()
    }

    pub(super) fn instance_id(&self) -> Option<Str> {
        let instance = self.traits.instance.filter(|_| self.traits.version >= 5)?;
        Some(format!("instance{instance}").into())
    }

    pub(super) fn identity(&self) -> Identity {
        Identity { member_id: self.member_id.clone(), instance_id: self.instance_id() }
    }

    pub(super) fn join(&mut self, token: Token, uuid: [u8; 16]) -> Join {
        self.next = Next::Joining(token);
        if !self.cooperative {
            self.consumes.clear();
        }
        let names =
            if self.traits.likes_sticky { ["sticky", "range"] } else { ["range", "sticky"] };
        let metadata = self.metadata();
        let protocol = |name: &str| Protocol { name: name.into(), metadata: metadata.clone() };
        Join {
            token,
            member: self.identity(),
            uuid,
            client_id: "client".into(),
            client_host: "/here".into(),
            session_timeout: self.traits.session,
            rebalance_timeout: self.traits.rebalance,
            protocol_type: "consumer".into(),
            protocols: names.map(protocol).into(),
            id_required: self.traits.version >= 4,
            skips_assignment: self.traits.version >= 9,
        }
    }

    /// What it wants, and what it consumes as of which generation.
    fn metadata(&self) -> Bytes {
        let mut bytes = vec![self.wish];
        bytes.extend(self.synced.to_be_bytes());
        bytes.extend(&self.consumes);
        bytes.into()
    }

    pub(super) fn on_joined(&mut self, answer: Result<Joined, JoinRefusal>) {
        match answer {
            Ok(joined) => {
                let leads = joined.leader == joined.member_id && !joined.skip_assignment;
                self.assignments = if leads { assign(&joined.members) } else { Vec::new() };
                self.member_id = joined.member_id;
                self.joined = joined.generation;
                self.next = Next::Sync;
            }
            Err(refusal) if refusal.code == ErrorCode::MEMBER_ID_REQUIRED => {
                self.member_id = refusal.member_id;
                self.next = Next::Join;
            }
            Err(refusal) => self.on_refusal(refusal.code),
        }
    }

    pub(super) fn sync(&mut self, token: Token) -> Sync {
        self.next = Next::Syncing(token);
        Sync {
            token,
            member: self.identity(),
            generation: self.joined,
            protocol_type: Some("consumer".into()),
            protocol: None,
            assignments: self.assignments.clone(),
        }
    }

    pub(super) fn on_synced(&mut self, answer: Result<Synced, ErrorCode>) {
        match answer {
            Ok(synced) => {
                let assigned: BTreeSet<u8> = synced.assignment.iter().copied().collect();
                let gives_back = !self.consumes.is_subset(&assigned);
                self.consumes = assigned;
                self.synced = self.joined;
                self.next = if gives_back { Next::Join } else { Next::Heartbeat };
            }
            Err(code) => self.on_refusal(code),
        }
    }

    pub(super) fn on_heartbeat(&mut self, answer: Result<(), ErrorCode>) {
        if let Err(code) = answer {
            self.on_refusal(code);
        }
    }

    fn on_refusal(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::REBALANCE_IN_PROGRESS => self.next = Next::Join,
            ErrorCode::UNKNOWN_MEMBER_ID => self.start_over(Str::default()),
            ErrorCode::ILLEGAL_GENERATION => self.start_over(self.member_id.clone()),
            ErrorCode::FENCED_INSTANCE_ID => self.stop(),
            code => panic!("a client that does nothing wrong is told {code:?}"),
        }
    }

    /// All that it had is lost.
    fn start_over(&mut self, member_id: Str) {
        self.member_id = member_id;
        self.joined = -1;
        self.synced = -1;
        self.consumes.clear();
        self.next = Next::Join;
    }
}

/// Deals the partitions out in turn. Who is to have what another still consumes does not get it:
/// the other gives it back and joins again.
fn assign(members: &[JoinedMember]) -> Vec<(Str, Bytes)> {
    let mut owners = BTreeMap::<u8, (i32, &Str)>::new();
    for member in members {
        let Some((_wish, rest)) = member.metadata.split_first() else { continue };
        let Some((generation, partitions)) = rest.split_first_chunk() else { continue };
        let generation = i32::from_be_bytes(*generation);
        for partition in partitions {
            let owner = owners.entry(*partition).or_insert((generation, &member.member_id));
            *owner = (*owner).max((generation, &member.member_id));
        }
    }
    let mut assignments = BTreeMap::<&Str, Vec<u8>>::new();
    for (partition, member) in (0..PARTITIONS).zip(members.iter().cycle()) {
        if owners.get(&partition).is_none_or(|(_, owner)| **owner == member.member_id) {
            assignments.entry(&member.member_id).or_default().push(partition);
        }
    }
    assignments.into_iter().map(|(id, partitions)| (id.clone(), partitions.into())).collect()
}
