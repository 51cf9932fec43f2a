//! SaslAuthenticate: to be described.

crate::api! {
    /// To be described.
    SaslAuthenticate = 36, versions 0..=2, flexible 2..;

    struct Request {
        auth_bytes: Bytes,
    }

    struct Response {
        error_code: ErrorCode,
        error_message: Option<Str>,
        auth_bytes: Bytes,
        session_lifetime_ms: i64        [1..],
    }
}
