//! How long requests took, by API.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use klamm_protocol::api::ApiKey;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// The bounds double from 16 microseconds to 33 seconds; the last bucket has none.
const BUCKETS: usize = 23;
const FIRST_BOUND: Duration = Duration::from_micros(16);

/// Labels of what is counted by API.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabel {
    api: &'static str,
}

/// A histogram for each API that was asked for. Cores that count meet in single atomic additions,
/// never in a lock.
#[derive(Clone, Debug)]
pub(super) struct RequestTimes {
    by_code: Arc<[OnceLock<Box<Histogram>>]>,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

impl RequestTimes {
    pub(super) fn new() -> Self {
        let codes = ApiKey::ALL.iter().map(|api| place(*api) + 1).max().unwrap_or(0);
        Self { by_code: (0..codes).map(|_| OnceLock::new()).collect() }
    }

    /// Counts `requests` that took as long each.
    pub(super) fn count(&self, api: ApiKey, took: Duration, requests: usize) {
        if let Some(histogram) = self.by_code.get(place(api)) {
            histogram.get_or_init(Box::default).count(took, requests as u64);
        }
    }
}

fn place(api: ApiKey) -> usize {
    usize::try_from(api.code()).unwrap_or(0)
}

impl Histogram {
    fn count(&self, took: Duration, requests: u64) {
        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(took_ns.saturating_mul(requests), Ordering::Relaxed);
        if let Some(bucket) = self.buckets.get(bucket(took_ns)) {
            bucket.fetch_add(requests, Ordering::Relaxed);
        }
    }
}

/// The first bucket whose bound is not exceeded.
fn bucket(took_ns: u64) -> usize {
    let bounds = took_ns.div_ceil(FIRST_BOUND.as_nanos() as u64).max(1);
    (bounds.next_power_of_two().trailing_zeros() as usize).min(BUCKETS - 1)
}

fn bound(bucket: usize) -> f64 {
    match bucket {
        ..22 => FIRST_BOUND.as_secs_f64() * f64::from(1u32 << bucket),
        _ => f64::INFINITY,
    }
}

impl EncodeMetric for RequestTimes {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for api in ApiKey::ALL {
            let Some(histogram) = self.by_code.get(place(*api)).and_then(OnceLock::get) else {
                continue;
            };
            let counts = histogram.buckets.iter().map(|count| count.load(Ordering::Relaxed));
            let buckets: Vec<_> = counts.enumerate().map(|(at, n)| (bound(at), n)).collect();
            let sum = Duration::from_nanos(histogram.sum_ns.load(Ordering::Relaxed));
            let count = buckets.iter().map(|(_, count)| count).sum();
            encoder.encode_family(&ApiLabel { api: api.name() })?.encode_histogram::<NoLabelSet>(
                sum.as_secs_f64(),
                count,
                &buckets,
                None,
            )?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_below_the_first_bound_that_holds_it() {
        for (micros, expected) in [(0, 0), (16, 0), (17, 1), (32, 1), (33, 2), (64, 2)] {
            assert_eq!(bucket(micros * 1_000), expected, "{micros} us");
        }
        assert_eq!(bucket((bound(21) * 1e9) as u64), 21);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }
}
