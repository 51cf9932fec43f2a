//! GetTelemetrySubscriptions: to be described.

crate::api! {
    /// To be described.
    GetTelemetrySubscriptions = 71, versions 0..=0, flexible 0..;

    struct Request {
        client_instance_id: Uuid,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        client_instance_id: Uuid,
        subscription_id: i32,
        accepted_compression_types: Vec<i8>,
        push_interval_ms: i32,
        telemetry_max_bytes: i32,
        delta_temporality: bool,
        requested_metrics: Vec<Str>,
    }
}
