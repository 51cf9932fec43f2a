//! DescribeUserScramCredentials: lists which users have SCRAM credentials.
//!
//! The secrets themselves are never told (KIP-554).

crate::api! {
    /// Lists which users have SCRAM credentials.
    DescribeUserScramCredentials = 50, versions 0..=0, flexible 0..;

    struct Request {
        /// Null or empty asks for all.
        users: Option<Vec<User>>,
    }
    struct User {
        name: Str,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        results: Vec<UserAnswer>,
    }
    struct UserAnswer {
        user: Str,
        /// RESOURCE_NOT_FOUND where the user has none.
        error_code: ErrorCode,
        error_message: Option<Str>,
        credential_infos: Vec<Credential>,
    }
    struct Credential {
        /// 1 SCRAM-SHA-256, 2 SCRAM-SHA-512.
        mechanism: i8,
        iterations: i32,
    }
}
