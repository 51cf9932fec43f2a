//! One member.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::wire::Str;

use super::effects::{JoinedMember, Token};
use super::events::{Join, Protocol};
use super::snapshot::MemberSnapshot;

/// How long a new member's join may wait. It does not know its id yet and cannot send heartbeats;
/// if its client tries again under another id, and its old connection looks as if it lived, this
/// is when it stops counting.
const NEW_MEMBER_WAIT: Duration = Duration::from_mins(5);

/// A client that has joined.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) id: Str,
    /// Set for a static member.
    pub(super) instance_id: Option<Str>,
    pub(super) client_id: Str,
    pub(super) client_host: Str,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    pub(super) protocols: Vec<Protocol>,
    /// What the leader gave it, until another assignment is due.
    pub(super) assignment: Bytes,
    /// Whether this generation's sync has not come from it.
    pub(super) sync_due: bool,
    /// Until when its first join may wait; none once it has had an answer.
    pub(super) new_until: Option<Duration>,
    /// Its join, while it waits for the others.
    pub(super) joining: Option<Token>,
    /// Its sync, while it waits for the leader.
    pub(super) syncing: Option<Token>,
    /// The last answer that it was owed.
    answered: Option<Token>,
    /// The last sign of life.
    heard_at: Duration,
    /// When it is taken for dead, unless its client waits for us then.
    silent_until: Duration,
}

impl Member {
    /// A client that joins for the first time, with the id that it was given.
    pub(super) fn new(join: Join, now: Duration) -> Self {
        let mut member = Self {
            id: join.member.member_id.detached(),
            instance_id: join.member.instance_id.as_ref().map(Str::detached),
            client_id: join.client_id.detached(),
            client_host: join.client_host.detached(),
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: Vec::new(),
            assignment: Bytes::new(),
            sync_due: false,
            new_until: Some(now.saturating_add(NEW_MEMBER_WAIT)),
            joining: Some(join.token),
            syncing: None,
            answered: None,
            heard_at: now,
            silent_until: now.saturating_add(join.session_timeout),
        };
        member.set_protocols(join.protocols);
        member
    }

    /// A member that a record tells of, in a generation that uses this protocol.
    pub(super) fn restored(stored: MemberSnapshot, protocol: Option<&Str>, now: Duration) -> Self {
        let protocol = protocol.cloned().map(|name| Protocol { name, metadata: stored.metadata });
        Self {
            id: stored.member_id,
            instance_id: stored.instance_id,
            client_id: stored.client_id,
            client_host: stored.client_host,
            session_timeout: stored.session_timeout,
            rebalance_timeout: stored.rebalance_timeout,
            protocols: protocol.into_iter().collect(),
            assignment: stored.assignment,
            sync_due: false,
            new_until: None,
            joining: None,
            syncing: None,
            answered: None,
            heard_at: now,
            silent_until: now.saturating_add(stored.session_timeout),
        }
    }

    /// It is alive: its session begins anew. Says when to ask again.
    pub(super) fn refresh(&mut self, now: Duration) -> Duration {
        self.heard_at = now;
        self.silent_until = now.saturating_add(self.session_timeout);
        self.check_at()
    }

    /// It gets an answer, and a session to do what comes next. Says when to ask whether it lives.
    pub(super) fn answered(&mut self, token: Token, now: Duration) -> Duration {
        self.answered = Some(token);
        self.silent_until = now.saturating_add(self.session_timeout);
        self.check_at()
    }

    /// This answer found nobody. If it was this member's, its session goes back to where it began,
    /// and the end of it is told.
    pub(super) fn missed(&mut self, token: Token) -> Option<Duration> {
        self.answered.take_if(|answered| *answered == token)?;
        self.silent_until = self.heard_at.saturating_add(self.session_timeout);
        Some(self.check_at())
    }

    /// When to ask whether it lives.
    pub(super) fn check_at(&self) -> Duration {
        self.new_until.map_or(self.silent_until, |until| until.min(self.silent_until))
    }

    /// Whether its session is over. A member that waits for an answer is silent, and lives as long
    /// as its client is there to take the answer: then its session goes on.
    pub(super) fn is_dead(&mut self, now: Duration, is_there: impl Fn(Token) -> bool) -> bool {
        if now < self.check_at() {
            return false;
        }
        let waits = self.joining.or(self.syncing).is_some_and(is_there);
        let lives = waits && self.new_until.is_none_or(|until| now < until);
        if lives {
            self.refresh(now);
        }
        !lives
    }

    /// Takes these protocols over; of two with one name, the first.
    pub(super) fn set_protocols(&mut self, protocols: Vec<Protocol>) {
        let mut names = HashSet::new();
        let fresh = |protocol: &Protocol| names.insert(protocol.name.clone());
        let detached = |protocol: Protocol| Protocol {
            name: protocol.name.detached(),
            metadata: Bytes::copy_from_slice(&protocol.metadata),
        };
        self.protocols = protocols.into_iter().filter(fresh).map(detached).collect();
    }

    /// Whether these are its protocols, in this order, with this metadata.
    pub(super) fn has_protocols(&self, protocols: &[Protocol]) -> bool {
        self.protocols == protocols
    }

    /// What it sent for a protocol; empty if it does not know it.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|known| known.name == protocol);
        found.map(|protocol| protocol.metadata.clone()).unwrap_or_default()
    }

    /// How much of the group's record is about it, and a little more.
    pub(super) fn record_bytes(&self, protocol: &str) -> usize {
        let instance_id = self.instance_id.as_ref().map_or(0, |id| id.len());
        let texts = self.id.len() + instance_id + self.client_id.len() + self.client_host.len();
        texts + self.metadata(protocol).len() + self.assignment.len() + 64
    }

    /// How the leader is told of it.
    pub(super) fn for_leader(&self, protocol: &str) -> JoinedMember {
        JoinedMember {
            member_id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            metadata: self.metadata(protocol),
        }
    }
}
