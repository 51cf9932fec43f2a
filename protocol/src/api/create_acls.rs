//! CreateAcls: creates access rules.
//!
//! | version | adds |
//! |---|---|
//! | 1 | rules for all names with a prefix (KIP-290) |
//! | 2 | flexible form |
//! | 3 | rules about users (KIP-373) |
//!
//! The codes of operations: 2 all of them, 3 read, 4 write, 5 create, 6 delete, 7 alter, 8
//! describe, 9 act as a broker, 10 describe configs, 11 alter configs, 12 write idempotently, 13
//! create tokens, 14 describe tokens, 15 two-phase commit.
//!
//! A rule that exists already is no error.

crate::api! {
    /// Creates access rules.
    CreateAcls = 30, versions 1..=3, flexible 2..;

    struct Request {
        creations: Vec<Creation>,
    }
    struct Creation {
        /// 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user.
        resource_type: i8,
        /// `*` stands for all, where the pattern is literal.
        resource_name: Str,
        /// 3 literal, 4 prefixed.
        resource_pattern_type: i8 = 3,
        /// Such as `User:alice`; `User:*` stands for everybody.
        principal: Str,
        /// An address; `*` stands for all.
        host: Str,
        /// One of the codes above.
        operation: i8,
        /// 2 deny, 3 allow.
        permission_type: i8,
    }

    struct Response {
        throttle_time_ms: i32,
        /// In the order of the request.
        results: Vec<CreationAnswer>,
    }
    struct CreationAnswer {
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
