//! DeleteGroups: deletes groups with all that they have committed.
//!
//! | version | adds |
//! |---|---|
//! | 2 | flexible form |
//!
//! Only a group without members can go; ask its coordinator (KIP-229).

crate::api! {
    /// Deletes groups with all that they have committed.
    DeleteGroups = 42, versions 0..=2, flexible 2..;

    struct Request {
        groups_names: Vec<Str>,
    }

    struct Response {
        throttle_time_ms: i32,
        results: Vec<GroupAnswer>,
    }
    struct GroupAnswer {
        group_id: Str,
        /// NON_EMPTY_GROUP where there are members still.
        error_code: ErrorCode,
    }
}
