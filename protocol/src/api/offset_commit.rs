//! OffsetCommit: stores how far a group has read.
//!
//! | version | adds |
//! |---|---|
//! | 3 | throttle time |
//! | 5 | no more retention time: the broker alone decides how long offsets are kept (KIP-211) |
//! | 6 | the leader epoch of the last record read (KIP-320) |
//! | 7 | static members (KIP-345) |
//! | 8 | flexible form |
//! | 9 | members of the new protocol, and an error for an unknown group (KIP-848) |
//! | 10 | topics by id instead of by name (KIP-848) |
//!
//! An offset is that of the next record to read. A commit from outside the group, with generation
//! -1 and an empty member id, is taken only while the group has no members.

crate::api! {
    /// Stores how far a group has read.
    OffsetCommit = 8, versions 2..=10, flexible 8..;

    struct Request {
        group_id: Str,
        /// The generation in the classic protocol, the member epoch in the new one; -1 from outside
        /// the group.
        generation_id_or_member_epoch: i32 = -1,
        /// Empty from outside the group.
        member_id: Str,
        /// Null for a member that is not static.
        group_instance_id: Option<Str>  [7..; must],
        /// How long to keep the offsets; -1 leaves it to the broker.
        retention_time_ms: i64          [..=4] = -1,
        topics: Vec<Topic>,
    }
    struct Topic {
        name: Str                       [..=9],
        topic_id: Uuid                  [10..],
        partitions: Vec<Partition>,
    }
    struct Partition {
        partition_index: i32,
        /// The next record to read.
        committed_offset: i64,
        /// The leader epoch of the last record read; -1 where unknown.
        committed_leader_epoch: i32     [6..] = -1,
        /// Whatever the client wants to find again beside the offset.
        committed_metadata: Option<Str>,
    }

    struct Response {
        throttle_time_ms: i32           [3..],
        topics: Vec<TopicAnswer>,
    }
    struct TopicAnswer {
        name: Str                       [..=9],
        topic_id: Uuid                  [10..],
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        error_code: ErrorCode,
    }
}
