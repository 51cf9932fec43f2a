//! PushTelemetry: sends metrics of a client to the broker.
//!
//! See [`get_telemetry_subscriptions`](super::get_telemetry_subscriptions) (KIP-714).

crate::api! {
    /// Sends metrics of a client to the broker.
    PushTelemetry = 72, versions 0..=0, flexible 0..;

    struct Request {
        /// As the broker gave it.
        client_instance_id: Uuid,
        /// As the broker gave it.
        subscription_id: i32,
        /// Whether this is the last push, which may come before its time.
        terminating: bool,
        /// 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
        compression_type: i8,
        /// OpenTelemetry's `MetricsData` (version 1) in protobuf, compressed.
        metrics: Bytes,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
    }
}
