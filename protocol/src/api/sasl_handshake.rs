//! SaslHandshake: to be described.

crate::api! {
    /// To be described.
    SaslHandshake = 17, versions 0..=1;

    struct Request {
        mechanism: Str,
    }

    struct Response {
        error_code: ErrorCode,
        mechanisms: Vec<Str>,
    }
}
