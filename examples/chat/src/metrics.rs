//! What a chat server counts.

use common::telemetry::Telemetry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// What is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) sockets: Gauge,
    pub(crate) sent: Counter,
    pub(crate) failed: Counter,
    pub(crate) deliveries: Counter,
    pub(crate) left_out: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) stored_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        let metrics = Self {
            sockets: Gauge::default(),
            sent: Counter::default(),
            failed: Counter::default(),
            deliveries: Counter::default(),
            left_out: Counter::default(),
            duplicates: Counter::default(),
            stored_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
        };
        telemetry.register(|registry| {
            registry.register("ws_connections", "Open sockets", metrics.sockets.clone());
            registry.register("messages_sent", "Messages stored in the log", metrics.sent.clone());
            registry.register("messages_failed", "Messages not stored", metrics.failed.clone());
            registry.register(
                "deliveries",
                "Messages put before sockets",
                metrics.deliveries.clone(),
            );
            registry.register("ws_left_out", "Fleeting frames left out", metrics.left_out.clone());
            registry.register("duplicates", "Messages sent again", metrics.duplicates.clone());
            let help = "From a message to its acknowledgement";
            registry.register("stored_seconds", help, metrics.stored_seconds.clone());
        });
        metrics
    }
}
