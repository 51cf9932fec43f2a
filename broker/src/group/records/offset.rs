//! What a group has committed, as it is stored.

use super::GroupRecord;
use crate::group::offsets::Committed;

klamm_protocol::structs! {
    /// Names what a group has committed for a partition.
    struct OffsetKey {
        group: Str,
        topic: Str,
        partition: i32,
    }

    /// What a group has committed for a partition.
    struct OffsetValue {
        offset: i64,
        leader_epoch: i32 [3..] = -1,
        metadata: Str,
        commit_timestamp: i64,
        /// When the client wants it to be forgotten; -1 leaves it to the broker.
        expire_timestamp: i64 [1..=1] = -1;
        tagged {
            0 => topic_id: Uuid [4..],
        }
    }
}

impl GroupRecord {
    /// A group has read a partition so far.
    pub(crate) fn offset(group: &Str, topic: &Str, partition: i32, it: &Committed) -> Self {
        let value = OffsetValue {
            offset: it.offset,
            leader_epoch: it.leader_epoch,
            metadata: it.metadata.clone(),
            commit_timestamp: it.committed_ms,
            expire_timestamp: it.expires_ms.unwrap_or(-1),
            topic_id: it.topic_id,
        };
        Self::Offset(
            OffsetKey { group: group.clone(), topic: topic.clone(), partition },
            Some(value),
        )
    }

    /// What a group has read of a partition is forgotten.
    pub(crate) fn offset_gone(group: &Str, topic: &Str, partition: i32) -> Self {
        Self::Offset(OffsetKey { group: group.clone(), topic: topic.clone(), partition }, None)
    }
}

impl From<OffsetValue> for Committed {
    fn from(value: OffsetValue) -> Self {
        Self {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.detached(),
            committed_ms: value.commit_timestamp,
            expires_ms: Some(value.expire_timestamp).filter(|ms| *ms >= 0),
            topic_id: value.topic_id,
        }
    }
}
