//! CreateAcls: to be described.

crate::api! {
    /// To be described.
    CreateAcls = 30, versions 1..=3, flexible 2..;

    struct Request {
        creations: Vec<Creation>,
    }
    struct Creation {
        /// 1 any, 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user.
        resource_type: i8,
        resource_name: Str,
        /// 3 literal, 4 prefixed.
        resource_pattern_type: i8 = 3,
        principal: Str,
        host: Str,
        /// 1 any (in filters), 2 all, then read, write, create, delete, alter, describe and so on.
        operation: i8,
        /// 1 any (in filters), 2 deny, 3 allow.
        permission_type: i8,
    }

    struct Response {
        throttle_time_ms: i32,
        results: Vec<CreationAnswer>,
    }
    struct CreationAnswer {
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
