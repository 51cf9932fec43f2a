//! What a producer has done so far, counted batch by batch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of a histogram: the last takes all that is larger.
const BUCKETS: usize = 40;

/// What a producer has done since it was built, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Records that are stored.
    pub records: u64,
    /// Bytes of the batches that are stored, as they went over the wire.
    pub bytes: u64,
    /// Batches that are stored.
    pub batches: u64,
    /// Produce requests that were sent.
    pub requests: u64,
    /// Batches that were sent again; a half of one that was too large is another batch.
    pub retries: u64,
    /// Batches that were too large and were halved.
    pub splits: u64,
    /// Records that were accepted and then given up.
    pub errors: u64,
    /// Bytes of `buffer.memory` that are taken now.
    pub queue_bytes: u64,
    /// Batches that are filled, waiting or under way now.
    pub queue_batches: u64,
    /// Microseconds from the acceptance of a stored batch's first record to its acknowledgement.
    pub latency_us: Histogram,
    /// Bytes of the stored batches.
    pub batch_bytes: Histogram,
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

/// The counters behind a [`Snapshot`]. The sender alone counts, once a batch or a request.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    records: Counter,
    bytes: Counter,
    batches: Counter,
    requests: Counter,
    retries: Counter,
    splits: Counter,
    errors: Counter,
    latency_us: Buckets,
    batch_bytes: Buckets,
}

#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Buckets {
    counts: [Counter; BUCKETS],
    sum: Counter,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| Counter::default()), sum: Counter::default() }
    }
}

impl Buckets {
    fn add(&self, value: u64) {
        let index = (u64::BITS - value.leading_zeros()) as usize;
        self.counts[index.min(BUCKETS - 1)].add(1);
        self.sum.add(value);
    }

    fn read(&self) -> Histogram {
        let counts = std::array::from_fn(|index| self.counts[index].get());
        Histogram { counts, sum: self.sum.get() }
    }
}

impl Metrics {
    /// A request has gone out, with so many batches that had gone before.
    pub(crate) fn requested(&self, again: u64) {
        self.requests.add(1);
        self.retries.add(again);
    }

    /// A batch is stored.
    pub(crate) fn stored(&self, records: u64, bytes: u64, after: Duration) {
        self.records.add(records);
        self.bytes.add(bytes);
        self.batches.add(1);
        self.latency_us.add(u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
        self.batch_bytes.add(bytes);
    }

    /// A batch was halved.
    pub(crate) fn split(&self) {
        self.splits.add(1);
    }

    /// So many records were given up.
    pub(crate) fn given_up(&self, records: u64) {
        self.errors.add(records);
    }

    /// What was counted, beside what waits now.
    pub(crate) fn read(&self, queue_bytes: u64, queue_batches: u64) -> Snapshot {
        Snapshot {
            records: self.records.get(),
            bytes: self.bytes.get(),
            batches: self.batches.get(),
            requests: self.requests.get(),
            retries: self.retries.get(),
            splits: self.splits.get(),
            errors: self.errors.get(),
            queue_bytes,
            queue_batches,
            latency_us: self.latency_us.read(),
            batch_bytes: self.batch_bytes.read(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_powers_of_two() {
        let metrics = Metrics::default();
        for bytes in [0, 1, 2, 3, 4, 1_000, u64::MAX] {
            metrics.stored(1, bytes, Duration::from_micros(100));
        }
        let read = metrics.read(7, 1);
        let buckets: Vec<_> = read.batch_bytes.buckets().collect();
        assert_eq!(buckets, [(0, 1), (1, 1), (3, 2), (7, 1), (1_023, 1), (u64::MAX, 1)]);
        assert_eq!((read.batch_bytes.quantile(0.5), read.batch_bytes.quantile(0.0)), (3, 0));
        assert_eq!(read.latency_us.buckets().collect::<Vec<_>>(), [(127, 7)]);
        assert_eq!((read.latency_us.sum(), read.records, read.queue_bytes), (700, 7, 7));
        assert_eq!(Histogram::default().quantile(0.99), 0);
    }
}
