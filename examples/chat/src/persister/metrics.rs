//! What a database writer counts.

use common::telemetry::Telemetry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// What is counted.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) rows: Counter,
    pub(super) dead_letters: Counter,
    pub(super) lag: Gauge,
    pub(super) batch_rows: Histogram,
    pub(super) batch_seconds: Histogram,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let metrics = Self {
            rows: Counter::default(),
            dead_letters: Counter::default(),
            lag: Gauge::default(),
            batch_rows: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            batch_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
        };
        telemetry.register(|registry| {
            registry.register("rows", "Messages written", metrics.rows.clone());
            let help = "Records that cannot be rows";
            registry.register("dead_letters", help, metrics.dead_letters.clone());
            let help = "Records of its partitions that the database does not have";
            registry.register("consumer_lag", help, metrics.lag.clone());
            let help = "Messages that were written together";
            registry.register("batch_rows", help, metrics.batch_rows.clone());
            let help = "From the first attempt to write messages to the last";
            registry.register("batch_seconds", help, metrics.batch_seconds.clone());
        });
        metrics
    }
}
