//! Counters and histograms that are cheap to count in, and read as plain values.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of a histogram: the last takes all that is larger.
const BUCKETS: usize = 40;

/// How often something happened. Counted from many threads, in no order with anything else.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// It happened so often once more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How often it has happened.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A histogram that is being counted.
#[derive(Debug)]
pub struct Buckets {
    counts: [Counter; BUCKETS],
    sum: Counter,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| Counter::default()), sum: Counter::default() }
    }
}

impl Buckets {
    /// There was such a value.
    pub fn add(&self, value: u64) {
        let index = (u64::BITS - value.leading_zeros()) as usize;
        self.counts[index.min(BUCKETS - 1)].add(1);
        self.sum.add(value);
    }

    /// Something took so long; it is counted in microseconds.
    pub fn add_micros(&self, time: Duration) {
        self.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// What was counted so far.
    #[must_use]
    pub fn read(&self) -> Histogram {
        let counts = std::array::from_fn(|index| self.counts[index].get());
        Histogram { counts, sum: self.sum.get() }
    }
}

/// How many values there were of which size, by powers of two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    sum: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], sum: 0 }
    }
}

impl Histogram {
    /// Each bucket that holds values: the largest that belongs into it, and how many it holds.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let buckets = (0..).zip(self.counts).filter(|(_, count)| *count > 0);
        buckets.map(|(index, count)| (largest(index), count))
    }

    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What the values come to.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// What so large a share of the values, from 0 to 1, does not exceed; exact to a factor of two.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "a share is no exact number")]
        let wanted = self.count() as f64 * share.clamp(0.0, 1.0);
        let mut seen = 0;
        for (largest, count) in self.buckets() {
            seen += count;
            #[expect(clippy::cast_precision_loss, reason = "a share is no exact number")]
            if seen as f64 >= wanted {
                return largest;
            }
        }
        0
    }
}

/// The largest value of a bucket.
fn largest(index: u32) -> u64 {
    if index as usize + 1 == BUCKETS { u64::MAX } else { (1 << index) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_powers_of_two() {
        let counted = Buckets::default();
        for value in [0, 1, 2, 3, 4, 1_000, u64::MAX] {
            counted.add(value);
        }
        let read = counted.read();
        let buckets: Vec<_> = read.buckets().collect();
        assert_eq!(buckets, [(0, 1), (1, 1), (3, 2), (7, 1), (1_023, 1), (u64::MAX, 1)]);
        assert_eq!((read.quantile(0.5), read.quantile(0.0), read.count()), (3, 0, 7));
        assert_eq!(Histogram::default().quantile(0.99), 0);
        let times = Buckets::default();
        times.add_micros(Duration::from_millis(2));
        assert_eq!(times.read().sum(), 2_000);
    }
}
