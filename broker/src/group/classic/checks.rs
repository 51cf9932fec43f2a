//! What a group allows, and signs of life that come with asking.

use klamm_protocol::error_code::ErrorCode;

use super::events::{Identity, Moment};
use super::{ClassicGroup, Phase};

/// The kind of group whose members' metadata says what they consume.
pub(crate) const CONSUMER: &str = "consumer";

/// From when on a committed offset grows old. Offsets of topics that the group
/// [subscribes to](ClassicGroup::subscribes_to) never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OffsetExpiry {
    /// The group is in use.
    Never,
    /// From its own commit on.
    SinceCommit,
    /// From when the group became empty, in milliseconds of the wall clock.
    Since(i64),
}

impl ClassicGroup {
    /// A member is alive.
    ///
    /// # Errors
    /// REBALANCE_IN_PROGRESS: it is, and is to join again. UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID,
    /// ILLEGAL_GENERATION: it is not a member any more, or not of this generation.
    pub(crate) fn heartbeat(
        &mut self,
        member: &Identity,
        generation: i32,
        now: Moment,
    ) -> Result<(), ErrorCode> {
        self.check_member(member, generation)?;
        self.refresh(&member.member_id, now);
        match self.phase {
            Phase::Preparing { .. } => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            Phase::Empty | Phase::Completing { .. } | Phase::Stable { .. } => Ok(()),
        }
    }

    /// Somebody commits offsets. A commit without a generation comes from an operator or from a
    /// consumer that is in no group; it needs a group that nobody is in. A member's commit is a
    /// sign of life.
    ///
    /// # Errors
    /// As [`heartbeat`](Self::heartbeat); REBALANCE_IN_PROGRESS only while the assignment is due.
    pub(crate) fn commit(
        &mut self,
        member: &Identity,
        generation: i32,
        now: Moment,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.phase == Phase::Empty {
            return Ok(());
        }
        self.check_member(member, generation)?;
        match self.phase {
            Phase::Completing { .. } => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            Phase::Empty | Phase::Preparing { .. } | Phase::Stable { .. } => {
                self.refresh(&member.member_id, now);
                Ok(())
            }
        }
    }

    /// Somebody commits offsets as part of a transaction: who names no member may at any time.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION: it is not a member, or not of this
    /// generation.
    pub(crate) fn check_transactional(
        &self,
        member: &Identity,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        let is_nobody = generation < 0 && *member == Identity::default();
        if is_nobody || (generation < 0 && self.phase == Phase::Empty) {
            return Ok(());
        }
        self.check_member(member, generation)
    }

    fn check_member(&self, member: &Identity, generation: i32) -> Result<(), ErrorCode> {
        self.members.check(member)?;
        if generation == self.generation { Ok(()) } else { Err(ErrorCode::ILLEGAL_GENERATION) }
    }

    /// Whether the group may be deleted.
    ///
    /// # Errors
    /// NON_EMPTY_GROUP: it has members.
    pub(crate) fn check_delete(&self) -> Result<(), ErrorCode> {
        if self.phase == Phase::Empty { Ok(()) } else { Err(ErrorCode::NON_EMPTY_GROUP) }
    }

    /// Whether single offsets may be deleted: those of topics that nobody
    /// [subscribes to](Self::subscribes_to).
    ///
    /// # Errors
    /// NON_EMPTY_GROUP: it has members, and nobody here can tell what they use.
    pub(crate) fn check_offset_delete(&self) -> Result<(), ErrorCode> {
        if self.is_consumer() { Ok(()) } else { self.check_delete() }
    }

    /// Whether members consume this topic, as far as can be told: of consumers whose metadata
    /// cannot be read, any topic may be in use.
    pub(crate) fn subscribes_to(&self, topic: &str) -> bool {
        self.topics.as_ref().map_or(self.is_consumer(), |topics| topics.contains(topic))
    }

    /// From when on its offsets grow old.
    pub(crate) fn offset_expiry(&self) -> OffsetExpiry {
        match self.phase {
            _ if self.protocol_type.is_none() => OffsetExpiry::SinceCommit,
            Phase::Empty => {
                self.phase_since_ms.map_or(OffsetExpiry::SinceCommit, OffsetExpiry::Since)
            }
            Phase::Stable { .. } if self.is_consumer() && self.topics.is_some() => {
                OffsetExpiry::SinceCommit
            }
            Phase::Preparing { .. } | Phase::Completing { .. } | Phase::Stable { .. } => {
                OffsetExpiry::Never
            }
        }
    }

    fn is_consumer(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }
}
