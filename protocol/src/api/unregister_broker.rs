//! UnregisterBroker: to be described.

crate::api! {
    /// To be described.
    UnregisterBroker = 64, versions 0..=0, flexible 0..;

    struct Request {
        broker_id: i32,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
