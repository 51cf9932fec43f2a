//! SaslHandshake: agrees with the broker on how the client proves who it is.
//!
//! | version | adds |
//! |---|---|
//! | 1 | the exchange goes on with SaslAuthenticate, not with bare bytes (KIP-152) |

crate::api! {
    /// Agrees with the broker on how the client proves who it is.
    SaslHandshake = 17, versions 0..=1;

    struct Request {
        /// Such as `PLAIN`, `SCRAM-SHA-256` or `OAUTHBEARER`.
        mechanism: Str,
    }

    struct Response {
        error_code: ErrorCode,
        /// What the broker offers, also on error.
        mechanisms: Vec<Str>,
    }
}
