//! What was measured.

use std::time::Duration;

use hdrhistogram::Histogram;
use klamm_client::Kafka;
use klamm_client::config::{Value as _, keys};
use serde::Serialize;

use crate::output::{Stdout, say};

/// Latencies above this count as this.
const LATENCY_MAX_US: u64 = 3_600_000_000;

/// The names of the fields are a promise to scripts.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    /// Which measurement it was.
    pub(super) bench: &'static str,
    /// Whom it was asked of first, so that reports of several clusters can be told apart.
    pub(super) bootstrap: String,
    pub(super) topic: &'a str,
    /// How it was measured.
    pub(super) settings: serde_json::Value,
    /// Records that arrived.
    pub(super) records: u64,
    /// Bytes of their keys and values.
    pub(super) bytes: u64,
    /// Records that were not acknowledged.
    pub(super) failed: u64,
    pub(super) seconds: f64,
    pub(super) records_per_second: f64,
    /// In millions of bytes.
    pub(super) megabytes_per_second: f64,
    pub(super) latency_ms: Option<LatencyReport>,
}

#[derive(Debug, Serialize)]
pub(super) struct LatencyReport {
    mean: f64,
    p50: f64,
    p90: f64,
    p95: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

/// How much came through, and how long that took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Volume {
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) failed: u64,
    pub(super) took: Duration,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        bench: &'static str,
        topic: &'a str,
        settings: serde_json::Value,
        volume: Volume,
    ) -> Self {
        let Volume { records, bytes, failed, took } = volume;
        let seconds = took.as_secs_f64();
        let each_second = |count: f64| if seconds > 0.0 { round(count / seconds) } else { 0.0 };
        Self {
            bench,
            bootstrap: String::new(),
            topic,
            settings,
            records,
            bytes,
            failed,
            seconds: round(seconds),
            records_per_second: each_second(records as f64),
            megabytes_per_second: each_second(bytes as f64 / 1e6),
            latency_ms: None,
        }
    }

    /// Says which cluster was measured.
    pub(super) fn at(self, kafka: &Kafka) -> Self {
        let bootstrap = kafka.config().get(&keys::BOOTSTRAP_SERVERS);
        Self { bootstrap: bootstrap.print(), ..self }
    }

    /// Says how long records took.
    pub(super) fn with_latencies(self, latencies: &Latencies) -> Self {
        Self { latency_ms: Some(latencies.report()), ..self }
    }

    /// Tells people on standard error, and machines on standard output.
    pub(super) fn print(&self) -> anyhow::Result<()> {
        say(format_args!(
            "{}: {} records, {} bytes in {:.3} s: {:.0} records/s, {:.1} MB/s, {} failed",
            self.bench,
            self.records,
            self.bytes,
            self.seconds,
            self.records_per_second,
            self.megabytes_per_second,
            self.failed,
        ));
        if let Some(LatencyReport { mean, p50, p90, p95, p99, p999, max }) = &self.latency_ms {
            say(format_args!(
                "latency in ms: mean {mean:.3}, p50 {p50:.3}, p90 {p90:.3}, p95 {p95:.3}, \
                 p99 {p99:.3}, p99.9 {p999:.3}, max {max:.3}"
            ));
        }
        let mut stdout = Stdout::new();
        stdout.json_line(self)?;
        stdout.finish()
    }
}

/// How long records took.
#[derive(Debug)]
pub(super) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(super) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3);
        Self(histogram.expect("the bounds are those of a histogram"))
    }

    pub(super) fn add(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LATENCY_MAX_US));
    }

    fn report(&self) -> LatencyReport {
        let ms = |us: f64| round(us / 1e3);
        let quantile = |quantile| ms(self.0.value_at_quantile(quantile) as f64);
        LatencyReport {
            mean: ms(self.0.mean()),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p95: quantile(0.95),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: ms(self.0.max() as f64),
        }
    }
}

/// To thousandths: what lies below was not measured.
fn round(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_rates_and_percentiles() {
        let mut latencies = Latencies::new();
        for ms in 1..=1000 {
            latencies.add(Duration::from_millis(ms));
        }
        let volume =
            Volume { records: 1000, bytes: 5_000_000, failed: 1, took: Duration::from_secs(2) };
        let report =
            Report::new("produce", "t", serde_json::json!({}), volume).with_latencies(&latencies);
        assert_eq!((report.records_per_second, report.megabytes_per_second), (500.0, 2.5));
        let latency = report.latency_ms.unwrap();
        for (measured, expected) in [
            (latency.p50, 500.0),
            (latency.p95, 950.0),
            (latency.p99, 990.0),
            (latency.max, 1000.0),
        ] {
            assert!((measured / expected - 1.0f64).abs() < 0.002, "{measured} {expected}");
        }
        let nothing = Report::new("produce", "t", serde_json::json!({}), Volume::default());
        assert_eq!(nothing.records_per_second, 0.0);
    }
}
