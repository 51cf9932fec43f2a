//! PushTelemetry: to be described.

crate::api! {
    /// To be described.
    PushTelemetry = 72, versions 0..=0, flexible 0..;

    struct Request {
        client_instance_id: Uuid,
        subscription_id: i32,
        terminating: bool,
        compression_type: i8,
        metrics: Bytes,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
    }
}
