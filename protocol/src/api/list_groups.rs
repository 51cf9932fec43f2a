//! ListGroups: to be described.

crate::api! {
    /// To be described.
    ListGroups = 16, versions 0..=5, flexible 3..;

    struct Request {
        states_filter: Vec<Str>         [4..; must],
        types_filter: Vec<Str>          [5..; must],
    }

    struct Response {
        throttle_time_ms: i32           [1..],
        error_code: ErrorCode,
        groups: Vec<Group>,
    }
    struct Group {
        group_id: Str,
        protocol_type: Str,
        group_state: Str                [4..],
        group_type: Str                 [5..],
    }
}
