//! ListGroups: lists the groups that a broker coordinates.
//!
//! | version | adds |
//! |---|---|
//! | 1 | throttle time |
//! | 3 | flexible form |
//! | 4 | the state of each group, and a choice by state (KIP-518) |
//! | 5 | the type of each group, and a choice by type (KIP-848) |
//!
//! Each broker knows only its own groups: to see them all, ask every broker.

crate::api! {
    /// Lists the groups that a broker coordinates.
    ListGroups = 16, versions 0..=5, flexible 3..;

    struct Request {
        /// Empty lists groups in any state.
        states_filter: Vec<Str>         [4..; must],
        /// Such as `classic` or `consumer`; empty lists groups of any type.
        types_filter: Vec<Str>          [5..; must],
    }

    struct Response {
        throttle_time_ms: i32           [1..],
        error_code: ErrorCode,
        groups: Vec<Group>,
    }
    struct Group {
        group_id: Str,
        /// What kind of group it is: `consumer`, `connect` and so on; may be empty.
        protocol_type: Str,
        group_state: Str                [4..],
        group_type: Str                 [5..],
    }
}
