//! AlterUserScramCredentials: to be described.

crate::api! {
    /// To be described.
    AlterUserScramCredentials = 51, versions 0..=0, flexible 0..;

    struct Request {
        deletions: Vec<Deletion>,
        upsertions: Vec<Upsertion>,
    }
    struct Deletion {
        name: Str,
        mechanism: i8,
    }
    struct Upsertion {
        name: Str,
        mechanism: i8,
        iterations: i32,
        salt: Bytes,
        salted_password: Bytes,
    }

    struct Response {
        throttle_time_ms: i32,
        results: Vec<UserAnswer>,
    }
    struct UserAnswer {
        user: Str,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
