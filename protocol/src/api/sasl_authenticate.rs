//! SaslAuthenticate: carries one step of the proof of who the client is.
//!
//! | version | adds |
//! |---|---|
//! | 1 | how long the session lasts (KIP-368) |
//! | 2 | flexible form |
//!
//! Comes after [`sasl_handshake`](super::sasl_handshake), as often as the mechanism needs
//! (KIP-152).

crate::api! {
    /// Carries one step of the proof of who the client is.
    SaslAuthenticate = 36, versions 0..=2, flexible 2..;

    struct Request {
        /// In the form of the mechanism.
        auth_bytes: Bytes,
    }

    struct Response {
        error_code: ErrorCode,
        error_message: Option<Str>,
        /// In the form of the mechanism.
        auth_bytes: Bytes,
        /// After which the client must prove itself anew on the same connection; 0 for no end.
        session_lifetime_ms: i64        [1..],
    }
}
