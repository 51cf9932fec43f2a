//! What a mode prints: one line of JSON with flat keys, whose names end in their unit.

use std::fmt::{Display, Formatter};

use serde_json::{Map, Value};

use crate::latency::Latencies;
use crate::measure::Usage;

const GIB: f64 = (1_u64 << 30) as f64;

/// Key and value, in the order in which they were told.
#[derive(Debug)]
pub(crate) struct Report {
    fields: Map<String, Value>,
    errors: u64,
}

impl Report {
    pub(crate) fn new(mode: &str) -> Self {
        let mut report = Self { fields: Map::new(), errors: 0 };
        report.put("mode", mode);
        report
    }

    pub(crate) fn put(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.fields.insert(key.into(), value.into());
    }

    /// A measure: rounded to six digits, which is more than any of them is worth.
    pub(crate) fn figure(&mut self, key: impl Into<String>, value: f64) {
        self.put(key, rounded(value));
    }

    /// Answers that were errors: they are told, and make the program fail.
    pub(crate) fn errors(&mut self, count: u64, first: Option<&str>) {
        self.errors += count;
        self.put("errors", self.errors);
        if let Some(first) = first {
            self.put("first_error", first);
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// `NAME_mean_us` and its like; nothing where nothing was timed.
    pub(crate) fn latencies(&mut self, name: &str, times: &Latencies) {
        if times.is_empty() {
            return;
        }
        self.figure(format!("{name}_mean_us"), times.mean_us());
        for (label, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)] {
            self.figure(format!("{name}_{label}_us"), times.quantile_us(share));
        }
        self.figure(format!("{name}_max_us"), times.max_us());
    }

    /// How much went through: `bytes` are those of the values, before compression.
    pub(crate) fn throughput(&mut self, records: u64, bytes: u64, usage: &Usage) {
        self.put("records", records);
        self.put("bytes", bytes);
        self.figure("records_per_s", records as f64 / usage.seconds);
        self.figure("mb_per_s", bytes as f64 / usage.seconds / 1e6);
    }

    /// What it cost the client, the broker and everybody else.
    pub(crate) fn usage(&mut self, records: u64, bytes: u64, usage: &Usage) {
        let gib = bytes as f64 / GIB;
        let millions = records as f64 / 1e6;
        self.figure("seconds", usage.seconds);
        self.figure("client_cpu_s", usage.client_cpu_seconds);
        if bytes > 0 {
            self.figure("client_cpu_s_per_gib", usage.client_cpu_seconds / gib);
        }
        if let Some(share) = usage.elsewhere_share {
            self.figure("elsewhere_cpu_share", share);
        }
        let Some(broker) = &usage.broker else { return };
        let cpu = broker.user_seconds + broker.system_seconds;
        self.figure("broker_cpu_s", cpu);
        self.figure("broker_user_cpu_s", broker.user_seconds);
        self.figure("broker_system_cpu_s", broker.system_seconds);
        if bytes > 0 {
            self.figure("broker_cpu_s_per_gib", cpu / gib);
        }
        if records > 0 {
            self.figure("broker_cpu_s_per_million", cpu / millions);
        }
        self.figure("broker_rss_mib", broker.rss_mib);
        self.figure("broker_peak_rss_mib", broker.peak_rss_mib);
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let text = serde_json::to_string(&self.fields).map_err(|_| std::fmt::Error)?;
        f.write_str(&text)
    }
}

/// The middle one of several; the higher of the two in the middle. NaN of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_flat_line() {
        let mut report = Report::new("test");
        report.figure("third_s", 1.0 / 3.0);
        report.errors(0, None);
        assert_eq!(report.to_string(), r#"{"mode":"test","third_s":0.333333,"errors":0}"#);
        assert!(!report.has_errors());
        report.errors(2, Some("NOT_LEADER_OR_FOLLOWER"));
        assert!(report.has_errors());
    }
}
