//! DeleteAcls: deletes the access rules that match filters.
//!
//! | version | adds |
//! |---|---|
//! | 1 | rules for all names with a prefix (KIP-290) |
//! | 2 | flexible form |
//! | 3 | rules about users (KIP-373) |
//!
//! The codes are listed in [`create_acls`](super::create_acls).

crate::api! {
    /// Deletes the access rules that match filters.
    DeleteAcls = 31, versions 1..=3, flexible 2..;

    struct Request {
        filters: Vec<Filter>,
    }
    struct Filter {
        /// 1 matches any.
        resource_type_filter: i8,
        /// Null matches any.
        resource_name_filter: Option<Str>,
        /// 1 any, 2 whatever applies to the name, 3 literal, 4 prefixed.
        pattern_type_filter: i8 = 3,
        /// Null matches any.
        principal_filter: Option<Str>,
        /// Null matches any.
        host_filter: Option<Str>,
        /// 1 matches any.
        operation: i8,
        /// 1 matches any.
        permission_type: i8,
    }

    struct Response {
        throttle_time_ms: i32,
        /// In the order of the request.
        filter_results: Vec<FilterAnswer>,
    }
    struct FilterAnswer {
        error_code: ErrorCode,
        error_message: Option<Str>,
        /// What was deleted, or could not be.
        matching_acls: Vec<MatchingAcl>,
    }
    struct MatchingAcl {
        error_code: ErrorCode,
        error_message: Option<Str>,
        /// 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user.
        resource_type: i8,
        resource_name: Str,
        /// 3 literal, 4 prefixed.
        pattern_type: i8 = 3,
        principal: Str,
        host: Str,
        /// As in CreateAcls.
        operation: i8,
        /// 2 deny, 3 allow.
        permission_type: i8,
    }
}
