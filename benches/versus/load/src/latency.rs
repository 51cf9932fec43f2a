//! How long things took.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Ten minutes: whoever waits longer counts as much.
const MAX_NANOS: u64 = 600_000_000_000;

/// Times, to three digits.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    nanos: Histogram<u64>,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        let nanos = Histogram::new_with_bounds(100, MAX_NANOS, 3);
        Self { nanos: nanos.expect("the bounds are in order, the digits at most five") }
    }

    pub(crate) fn record(&mut self, time: Duration) {
        self.nanos.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(MAX_NANOS));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.nanos.add(&other.nanos).expect("all have the same bounds");
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nanos.is_empty()
    }

    pub(crate) fn mean_us(&self) -> f64 {
        self.nanos.mean() / 1e3
    }

    /// What this share of the times did not exceed.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        self.nanos.value_at_quantile(share) as f64 / 1e3
    }

    pub(crate) fn max_us(&self) -> f64 {
        self.nanos.max() as f64 / 1e3
    }
}

impl FromIterator<Latencies> for Latencies {
    fn from_iter<I: IntoIterator<Item = Latencies>>(parts: I) -> Self {
        let mut all = Self::new();
        for part in parts {
            all.merge(&part);
        }
        all
    }
}
