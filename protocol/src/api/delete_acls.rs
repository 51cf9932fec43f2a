//! DeleteAcls: to be described.

crate::api! {
    /// To be described.
    DeleteAcls = 31, versions 1..=3, flexible 2..;

    struct Request {
        filters: Vec<Filter>,
    }
    struct Filter {
        /// 1 any, 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user.
        resource_type_filter: i8,
        /// Null matches any.
        resource_name_filter: Option<Str>,
        /// 1 any, 2 whatever applies to the name, 3 literal, 4 prefixed.
        pattern_type_filter: i8 = 3,
        /// Null matches any.
        principal_filter: Option<Str>,
        /// Null matches any.
        host_filter: Option<Str>,
        /// 1 any (in filters), 2 all, then read, write, create, delete, alter, describe and so on.
        operation: i8,
        /// 1 any (in filters), 2 deny, 3 allow.
        permission_type: i8,
    }

    struct Response {
        throttle_time_ms: i32,
        filter_results: Vec<FilterAnswer>,
    }
    struct FilterAnswer {
        error_code: ErrorCode,
        error_message: Option<Str>,
        matching_acls: Vec<MatchingAcl>,
    }
    struct MatchingAcl {
        error_code: ErrorCode,
        error_message: Option<Str>,
        /// 1 any, 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user.
        resource_type: i8,
        resource_name: Str,
        /// 3 literal, 4 prefixed.
        pattern_type: i8 = 3,
        principal: Str,
        host: Str,
        /// 1 any (in filters), 2 all, then read, write, create, delete, alter, describe and so on.
        operation: i8,
        /// 1 any (in filters), 2 deny, 3 allow.
        permission_type: i8,
    }
}
