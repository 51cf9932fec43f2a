//! What a group allows.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::ConsumerGroup;
use super::change::TopicPartition;
use super::member::Member;

/// Somebody who commits offsets or asks for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Committer {
    /// Empty for somebody outside the group.
    pub(crate) member_id: Str,
    /// As the member was told last; negative for somebody outside the group.
    pub(crate) epoch: i32,
    /// Whether the request can be meant for a group of this protocol: OffsetCommit 9 and later.
    pub(crate) knows_protocol: bool,
}

/// What a producer says that does not say for whom it commits.
const NO_EPOCH: i32 = -1;

impl ConsumerGroup {
    /// Somebody commits offsets of these partitions. A member that has not heard of its newest
    /// epoch yet may commit for what it has held since before.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH; ILLEGAL_GENERATION to members of the classic
    /// protocol; UNSUPPORTED_VERSION.
    pub(crate) fn check_commit(
        &self,
        committer: &Committer,
        mut partitions: impl Iterator<Item = TopicPartition>,
    ) -> Result<(), ErrorCode> {
        if committer.epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(&committer.member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if !committer.knows_protocol && member.subscription.classic.is_none() {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        let current = &member.current;
        let may_commit = |partition: TopicPartition| {
            let held = current.assigned.get(&partition).or(current.revoking.get(&partition));
            held.is_some_and(|since| committer.epoch >= *since)
        };
        let is_known = committer.epoch == current.epoch;
        if is_known || (committer.epoch < current.epoch && partitions.all(may_commit)) {
            return Ok(());
        }
        Err(stale(member))
    }

    /// Somebody commits offsets of these partitions in a transaction. Producers that do not say for
    /// whom are not asked.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID; ILLEGAL_GENERATION, as there is no other code for it.
    pub(crate) fn check_transactional(
        &self,
        committer: &Committer,
        instance_id: Option<&Str>,
        partitions: impl Iterator<Item = TopicPartition>,
    ) -> Result<(), ErrorCode> {
        let is_named = !committer.member_id.is_empty() || instance_id.is_some();
        if committer.epoch == NO_EPOCH && !is_named {
            return Ok(());
        }
        match self.check_commit(committer, partitions) {
            Err(ErrorCode::STALE_MEMBER_EPOCH) => Err(ErrorCode::ILLEGAL_GENERATION),
            checked => checked,
        }
    }

    /// Somebody asks for committed offsets.
    ///
    /// # Errors
    /// As [`check_commit`](Self::check_commit).
    pub(crate) fn check_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        let Some(member_id) = member_id else {
            return if epoch < 0 { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) };
        };
        let member = self.members.get(member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if epoch == member.current.epoch { Ok(()) } else { Err(stale(member)) }
    }

    /// Whether the group may be deleted.
    ///
    /// # Errors
    /// NON_EMPTY_GROUP.
    pub(crate) fn check_delete(&self) -> Result<(), ErrorCode> {
        if self.members.is_empty() { Ok(()) } else { Err(ErrorCode::NON_EMPTY_GROUP) }
    }
}

fn stale(member: &Member) -> ErrorCode {
    match member.subscription.classic {
        None => ErrorCode::STALE_MEMBER_EPOCH,
        Some(_) => ErrorCode::ILLEGAL_GENERATION,
    }
}
