//! GetTelemetrySubscriptions: tells a client which of its metrics the broker wants.
//!
//! The client then sends them with [`push_telemetry`](super::push_telemetry), and asks anew when
//! that answers UNKNOWN_SUBSCRIPTION_ID (KIP-714).

crate::api! {
    /// Tells a client which of its metrics the broker wants.
    GetTelemetrySubscriptions = 71, versions 0..=0, flexible 0..;

    struct Request {
        /// All zero at first.
        client_instance_id: Uuid,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        /// The id to use from now on; all zero where the client has one.
        client_instance_id: Uuid,
        /// Of this choice of metrics; changes with it.
        subscription_id: i32,
        /// 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd; the best liked first.
        accepted_compression_types: Vec<i8>,
        push_interval_ms: i32,
        /// How large a push may be.
        telemetry_max_bytes: i32,
        /// Whether counters tell the growth since the last push, not the sum.
        delta_temporality: bool,
        /// Prefixes of names; empty for no metrics, one empty prefix for all.
        requested_metrics: Vec<Str>,
    }
}
