//! DeleteGroups: to be described.

crate::api! {
    /// To be described.
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
        error_code: ErrorCode,
    }
}
