//! What a consumer has done so far, counted batch by batch and request by request.

use std::time::Duration;

use klamm_utils::metrics::{Buckets, Counter, Histogram};

use crate::assignment::Place;

/// What a consumer has done since it was built, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Records that were given to the application.
    pub records: u64,
    /// Bytes of their batches, as they came over the wire.
    pub bytes: u64,
    /// Batches that were given to the application.
    pub batches: u64,
    /// Fetch requests that were answered.
    pub fetches: u64,
    /// Fetch requests that failed as a whole.
    pub fetch_errors: u64,
    /// How often the group has given the consumer another generation, or another member epoch.
    pub rebalances: u64,
    /// Positions that were committed.
    pub commits: u64,
    /// Positions that could not be committed, also where the partition was lost.
    pub commit_errors: u64,
    /// How many offsets each of its partitions has before its end, as last heard.
    pub lags: Vec<(Place, Option<i64>)>,
    /// How long ago the application last asked for more; none while it is asking.
    pub poll_idle: Option<Duration>,
    /// Microseconds from a fetch request to its answer; a broker waits for records before that.
    pub fetch_us: Histogram,
    /// Microseconds from a commit's begin to its end, with all that was tried again.
    pub commit_us: Histogram,
}

/// The counters behind a [`Snapshot`].
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    records: Counter,
    bytes: Counter,
    batches: Counter,
    fetches: Counter,
    fetch_errors: Counter,
    rebalances: Counter,
    commits: Counter,
    commit_errors: Counter,
    fetch_us: Buckets,
    commit_us: Buckets,
}

impl Metrics {
    /// A batch is given to the application.
    pub(crate) fn delivered(&self, records: usize, bytes: usize) {
        self.records.add(records as u64);
        self.bytes.add(bytes as u64);
        self.batches.add(1);
    }

    /// A fetch request was answered.
    pub(crate) fn fetched(&self, after: Duration) {
        self.fetches.add(1);
        self.fetch_us.add_micros(after);
    }

    /// A broker could not be asked.
    pub(crate) fn fetch_failed(&self) {
        self.fetch_errors.add(1);
    }

    /// The group has a new generation.
    pub(crate) fn rebalanced(&self) {
        self.rebalances.add(1);
    }

    /// So many positions were committed, and so many not.
    pub(crate) fn committed(&self, stored: usize, failed: usize, after: Duration) {
        self.commits.add(stored as u64);
        self.commit_errors.add(failed as u64);
        self.commit_us.add_micros(after);
    }

    /// What was counted, beside how things stand now.
    pub(crate) fn read(
        &self,
        lags: Vec<(Place, Option<i64>)>,
        poll_idle: Option<Duration>,
    ) -> Snapshot {
        Snapshot {
            records: self.records.get(),
            bytes: self.bytes.get(),
            batches: self.batches.get(),
            fetches: self.fetches.get(),
            fetch_errors: self.fetch_errors.get(),
            rebalances: self.rebalances.get(),
            commits: self.commits.get(),
            commit_errors: self.commit_errors.get(),
            lags,
            poll_idle,
            fetch_us: self.fetch_us.read(),
            commit_us: self.commit_us.read(),
        }
    }
}
