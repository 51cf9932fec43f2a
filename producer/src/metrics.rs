//! What a producer has done so far, counted batch by batch.

use std::time::Duration;

use klamm_utils::metrics::{Buckets, Counter, Histogram};

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
        self.latency_us.add_micros(after);
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
    fn a_stored_batch_is_counted_with_its_size_and_its_time() {
        let metrics = Metrics::default();
        for bytes in [100, 200] {
            metrics.stored(3, bytes, Duration::from_micros(100));
        }
        let read = metrics.read(7, 1);
        assert_eq!((read.records, read.bytes, read.batches), (6, 300, 2));
        assert_eq!((read.batch_bytes.sum(), read.latency_us.sum()), (300, 200));
        assert_eq!((read.queue_bytes, read.queue_batches), (7, 1));
    }
}
