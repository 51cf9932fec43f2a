//! DescribeUserScramCredentials: to be described.

crate::api! {
    /// To be described.
    DescribeUserScramCredentials = 50, versions 0..=0, flexible 0..;

    struct Request {
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
        error_code: ErrorCode,
        error_message: Option<Str>,
        credential_infos: Vec<Credential>,
    }
    struct Credential {
        mechanism: i8,
        iterations: i32,
    }
}
