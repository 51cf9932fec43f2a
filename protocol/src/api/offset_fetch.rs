//! OffsetFetch: tells how far a group has read.
//!
//! | version | adds |
//! |---|---|
//! | 2 | null for all topics, and an error for the group as a whole |
//! | 3 | throttle time |
//! | 5 | the leader epoch of each offset (KIP-320) |
//! | 6 | flexible form |
//! | 7 | leave to wait for offsets that a transaction has not committed yet (KIP-447) |
//! | 8 | many groups at once (KIP-709) |
//! | 9 | members of the new group protocol (KIP-848) |
//! | 10 | topics by id instead of by name (KIP-848) |
//!
//! Up to version 7 the only group stands in the message itself, from version 8 on in `groups`. A
//! partition without an offset is answered with -1 and no error.

crate::api! {
    /// Tells how far a group has read.
    OffsetFetch = 9, versions 1..=10, flexible 6..;

    struct Request {
        group_id: Str                   [..=7; must],
        /// Null asks for all.
        topics: Option<Vec<Topic>>      [..=7, null 2..=7; must] = Some(Vec::new()),
        groups: Vec<Group>              [8..; must],
        /// Answers UNSTABLE_OFFSET_COMMIT where an open transaction may still change the offset.
        require_stable: bool            [7..; must],
    }
    struct Topic {
        name: Str,
        partition_indexes: Vec<i32>,
    }
    struct Group {
        group_id: Str,
        /// Null from outside the group.
        member_id: Option<Str>          [9..],
        /// -1 from outside the group.
        member_epoch: i32               [9..] = -1,
        /// Null asks for all.
        topics: Option<Vec<GroupTopic>>,
    }
    struct GroupTopic {
        name: Str                       [..=9],
        topic_id: Uuid                  [10..],
        partition_indexes: Vec<i32>,
    }

    struct Response {
        throttle_time_ms: i32           [3..],
        topics: Vec<TopicAnswer>        [..=7],
        /// What is wrong with the group as a whole.
        error_code: ErrorCode           [2..=7],
        groups: Vec<GroupAnswer>        [8..],
    }
    struct TopicAnswer {
        name: Str,
        partitions: Vec<PartitionAnswer>,
    }
    struct PartitionAnswer {
        partition_index: i32,
        /// The next record to read; -1 where there is no offset.
        committed_offset: i64,
        /// -1 where unknown.
        committed_leader_epoch: i32     [5..] = -1,
        /// What the client stored beside the offset.
        metadata: Option<Str>,
        error_code: ErrorCode,
    }
    struct GroupAnswer {
        group_id: Str,
        topics: Vec<GroupTopicAnswer>,
        /// What is wrong with the group as a whole.
        error_code: ErrorCode,
    }
    struct GroupTopicAnswer {
        name: Str                       [..=9],
        topic_id: Uuid                  [10..],
        partitions: Vec<GroupPartitionAnswer>,
    }
    struct GroupPartitionAnswer {
        partition_index: i32,
        /// The next record to read; -1 where there is no offset.
        committed_offset: i64,
        /// -1 where unknown.
        committed_leader_epoch: i32 = -1,
        /// What the client stored beside the offset.
        metadata: Option<Str>,
        error_code: ErrorCode,
    }
}
