//! DescribeAcls: lists the access rules that match a filter.
//!
//! | version | adds |
//! |---|---|
//! | 1 | rules for all names with a prefix (KIP-290) |
//! | 2 | flexible form |
//! | 3 | rules about users (KIP-373) |
//!
//! The codes are listed in [`create_acls`](super::create_acls).

crate::api! {
    /// Lists the access rules that match a filter.
    DescribeAcls = 29, versions 1..=3, flexible 2..;

    struct Request {
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
        error_code: ErrorCode,
        error_message: Option<Str>,
        resources: Vec<Resource>,
    }
    struct Resource {
        /// 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user.
        resource_type: i8,
        resource_name: Str,
        /// 3 literal, 4 prefixed.
        pattern_type: i8 = 3,
        acls: Vec<Acl>,
    }
    struct Acl {
        /// Such as `User:alice`; `User:*` stands for everybody.
        principal: Str,
        /// An address; `*` stands for all.
        host: Str,
        /// As in CreateAcls.
        operation: i8,
        /// 2 deny, 3 allow.
        permission_type: i8,
    }
}
