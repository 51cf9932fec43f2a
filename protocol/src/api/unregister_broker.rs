//! UnregisterBroker: makes the cluster forget a broker that is gone for good.
//!
//! For a cluster that shrinks. Shut the broker down before.

crate::api! {
    /// Makes the cluster forget a broker that is gone for good.
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
