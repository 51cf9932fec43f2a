//! What happens to a group.

use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::wire::Str;

use super::effects::Token;

/// When an event happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// For deadlines: [`Clock::elapsed`](klamm_utils::clock::Clock::elapsed).
    pub(crate) elapsed: Duration,
    /// For what is stored: [`Clock::now_ms`](klamm_utils::clock::Clock::now_ms).
    pub(crate) unix_ms: i64,
}

/// What the broker's settings say about groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `group.min.session.timeout.ms`.
    pub(crate) session_min: Duration,
    /// `group.max.session.timeout.ms`.
    pub(crate) session_max: Duration,
    /// `group.initial.rebalance.delay.ms`.
    pub(crate) initial_delay: Duration,
    /// `group.max.size`.
    pub(crate) size_max: usize,
    /// As many bytes a group's record may have.
    pub(crate) record_bytes_max: usize,
}

impl Limits {
    /// Whether a member may have this session timeout; if not, the answer is
    /// INVALID_SESSION_TIMEOUT.
    pub(crate) fn allows_session(&self, timeout: Duration) -> bool {
        (self.session_min..=self.session_max).contains(&timeout)
    }
}

/// How a member says who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Empty where the instance id says it all.
    pub(crate) member_id: Str,
    /// Set by static members.
    pub(crate) instance_id: Option<Str>,
}

/// A client wants to be a member, or a member wants another round.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    /// Who waits for the answer.
    pub(crate) token: Token,
    /// The member id is empty at the first try.
    pub(crate) member: Identity,
    /// A fresh random UUID, for the id of a new member.
    pub(crate) uuid: [u8; 16],
    /// What the client calls itself.
    pub(crate) client_id: Str,
    /// The address it comes from, as Kafka writes it: `/127.0.0.1`.
    pub(crate) client_host: Str,
    /// How long it may be silent. The caller has asked [`Limits::allows_session`].
    pub(crate) session_timeout: Duration,
    /// How long others wait for it to join again; the session timeout where the request has none.
    pub(crate) rebalance_timeout: Duration,
    /// What kind of group it takes this for.
    pub(crate) protocol_type: Str,
    /// The ways of assigning that it knows, the best liked first.
    pub(crate) protocols: Vec<Protocol>,
    /// Whether a new dynamic member must come back with the id it is given: JoinGroup 4 and later.
    pub(crate) id_required: bool,
    /// Whether it understands to skip the assignment: JoinGroup 9 and later.
    pub(crate) skips_assignment: bool,
}

/// A way of assigning that a member knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Protocol {
    /// What members must agree on.
    pub(crate) name: Str,
    /// For the leader; not looked into, except for what consumers subscribe to.
    pub(crate) metadata: Bytes,
}

/// A member asks for its assignment; the leader brings those of all.
#[derive(Clone, Debug)]
pub(crate) struct Sync {
    /// Who waits for the answer.
    pub(crate) token: Token,
    /// Who asks.
    pub(crate) member: Identity,
    /// The generation it has joined.
    pub(crate) generation: i32,
    /// What it takes the group for, if it says so.
    pub(crate) protocol_type: Option<Str>,
    /// What it takes for the protocol of the generation, if it says so.
    pub(crate) protocol: Option<Str>,
    /// By member id; read from the leader only.
    pub(crate) assignments: Vec<(Str, Bytes)>,
}
