//! AlterUserScramCredentials: creates, replaces and deletes SCRAM credentials of users.
//!
//! The password never travels: the client salts and hashes it (KIP-554).

crate::api! {
    /// Creates, replaces and deletes SCRAM credentials of users.
    AlterUserScramCredentials = 51, versions 0..=0, flexible 0..;

    struct Request {
        deletions: Vec<Deletion>,
        upsertions: Vec<Upsertion>,
    }
    struct Deletion {
        name: Str,
        /// 1 SCRAM-SHA-256, 2 SCRAM-SHA-512.
        mechanism: i8,
    }
    struct Upsertion {
        name: Str,
        /// 1 SCRAM-SHA-256, 2 SCRAM-SHA-512.
        mechanism: i8,
        /// How often the password was hashed.
        iterations: i32,
        /// Random bytes of the client's choice.
        salt: Bytes,
        /// What came out of the hashing.
        salted_password: Bytes,
    }

    struct Response {
        throttle_time_ms: i32,
        /// One for each user.
        results: Vec<UserAnswer>,
    }
    struct UserAnswer {
        user: Str,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
